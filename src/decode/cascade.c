/* Cascaded decoding: Deng & Rush 2020, "Cascaded Text Generation with Markov Transformers".
 *
 * Round 0 scores every position of the target independently and keeps K words at each. Round m
 * scores all surviving m-grams at once, finds the best complete path through every (m+1)-gram, its
 * max-marginal, and keeps the K best at each position. Round R - 1 takes the best path of all. So
 * the target needs R calls of the model however long it is, and the lengths of a window around the
 * predicted one compete in one lattice, for shorter ones end in padding that costs nothing. The
 * score of an output is the sum of its tokens' log-probabilities, each given the R - 1 tokens
 * before it.
 *
 * Differences from the published program: the end before the window and words before padding are
 * forbidden rather than unlikely; states on no complete path are dropped rather than kept as
 * fillers, which leaves the result as it is; of equal candidates the lower number wins; rows whose
 * answer is known are not computed. */
#include <math.h>
#include <string.h>

#include "decode/common.h"
#include "decode/decoders.h"
#include "decode/lattice.h"
#include "kaskad/memory.h"

typedef struct cascade {
    ksk_markov *scorer;
    const ksk_decode_options *options;
    int topk, keep, rounds, delta;
    double a, b;           /* the length line */
    int longest;           /* most tokens of an output, end included */
    int count;             /* sentences decoded together */
    ksk_lattice *lattices; /* [count] */

    /* rows of a round, and where their answers go */
    int rows;
    int64_t entries;
    int32_t *parents, *tokens, *positions, *candidates;
    int32_t (*spans)[2];
    float **places; /* [entries] */
    size_t parent_room, token_room, position_room, span_room, candidate_room, place_room;

    /* what later rounds normalise over, if they do */
    int32_t *support, (*supports)[2]; /* spans: [count] */
    size_t support_room;
    unsigned char *supported; /* [vocabulary]: in the support of the sentence at hand */

    /* scratch for one lattice, as long as the longest */
    float *alpha, *beta;      /* [L, K] */
    float *marginals;         /* [K, K] */
    int32_t *chosen, *joined; /* [K], [K, R + 1] */
    int *path;                /* [L] */
    int32_t *words;           /* [most of K and the support] */
} cascade;

/* --- options ------------------------------------------------------------------------------------
 */

static bool check_cascade(const ksk_cascade_options *o, const ksk_markov *scorer, ksk_error *err)
{
    enum { most_topk = 1024 };
    if (o->topk < 1 || o->topk > most_topk)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "topk is %d; the cascade keeps 1 to %d states",
                        o->topk, most_topk);
    if (o->rounds < 0 || o->rounds == 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "rounds is %d; the cascade needs 2 or more (0: the model's most)",
                        o->rounds);
    if (scorer->order < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "the model's order is %d; the cascade needs contexts of 1 token or more",
                        scorer->order);
    if (o->rounds > scorer->order + 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "rounds is %d, but the model's order %d allows %d: the last round's "
                        "contexts have rounds - 1 tokens",
                        o->rounds, scorer->order, scorer->order + 1);
    if (o->keep < 0 || o->keep > o->topk)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "keep is %d; it must be 0 (as topk) to topk, %d",
                        o->keep, o->topk);
    if (o->support < 0 || (o->support > 0 && o->support < o->topk) || o->support > most_topk)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "support is %d; it must be 0 (the whole vocabulary) or at least topk, %d, "
                        "and at most %d",
                        o->support, o->topk, most_topk);
    if (!(o->threshold >= 0))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "threshold is %g; it must be 0 or more",
                        o->threshold);
    if (!isfinite(o->length_reward))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "length_reward is not a finite number");
    if (o->delta < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "delta is %d; it must be 0 or more", o->delta);
    if (isinf(o->length_a) || isinf(o->length_b))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "the length line is not made of finite numbers");
    if (o->memory < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "memory is %lld bytes; the cascade needs some",
                        (long long)o->memory);
    return true;
}

