/* EM goes through the source tokens, not through the sentences: what a token translates to is
 * spread out over the target vocabulary, and every sentence that has it is visited. So no table is
 * searched, and memory is that of the entries kept. */
#include "data/lexicon.h"

#include <string.h>

#include "kaskad/memory.h"

typedef struct learner {
    const ksk_pairs *pairs;
    const ksk_lexicon_options *options;
    size_t *offsets;      /* [source_size + 1]: where a source token's sentences begin */
    uint32_t *sentences;  /* [source_tokens]: numbers of pairs, as often as the token is in them */
    float *sums;          /* [id_count]: for a target token's place, p(it | source), summed */
    float *probabilities; /* [target_size]: of the present source token; else zero */
    float *counts;        /* [target_size]: expected, of the present source token; else zero */
} learner;

void ksk_lexicon_clear(ksk_lexicon *lexicon)
{
    ksk_free(lexicon->offsets);
    ksk_free(lexicon->entries);
    *lexicon = (ksk_lexicon){0};
}

static void clear(learner *l)
{
    ksk_free(l->offsets);
    ksk_free(l->sentences);
    ksk_free(l->sums);
    ksk_free(l->probabilities);
    ksk_free(l->counts);
}

static bool prepare(learner *l, ksk_error *err)
{
    const size_t targets = (size_t)l->options->target_size;
    l->offsets = ksk_calloc((size_t)l->options->source_size + 1, sizeof *l->offsets);
    l->sentences = ksk_calloc((size_t)l->pairs->source_tokens, sizeof *l->sentences);
    l->sums = ksk_calloc(l->pairs->id_count, sizeof *l->sums);
    l->probabilities = ksk_calloc(targets, sizeof *l->probabilities);
    l->counts = ksk_calloc(targets, sizeof *l->counts);
    return (l->offsets && l->sentences && l->sums && l->probabilities && l->counts) ||
           ksk_fail_memory(err);
}

/* Counting sort of the source tokens' places. */
static void find_sentences(learner *l)
{
    const ksk_pairs *const p = l->pairs;
    size_t total = 0;
    for (size_t i = 0; i < p->count; i++)
        for (int k = 0; k < p->pairs[i].source_length; k++)
            l->offsets[p->ids[p->pairs[i].source + (size_t)k]]++;
    for (int s = 0; s <= l->options->source_size; s++) { /* to where each one's end */
        total += l->offsets[s];
        l->offsets[s] = total;
    }
    for (size_t i = p->count; i-- > 0;)
        for (int k = p->pairs[i].source_length; k-- > 0;)
            l->sentences[--l->offsets[p->ids[p->pairs[i].source + (size_t)k]]] = (uint32_t)i;
}

static void spread(learner *l, const ksk_lexicon *lexicon, int source)
{
    for (size_t i = lexicon->offsets[source]; i < lexicon->offsets[source + 1]; i++)
        l->probabilities[lexicon->entries[i].target] = lexicon->entries[i].probability;
}

static void unspread(learner *l, const ksk_lexicon *lexicon, int source)
{
    for (size_t i = lexicon->offsets[source]; i < lexicon->offsets[source + 1]; i++)
        l->probabilities[lexicon->entries[i].target] = 0;
}

/* The denominators of the expectations. */
static void add_up(learner *l, const ksk_lexicon *lexicon)
{
    /* What no entry explains is given to nobody, and not divided by zero. */
    for (size_t i = 0; i < l->pairs->id_count; i++)
        l->sums[i] = 1e-30f;
    for (int s = 0; s < l->options->source_size; s++) {
        spread(l, lexicon, s);
        for (size_t i = l->offsets[s]; i < l->offsets[s + 1]; i++) {
            const ksk_pair *const pair = &l->pairs->pairs[l->sentences[i]];
            const int32_t *const targets = l->pairs->ids + pair->target;
            float *const sums = l->sums + pair->target;
            for (int k = 0; k < pair->target_length - 1; k++)
                sums[k] += l->probabilities[targets[k]];
        }
        unspread(l, lexicon, s);
    }
}

/* Expected counts of a source token; nothing is known before the first iteration, so every source
 * token of a sentence has its share. */
static void count(learner *l, const ksk_lexicon *lexicon, int source)
{
    for (size_t i = l->offsets[source]; i < l->offsets[source + 1]; i++) {
        const ksk_pair *const pair = &l->pairs->pairs[l->sentences[i]];
        const int32_t *const targets = l->pairs->ids + pair->target;
        const float *const sums = l->sums + pair->target;
        const float share = 1 / (float)pair->source_length;
        for (int k = 0; k < pair->target_length - 1; k++)
            l->counts[targets[k]] +=
                lexicon->offsets ? l->probabilities[targets[k]] / sums[k] : share;
    }
}

/* Appends the entries of a source token from its counts, which are zero again. */
static bool normalise(learner *l, ksk_lexicon *next, int source)
{
    size_t at = next->offsets[source];
    double total = 0;
    size_t many = 0;
    for (int t = 0; t < l->options->target_size; t++) {
        total += l->counts[t];
        many += l->counts[t] > 0;
    }
    if (!ksk_grow(&next->entries, &next->capacity, at + many, sizeof *next->entries))
        return false;
    for (int t = 0; many && t < l->options->target_size; t++) {
        const float probability = (float)(l->counts[t] / total);
        if (l->counts[t] > 0 && probability >= l->options->least)
            next->entries[at++] = (ksk_lexicon_entry){t, probability};
        l->counts[t] = 0;
    }
    next->offsets[source + 1] = at;
    return true;
}

/* One step of EM, from a lexicon to the next; from an empty one to the first. */
static bool iterate(learner *l, const ksk_lexicon *lexicon, ksk_lexicon *next)
{
    next->source_size = l->options->source_size;
    next->offsets = ksk_calloc((size_t)next->source_size + 1, sizeof *next->offsets);
    if (!next->offsets)
        return false;
    if (lexicon->offsets)
        add_up(l, lexicon);
    for (int s = 0; s < next->source_size; s++) {
        if (lexicon->offsets)
            spread(l, lexicon, s);
        count(l, lexicon, s);
        if (lexicon->offsets)
            unspread(l, lexicon, s);
        if (!normalise(l, next, s))
            return false;
    }
    return true;
}

bool ksk_lexicon_learn(const ksk_pairs *pairs, const ksk_lexicon_options *options,
                       ksk_lexicon *lexicon, ksk_error *err)
{
    learner l = {.pairs = pairs, .options = options};
    bool ok = prepare(&l, err);
    if (ok)
        find_sentences(&l);
    for (int i = 0; ok && i < options->iterations; i++) {
        ksk_lexicon next = {0};
        ok = iterate(&l, lexicon, &next) || ksk_fail_memory(err);
        ksk_lexicon_clear(lexicon);
        *lexicon = next;
        if (ok && options->watch && !options->watch(options->context, i + 1))
            ok = ksk_fail(err, KSK_INTERRUPTED, "stopped after %d iterations", i + 1);
    }
    clear(&l);
    return ok;
}