/* What depends on the whole output so far has no place in contexts of a few tokens. */
static bool check_constraints(const ksk_decode_options *o, ksk_error *err)
{
    const char *const name = o->n_best > 1                ? "n_best above 1"
                             : o->min_length > 0          ? "min_length"
                             : o->no_repeat_ngram > 0     ? "no_repeat_ngram"
                             : o->repetition_penalty != 1 ? "repetition_penalty"
                             : o->prefix_length > 0       ? "prefix"
                             : o->forced_first >= 0       ? "forced_first"
                             : o->processor_count > 0     ? "processors"
                                                          : NULL;
    return !name || ksk_fail(err, KSK_BAD_ARGUMENT, "the cascade does not do %s", name);
}

static void choose(cascade *c, ksk_markov *scorer, const ksk_decode_options *options)
{
    const ksk_cascade_options *const o = &options->cascade;
    *c = (cascade){.scorer = scorer,
                   .options = options,
                   .topk = o->topk,
                   .keep = o->keep ? o->keep : o->topk,
                   .rounds = o->rounds ? o->rounds : scorer->order + 1,
                   .delta = o->delta,
                   .a = isnan(o->length_a) ? scorer->length_a : o->length_a,
                   .b = isnan(o->length_b) ? scorer->length_b : o->length_b,
                   .longest = options->max_length ? options->max_length - 1 : scorer->max_target};
    if (c->longest > scorer->max_target)
        c->longest = scorer->max_target;
}

/* --- sizes --------------------------------------------------------------------------------------
 */

/* Most bytes that a sentence needs at once: its lattice, and the scores of round 0 or those of the
 * K words of every state. Without a support the scorer makes the whole vocabulary's scores of every
 * row. */
static double sentence_bytes(const cascade *c, ksk_window window)
{
    const double rows = (double)window.hi * c->topk, support = c->options->cascade.support;
    const double vocabulary = (double)c->scorer->vocabulary;
    const double scores = support > 0 ? window.hi * fmax(vocabulary, c->topk * window.hi * support)
                                      : rows * vocabulary;
    return ksk_lattice_bytes(window, c->topk, c->rounds) + scores * 4 + rows * c->topk * 16;
}

/* Rows and candidates are counted in 32 bits, which more memory than this would not stay below. */
static double memory_of(const cascade *c)
{
    return fmin((double)c->options->cascade.memory, 0x1p34);
}

static bool find_window(const cascade *c, int sentence, int length, ksk_window *window,
                        ksk_error *err)
{
    if (length < 1 || length > c->scorer->max_source)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "source %d has %d tokens; the model takes 1 to %d",
                        sentence, length, c->scorer->max_source);
    if (!ksk_window_around(c->a, c->b, c->delta, length - 1, c->longest, window))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "sentence %d: the length line %g·%d + %g with delta %d and at most %d "
                        "tokens leaves no output of 2 tokens or more",
                        sentence, c->a, length - 1, c->b, c->delta, c->longest);
    const double bytes = sentence_bytes(c, *window);
    if (bytes > memory_of(c))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "sentence %d: topk %d over %d positions needs %.0f MB, memory allows %.0f; "
                        "lower topk or raise memory",
                        sentence, c->topk, window->hi, ceil(bytes / 1e6),
                        floor(memory_of(c) / 1e6));
    return true;
}

/* How many of the sentences fit into memory together; at least one. */
static int fitting(const cascade *c, const ksk_window *windows, int count)
{
    double bytes = 0;
    int fit = 0;
    for (; fit < count; fit++) {
        bytes += sentence_bytes(c, windows[fit]);
        if (fit > 0 && bytes > memory_of(c))
            break;
    }
    return fit;
}

/* --- rows ---------------------------------------------------------------------------------------
 */

static bool add_row(cascade *c, int32_t parent, int32_t token, int position, ksk_error *err)
{
    const size_t rows = (size_t)c->rows + 1;
    if (!ksk_grow(&c->parents, &c->parent_room, rows, sizeof *c->parents) ||
        !ksk_grow(&c->tokens, &c->token_room, rows, sizeof *c->tokens) ||
        !ksk_grow(&c->positions, &c->position_room, rows, sizeof *c->positions) ||
        !ksk_grow(&c->spans, &c->span_room, rows, sizeof *c->spans))
        return ksk_fail_memory(err);
    c->parents[c->rows] = parent;
    c->tokens[c->rows] = token;
    c->positions[c->rows] = position;
    c->spans[c->rows][0] = (int32_t)c->entries;
    c->spans[c->rows][1] = 0;
    c->rows++;
    return true;
}

/* The newest row asks for a token, whose score goes to `place`. */
static bool add_candidate(cascade *c, int32_t token, float *place, ksk_error *err)
{
    const size_t entries = (size_t)c->entries + 1;
    if (!ksk_grow(&c->candidates, &c->candidate_room, entries, sizeof *c->candidates) ||
        !ksk_grow(&c->places, &c->place_room, entries, sizeof *c->places))
        return ksk_fail_memory(err);
    c->candidates[c->entries] = token;
    c->places[c->entries++] = place;
    c->spans[c->rows - 1][1]++;
    return true;
}

static bool score(cascade *c, bool all, float **log_probs, ksk_error *err)
{
    const ksk_contexts contexts = {.rows = c->rows,
                                   .parents = c->parents,
                                   .tokens = c->tokens,
                                   .positions = c->positions,
                                   .candidates = all ? NULL : c->candidates,
                                   .spans = (const int32_t(*)[2])c->spans,
                                   .support = all ? NULL : c->support,
                                   .supports = (const int32_t(*)[2])c->supports};
    return ksk_in_time(c->options, err) && c->scorer->score(c->scorer, &contexts, log_probs, err);
}

static void show(const cascade *c, int sentence, const float *log_probs, const int *path)
{
    const ksk_cascade_watcher *const watcher = c->options->cascade.watcher;
    if (!watcher)
        return;
    const ksk_lattice *const g = &c->lattices[sentence];
    const ksk_cascade_view view = {.sentence = sentence,
                                   .round = log_probs ? 0 : g->order,
                                   .order = g->order,
                                   .lo = g->window.lo,
                                   .hi = g->window.hi,
                                   .length = g->length,
                                   .topk = g->topk,
                                   .room = g->rounds,
                                   .counts = g->counts,
                                   .tokens = g->tokens,
                                   .vocabulary = c->scorer->vocabulary,
                                   .log_probs = log_probs,
                                   .potentials = log_probs ? NULL : g->potentials,
                                   .alpha = log_probs ? NULL : c->alpha,
                                   .beta = log_probs ? NULL : c->beta,
                                   .path = path};
    watcher->see(watcher->context, &view);
}

/* --- round 0 ------------------------------------------------------------------------------------
 */

static void ban(const cascade *c, float *log_probs)
{
    if (c->scorer->pad_id >= 0)
        log_probs[c->scorer->pad_id] = -INFINITY;
    for (int i = 0; i < c->options->banned_count; i++)
        log_probs[c->options->banned[i]] = -INFINITY;
}

static bool support_token(cascade *c, int sentence, int32_t token, ksk_error *err)
{
    int32_t *const span = c->supports[sentence];
    const size_t needed = (size_t)span[0] + (size_t)span[1] + 1;
    if (c->supported[token])
        return true;
    if (!ksk_grow(&c->support, &c->support_room, needed, sizeof *c->support))
        return ksk_fail_memory(err);
    c->support[span[0] + span[1]++] = token;
    c->supported[token] = 1;
    return true;
}

/* The best words at one position, best first: `topk` for the lattice, more for the support. */
static bool seed(cascade *c, int sentence, int l, float *log_probs, int row, ksk_error *err)
{
    const int support = c->options->cascade.support, end = c->scorer->end_id;
    const float end_log_prob = log_probs[end];
    log_probs[end] = -INFINITY;
    const int count = ksk_largest(log_probs, (size_t)c->scorer->vocabulary,
                                  support ? support : c->topk, c->words);
    log_probs[end] = end_log_prob;
    for (int i = 0; support && i < count; i++)
        if (!support_token(c, sentence, c->words[i], err))
            return false;
    ksk_lattice_seed(&c->lattices[sentence], l, log_probs, count < c->topk ? count : c->topk,
                     c->words, c->options->cascade.threshold, end, row);
    return true;
}

static bool begin_support(cascade *c, int sentence, ksk_error *err)
{
    if (!c->options->cascade.support)
        return true;
    const int32_t *const before = sentence ? c->supports[sentence - 1] : NULL;
    c->supports[sentence][0] = before ? before[0] + before[1] : 0;
    c->supports[sentence][1] = 0;
    return support_token(c, sentence, c->scorer->end_id, err);
}

static void end_support(cascade *c, int sentence)
{
    const int32_t *const span = c->options->cascade.support ? c->supports[sentence] : NULL;
    for (int i = 0; span && i < span[1]; i++)
        c->supported[c->support[span[0] + i]] = 0;
}

static bool seed_sentence(cascade *c, int sentence, float *log_probs, int row, ksk_error *err)
{
    ksk_lattice *const g = &c->lattices[sentence];
    bool ok = begin_support(c, sentence, err);
    for (int l = 0; ok && l < g->window.hi; l++, log_probs += c->scorer->vocabulary) {
        ban(c, log_probs);
        ok = seed(c, sentence, l, log_probs, row + l, err);
    }
    end_support(c, sentence);
    ksk_lattice_seed(g, g->window.hi, NULL, 0, NULL, 0, c->scorer->end_id, -1);
    return ok;
}

static bool first_round(cascade *c, ksk_error *err)
{
    float *log_probs;
    c->rows = 0;
    c->entries = 0;
    for (int i = 0; i < c->count; i++)
        for (int l = 0; l < c->lattices[i].window.hi; l++)
            if (!add_row(c, -1 - i, -1, l, err))
                return false;
    if (!score(c, true, &log_probs, err))
        return false;
    for (int i = 0, row = 0; i < c->count; row += c->lattices[i++].window.hi) {
        float *const values = log_probs + (size_t)row * (size_t)c->scorer->vocabulary;
        if (!seed_sentence(c, i, values, row, err))
            return false;
        show(c, i, values, NULL);
    }
    return true;
}

/* --- round m ------------------------------------------------------------------------------------
 */

/* Behind the end and padding comes padding, for nothing; or, which ranks outputs alike, for what a
 * token is worth. */
static void pad_on(const cascade *c, const ksk_lattice *g, int l, int k, float *potentials)
{
    for (int j = 0; j < g->counts[l + 1]; j++)
        if (ksk_lattice_last(g, l + 1, j) == KSK_LATTICE_PAD && ksk_lattice_joins(g, l, k, j))
            potentials[j] = -(float)c->options->cascade.length_reward;
}

/* A row for state k of node l if any edge from it needs the model's scores. */
static bool ask(cascade *c, ksk_lattice *g, int l, int k, float *potentials, ksk_error *err)
{
    const size_t state = (size_t)l * (size_t)g->topk + (size_t)k;
    for (int j = 0; j < g->counts[l + 1]; j++) {
        const int32_t next = ksk_lattice_last(g, l + 1, j);
        if (next == KSK_LATTICE_PAD || !ksk_lattice_joins(g, l, k, j))
            continue;
        if (g->rows[state] < 0) {
            g->rows[state] = c->rows;
            if (!add_row(c, g->parents[state], ksk_lattice_last(g, l, k), 0, err))
                return false;
        }
        if (!add_candidate(c, next, &potentials[j], err))
            return false;
    }
    return true;
}

static bool ask_edges(cascade *c, ksk_lattice *g, ksk_error *err)
{
    const int edges = g->length - g->order, end = c->scorer->end_id;
    for (int l = 0; l < edges; l++)
        for (int k = 0; k < g->counts[l]; k++) {
            float *const potentials = ksk_lattice_edge(g, l) + (size_t)k * (size_t)g->topk;
            const int32_t last = ksk_lattice_last(g, l, k);
            for (int j = 0; j < g->topk; j++)
                potentials[j] = -INFINITY;
            g->rows[(size_t)l * (size_t)g->topk + (size_t)k] = -1;
            if (last == end || last == KSK_LATTICE_PAD)
                pad_on(c, g, l, k, potentials);
            else if (!ask(c, g, l, k, potentials, err))
                return false;
        }
    return true;
}

/* The tokens of the first state, which no edge stands for. */
static void add_first(ksk_lattice *g)
{
    float *potentials = ksk_lattice_edge(g, 0);
    for (int k = 0; k < g->counts[0]; k++, potentials += g->topk)
        for (int j = 0; j < g->counts[1]; j++)
            potentials[j] += g->first[k];
}

/* Potentials of all lattices whose output is not known yet. */
static bool score_edges(cascade *c, ksk_error *err)
{
    float *log_probs;
    c->rows = 0;
    c->entries = 0;
    for (int i = 0; i < c->count; i++)
        if (!c->lattices[i].done && !ask_edges(c, &c->lattices[i], err))
            return false;
    if (c->rows > 0) {
        if (!score(c, false, &log_probs, err))
            return false;
        for (int64_t i = 0; i < c->entries; i++)
            *c->places[i] = log_probs[i];
    }
    for (int i = 0; i < c->count; i++)
        if (!c->lattices[i].done)
            add_first(&c->lattices[i]);
    return true;
}

/* The last round: the best path as a hypothesis. */
static bool finish(cascade *c, const ksk_trellis *trellis, int sentence, ksk_nbest *result,
                   ksk_error *err)
{
    ksk_lattice *const g = &c->lattices[sentence];
    const int end = c->scorer->end_id;
    const double sum = (double)ksk_trellis_path(trellis, c->path);
    show(c, sentence, NULL, c->path);
    int32_t *const ids = ksk_malloc((size_t)g->length * sizeof *ids);
    ksk_hypothesis *const h = ksk_calloc(1, sizeof *h);
    if (!ids || !h) {
        ksk_free(ids);
        ksk_free(h);
        return ksk_fail_memory(err);
    }
    memcpy(ids, ksk_lattice_state(g, 0, c->path[0]), (size_t)g->order * sizeof *ids);
    for (int l = 1; l <= g->length - g->order; l++)
        ids[g->order + l - 1] = ksk_lattice_last(g, l, c->path[l]);
    int length = 0;
    while (ids[length++] != end)
        continue;
    const double reward = c->options->cascade.length_reward;
    const double log_prob = sum + reward * (g->length - length); /* what padding took */
    *h = (ksk_hypothesis){.ids = ids,
                          .length = length,
                          .log_prob = log_prob,
                          .score = log_prob + reward * length,
                          .finished = true};
    *result = (ksk_nbest){.hypotheses = h, .count = 1};
    g->done = true;
    return true;
}

static float best_of(const cascade *c, const ksk_lattice *g)
{
    float best = -INFINITY;
    for (int k = 0; k < g->counts[0]; k++)
        best = c->beta[k] > best ? c->beta[k] : best;
    return best;
}

/* Round m of one lattice, which ends early when a threshold leaves a single path. Max-marginals by
 * a scan: on a processor the tree's K³ operations cost more than its depth saves. */
static bool settle(cascade *c, int sentence, int order, ksk_nbest *result, ksk_error *err)
{
    ksk_lattice *const g = &c->lattices[sentence];
    const ksk_trellis trellis = ksk_lattice_trellis(g, c->alpha, c->beta);
    ksk_trellis_scan(&trellis);
    const float best = best_of(c, g);
    if (!(best > -INFINITY))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "sentence %d: no output is left in the lattice; the model's scores are not "
                        "finite, or too many tokens are banned",
                        sentence);
    const float least = best - (float)c->options->cascade.threshold;
    if (order == c->rounds - 1 || g->length - order == 1 ||
        (least > -INFINITY && ksk_lattice_is_single(&trellis, least, c->marginals)))
        return finish(c, &trellis, sentence, result, err);
    show(c, sentence, NULL, NULL);
    ksk_lattice_prune(g, &trellis, c->keep, least, c->marginals, c->chosen, c->joined);
    return true;
}

static bool run_rounds(cascade *c, ksk_nbest *results, ksk_error *err)
{
    if (!first_round(c, err))
        return false;
    for (int order = 1; order < c->rounds; order++) {
        if (!score_edges(c, err))
            return false;
        for (int i = 0; i < c->count; i++)
            if (!c->lattices[i].done && !settle(c, i, order, &results[i], err))
                return false;
    }
    return true;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static bool allocate(cascade *c, const ksk_window *windows, ksk_error *err)
{
    size_t L = 0;
    const size_t K = (size_t)c->topk;
    c->lattices = ksk_calloc((size_t)c->count, sizeof *c->lattices);
    if (!c->lattices)
        return ksk_fail_memory(err);
    for (int i = 0; i < c->count; i++) {
        if (!ksk_lattice_init(&c->lattices[i], windows[i], c->topk, c->rounds, err))
            return false;
        L = (size_t)c->lattices[i].length > L ? (size_t)c->lattices[i].length : L;
    }
    c->alpha = ksk_malloc(L * K * sizeof *c->alpha);
    c->beta = ksk_malloc(L * K * sizeof *c->beta);
    c->marginals = ksk_malloc(K * K * sizeof *c->marginals);
    c->chosen = ksk_malloc(K * sizeof *c->chosen);
    c->joined = ksk_malloc(K * ((size_t)c->rounds + 1) * sizeof *c->joined);
    c->path = ksk_malloc(L * sizeof *c->path);
    const size_t support = (size_t)c->options->cascade.support;
    c->words = ksk_malloc((support > K ? support : K) * sizeof *c->words);
    if (support) {
        c->supports = ksk_malloc((size_t)c->count * sizeof *c->supports);
        c->supported = ksk_calloc((size_t)c->scorer->vocabulary, 1);
    }
    return (c->alpha && c->beta && c->marginals && c->chosen && c->joined && c->path && c->words &&
            (!support || (c->supports && c->supported))) ||
           ksk_fail_memory(err);
}

static void release(cascade *c)
{
    for (int i = 0; c->lattices && i < c->count; i++)
        ksk_lattice_clear(&c->lattices[i]);
    ksk_free(c->lattices);
    ksk_free(c->alpha);
    ksk_free(c->beta);
    ksk_free(c->marginals);
    ksk_free(c->chosen);
    ksk_free(c->joined);
    ksk_free(c->path);
    ksk_free(c->words);
    ksk_free(c->support);
    ksk_free(c->supports);
    ksk_free(c->supported);
    ksk_free(c->parents);
    ksk_free(c->tokens);
    ksk_free(c->positions);
    ksk_free(c->spans);
    ksk_free(c->candidates);
    ksk_free(c->places);
}

/* Sentences that fit into memory together. */
static bool decode_part(const cascade *settings, int count, const int32_t *const *sources,
                        const int *lengths, const ksk_window *windows, ksk_nbest *results,
                        ksk_error *err)
{
    cascade c = *settings;
    c.count = count;
    const bool ok = allocate(&c, windows, err) &&
                    c.scorer->start(c.scorer, count, sources, lengths, err) &&
                    run_rounds(&c, results, err);
    release(&c);
    return ok;
}

static bool decode_all(const cascade *c, int sentences, const int32_t *const *sources,
                       const int *lengths, ksk_nbest *results, ksk_error *err)
{
    ksk_window *const windows = ksk_malloc((size_t)sentences * sizeof *windows);
    bool ok = windows || ksk_fail_memory(err);
    for (int i = 0; ok && i < sentences; i++)
        ok = find_window(c, i, lengths[i], &windows[i], err);
    for (int i = 0, count; ok && i < sentences; i += count) {
        count = fitting(c, windows + i, sentences - i);
        ok = decode_part(c, count, sources + i, lengths + i, windows + i, results + i, err);
    }
    ksk_free(windows);
    for (int i = 0; !ok && i < sentences; i++)
        ksk_nbest_clear(&results[i]);
    return ok;
}

static bool decode(ksk_markov *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    (void)numbers;
    cascade c;
    /* The start token, which max_length counts, is no token of a Markov scorer's target. */
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target + 1, err) ||
        !check_cascade(&options->cascade, scorer, err) || !check_constraints(options, err))
        return false;
    choose(&c, scorer, options);
    return sentences == 0 || decode_all(&c, sentences, sources, lengths, results, err);
}

const ksk_decoder ksk_decoder_cascade = {
    .name = "cascade",
    .citation = "Deng and Rush 2020, Cascaded Text Generation with Markov Transformers",
    .decode_markov = decode,
};
