/* Cascaded decoding over a scorer without a model: against all outputs of all lengths, batches,
 * wrong settings, memory. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decode/decoders.h"
#include "decode/markov_table.h"
#include "fault.h"
#include "kaskad/memory.h"

enum { most_sentences = 9, most_tokens = 48 };

typedef struct sources {
    int32_t ids[most_sentences][markov_most_source];
    const int32_t *pointers[most_sentences];
    int lengths[most_sentences];
} sources;

static void make_sources(sources *s, uint64_t seed)
{
    for (int i = 0; i < most_sentences; i++) {
        const ksk_key key = ksk_key_split(ksk_key_from_seed(seed), (uint64_t)i);
        s->lengths[i] = 1 + (int)(ksk_random_bits(key, 0) % markov_most_source);
        for (int j = 0; j < s->lengths[i]; j++)
            s->ids[i][j] = (int32_t)(ksk_random_bits(key, (uint64_t)j + 1) % 1000);
        s->pointers[i] = s->ids[i];
    }
}

static ksk_decode_options options_of(int topk, int rounds, int delta)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.cascade.topk = topk;
    options.cascade.rounds = rounds;
    options.cascade.delta = delta;
    return options;
}

static bool run(markov_table t, const ksk_decode_options *options, const sources *s, int from,
                int count, ksk_nbest *results, ksk_error *err)
{
    markov_scorer *const scorer = markov_scorer_new(t);
    if (!scorer)
        return ksk_fail_memory(err);
    const bool ok = ksk_decoder_cascade.decode_markov(
        &scorer->base, count, s->pointers + from, s->lengths + from, options, NULL, results, err);
    scorer->base.free(&scorer->base);
    return ok;
}

/* --- all outputs --------------------------------------------------------------------------------
 */

typedef struct search {
    const markov_table *table;
    uint32_t source;
    int order, lo, hi;
    float reward; /* of a token */
    int32_t ids[most_tokens], best_ids[most_tokens];
    int best_length;
    float best;
    bool tie;
} search;

static void end_here(search *s, int length, float sum)
{
    if (sum < s->best)
        return;
    s->tie = sum == s->best;
    s->best = sum;
    s->best_length = length;
    memcpy(s->best_ids, s->ids, sizeof s->ids);
}

/* Tries all tokens behind the first `length`. */
static void extend(search *s, int length, float sum)
{
    const int context = length < s->order ? length : s->order;
    for (int32_t token = 0; token < s->table->vocabulary; token++) {
        if (token == s->table->pad_id || (token == markov_end && length + 1 < s->lo))
            continue;
        s->ids[length] = token;
        const float next = sum + markov_potential(s->table, s->source, length,
                                                  s->ids + length - context, context, token);
        if (token == markov_end)
            end_here(s, length + 1, next + s->reward * (float)(length + 1));
        else if (length + 1 < s->hi)
            extend(s, length + 1, next);
    }
}

/* The cascade with K large enough is exact. */
static void compare_search(markov_table t, int rounds, int delta, int lo, int hi, int topk,
                           float reward)
{
    sources s;
    int compared = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        make_sources(&s, seed);
        for (int i = 0; i < most_sentences; i++) {
            search all = {&t,
                          markov_source(s.ids[i], s.lengths[i]),
                          rounds ? rounds - 1 : t.order,
                          lo,
                          hi,
                          reward,
                          .best = -INFINITY};
            extend(&all, 0, 0);
            ksk_nbest result = {0};
            ksk_decode_options options = options_of(topk, rounds, delta);
            options.cascade.length_reward = (double)reward;
            assert_true(run(t, &options, &s, i, 1, &result, NULL));
            assert_int_equal(result.count, 1);
            const ksk_hypothesis *const h = &result.hypotheses[0];
            assert_true(h->finished);
            if (!(h->score == (double)all.best &&
                  h->log_prob == h->score - (double)reward * h->length))
                fail_msg("seed %u, source %d of %d: %.9g for %d tokens, not %.9g for %d", t.seed, i,
                         (int)seed, h->score, h->length, (double)all.best, all.best_length);
            if (!all.tie) {
                assert_int_equal(h->length, all.best_length);
                assert_memory_equal(h->ids, all.best_ids, (size_t)h->length * sizeof *h->ids);
                compared++;
            }
            ksk_nbest_clear(&result);
        }
    }
    assert_in_range(compared, 6 * most_sentences - 3, 6 * most_sentences);
}

static void test_all_outputs(void **state)
{
    /* a = 0: the same lengths for all sources. T = round(b + 1). */
    compare_search((markov_table){1, 8, 4, 0, 3, -1}, 2, 1, 3, 5, 9, 0);
    compare_search((markov_table){2, 8, 4, 0, 3, 3}, 2, 1, 3, 5, 9, 0);
    compare_search((markov_table){3, 6, 2, 0, 3.4, 0}, 3, 1, 3, 5, 40, 0);
    compare_search((markov_table){4, 5, 3, 0, 2, 1}, 4, 2, 2, 5, 70, 0);
    compare_search((markov_table){5, 4, 4, 0, 4, 3}, 5, 0, 5, 5, 40, 0);
    compare_search((markov_table){6, 4, 4, 0, 1.5, 3}, 0, 3, 2, 5, 60, 0); /* 2.5 rounds to 2 */
    compare_search((markov_table){7, 5, 4, 0, 1, 3}, 5, 0, 2, 2, 60, 0);   /* L = 3: three rounds */
    /* Rewards make the lengths win that lose without. */
    compare_search((markov_table){2, 8, 4, 0, 3, 3}, 2, 1, 3, 5, 9, 2);
    compare_search((markov_table){3, 6, 2, 0, 3.4, 0}, 3, 1, 3, 5, 40, -1);
    compare_search((markov_table){8, 7, 1, 0, 4, 6}, 2, 0, 5, 5, 7, 0);
}

/* --- pruning ------------------------------------------------------------------------------------
 */

/* The score of an output from its tokens. */
static double score_of(const markov_table *t, const sources *s, int i, int order,
                       const ksk_hypothesis *h)
{
    double sum = 0;
    for (int at = 0; at < h->length; at++) {
        const int context = at < order ? at : order;
        sum += (double)markov_potential(t, markov_source(s->ids[i], s->lengths[i]), at,
                                        h->ids + at - context, context, h->ids[at]);
    }
    return sum;
}

/* Whatever K: the score is that of the tokens, the length is in the window; a much larger K is
 * better on the whole. */
static void test_small_topk(void **state)
{
    const markov_table t = {9, 50, 4, 0.9, 1.2, 1};
    double sums[4] = {0};
    sources s;
    make_sources(&s, 11);
    for (int size = 0; size < 4; size++) {
        ksk_nbest results[most_sentences] = {{0}};
        const ksk_decode_options options = options_of(1 << 2 * size, 0, 3);
        assert_true(run(t, &options, &s, 0, most_sentences, results, NULL));
        for (int i = 0; i < most_sentences; i++) {
            const ksk_hypothesis *const h = &results[i].hypotheses[0];
            const int predicted = (int)nearbyint(0.9 * (s.lengths[i] - 1) + 2.2);
            assert_in_range(h->length, predicted - 3 < 2 ? 2 : predicted - 3, predicted + 3);
            assert_true(h->score == score_of(&t, &s, i, 4, h));
            assert_int_equal(h->ids[h->length - 1], markov_end);
            for (int j = 0; j < h->length - 1; j++)
                assert_true(h->ids[j] != markov_end && h->ids[j] != t.pad_id);
            sums[size] += h->score;
            ksk_nbest_clear(&results[i]);
        }
    }
    assert_true(sums[3] > sums[1] && sums[1] > sums[0]);
}

static void test_banned_and_max_length(void **state)
{
    static const int32_t banned[] = {5, 0, markov_end};
    const markov_table t = {10, 7, 2, 1, 0, -1};
    ksk_nbest results[most_sentences] = {{0}};
    ksk_decode_options options = options_of(9, 3, 2);
    sources s;
    make_sources(&s, 12);
    options.banned = banned;
    options.banned_count = 3;
    options.max_length = 6;
    assert_true(run(t, &options, &s, 0, most_sentences, results, NULL));
    for (int i = 0; i < most_sentences; i++) {
        const ksk_hypothesis *const h = &results[i].hypotheses[0];
        assert_in_range(h->length, 2, 5); /* and the start token */
        for (int j = 0; j < h->length; j++)
            assert_true(h->ids[j] != 5 && h->ids[j] != 0);
        ksk_nbest_clear(&results[i]);
    }
}

/* --- company ------------------------------------------------------------------------------------
 */

static void assert_same(const ksk_nbest *a, const ksk_nbest *b)
{
    assert_int_equal(a->count, 1);
    assert_int_equal(b->count, 1);
    assert_int_equal(a->hypotheses[0].length, b->hypotheses[0].length);
    assert_memory_equal(a->hypotheses[0].ids, b->hypotheses[0].ids,
                        (size_t)a->hypotheses[0].length * sizeof(int32_t));
    assert_true(a->hypotheses[0].score == b->hypotheses[0].score);
}

static void test_any_company(void **state)
{
    const markov_table t = {13, 30, 3, 1.1, 0.4, 4};
    sources s;
    make_sources(&s, 14);
    for (int rounds = 2; rounds <= 4; rounds++) {
        ksk_nbest together[most_sentences] = {{0}}, parts[most_sentences] = {{0}};
        ksk_decode_options options = options_of(6, rounds, 2);
        assert_true(run(t, &options, &s, 0, most_sentences, together, NULL));
        options.cascade.memory = 60000; /* a few sentences at a time */
        markov_scorer *const scorer = markov_scorer_new(t);
        assert_true(ksk_decoder_cascade.decode_markov(&scorer->base, most_sentences, s.pointers,
                                                      s.lengths, &options, NULL, parts, NULL));
        assert_in_range(scorer->starts, 2, most_sentences - 1);
        assert_int_equal(scorer->rounds, rounds * scorer->starts);
        scorer->base.free(&scorer->base);
        for (int i = 0; i < most_sentences; i++) {
            ksk_nbest alone = {0};
            assert_true(run(t, &options, &s, i, 1, &alone, NULL));
            assert_same(&alone, &together[i]);
            assert_same(&alone, &parts[i]);
            ksk_nbest_clear(&alone);
            ksk_nbest_clear(&together[i]);
            ksk_nbest_clear(&parts[i]);
        }
    }
}

/* --- watching -----------------------------------------------------------------------------------
 */

typedef struct watched {
    const markov_table *table;
    uint32_t source;
    int rounds; /* seen so far */
    double score;
    int32_t ids[most_tokens];
} watched;

static const int32_t *state_of(const ksk_cascade_view *v, int node, int k)
{
    return v->tokens + ((size_t)node * (size_t)v->topk + (size_t)k) * (size_t)v->room;
}

/* The best max-marginal of an edge. */
static float best_of(const ksk_cascade_view *v, int edge)
{
    const size_t K = (size_t)v->topk, l = (size_t)edge;
    float best = -INFINITY;
    for (size_t k = 0; k < (size_t)v->counts[l]; k++)
        for (size_t n = 0; n < (size_t)v->counts[l + 1]; n++)
            best = fmaxf(best, v->alpha[l * K + k] + v->potentials[(l * K + k) * K + n] +
                                   v->beta[(l + 1) * K + n]);
    return best;
}

static void see(void *context, const ksk_cascade_view *v)
{
    watched *const w = context;
    assert_int_equal(v->sentence, 0);
    assert_int_equal(v->round, w->rounds++);
    assert_int_equal(v->order, v->round ? v->round : 1);
    assert_int_equal(v->length, v->hi + 1);
    for (int l = 0; l <= v->length - v->order; l++)
        assert_in_range(v->counts[l], 1, v->topk);
    if (v->round == 0) {
        assert_int_equal(state_of(v, v->length - 1, 0)[0], -1);
        for (int l = 0; l < v->lo - 1; l++) {
            const int32_t token = state_of(v, l, v->counts[l] - 1)[0];
            const float score = markov_potential(w->table, w->source, l, NULL, 0, token);
            assert_true(v->log_probs[l * v->vocabulary + token] == score);
        }
        return;
    }
    assert_null(v->log_probs);
    w->score = (double)best_of(v, 0);
    for (int l = 1; l < v->length - v->order; l++)
        assert_true((double)best_of(v, l) == w->score);
    assert_true((v->path != NULL) == (v->round == 3));
    for (int l = 0; v->path && l <= v->length - v->order; l++)
        w->ids[l] = state_of(v, l, v->path[l])[0];
}

/* Every round is seen, and the last one's path is the output. */
static void test_watched(void **state)
{
    const markov_table t = {20, 9, 3, 1, 2, 1};
    sources s;
    make_sources(&s, 20);
    for (int i = 0; i < most_sentences; i++) {
        watched w = {.table = &t, .source = markov_source(s.ids[i], s.lengths[i])};
        const ksk_cascade_watcher watcher = {see, &w};
        ksk_decode_options options = options_of(4, 4, 1);
        ksk_nbest plainly = {0}, result = {0};
        assert_true(run(t, &options, &s, i, 1, &plainly, NULL));
        options.cascade.watcher = &watcher;
        assert_true(run(t, &options, &s, i, 1, &result, NULL));
        assert_same(&plainly, &result);
        assert_int_equal(w.rounds, 4);
        assert_true(w.score == result.hypotheses[0].score);
        /* The path's states begin with all tokens but those of the last state. */
        const int common = result.hypotheses[0].length - 3;
        for (int j = 0; j < common; j++)
            assert_int_equal(w.ids[j], result.hypotheses[0].ids[j]);
        ksk_nbest_clear(&plainly);
        ksk_nbest_clear(&result);
    }
}

/* --- fewer states, fewer words ------------------------------------------------------------------
 */

typedef struct outcome {
    ksk_nbest results[most_sentences];
    long rows;
} outcome;

static outcome decode_with(markov_table t, const ksk_decode_options *options, const sources *s)
{
    outcome o = {.rows = 0};
    markov_scorer *const scorer = markov_scorer_new(t);
    assert_non_null(scorer);
    ksk_error err = {0};
    if (!ksk_decoder_cascade.decode_markov(&scorer->base, most_sentences, s->pointers, s->lengths,
                                           options, NULL, o.results, &err))
        fail_msg("%s", err.message);
    o.rows = scorer->rows;
    scorer->base.free(&scorer->base);
    return o;
}

static void clear(outcome *o)
{
    for (int i = 0; i < most_sentences; i++)
        ksk_nbest_clear(&o->results[i]);
}

/* A threshold that drops nothing, and keeping all, change nothing; less of either costs fewer
 * rows. */
static void test_pruning(void **state)
{
    const markov_table t = {21, 30, 3, 1, 0, 3};
    sources s;
    make_sources(&s, 5);
    ksk_decode_options options = options_of(6, 4, 2);
    outcome full = decode_with(t, &options, &s);
    options.cascade.threshold = 1e6;
    options.cascade.keep = 6;
    outcome same = decode_with(t, &options, &s);
    options.cascade.threshold = 4;
    outcome near = decode_with(t, &options, &s);
    options.cascade.threshold = INFINITY;
    options.cascade.keep = 2;
    outcome few = decode_with(t, &options, &s);
    assert_true(same.rows == full.rows && near.rows < full.rows && few.rows < full.rows);
    for (int i = 0; i < most_sentences; i++)
        assert_same(&full.results[i], &same.results[i]);
    clear(&full);
    clear(&same);
    clear(&near);
    clear(&few);
}

/* A threshold of 0 leaves the best path of the first contexts, and no more rounds. */
static void test_early_end(void **state)
{
    const markov_table t = {22, 30, 3, 1, 0, 3};
    sources s;
    make_sources(&s, 6);
    ksk_decode_options options = options_of(6, 2, 2);
    outcome bigrams = decode_with(t, &options, &s);
    options.cascade.rounds = 4;
    options.cascade.threshold = 0;
    outcome early = decode_with(t, &options, &s);
    options.cascade.rounds = 2;
    outcome narrow = decode_with(t, &options, &s);
    assert_true(early.rows == narrow.rows && early.rows < bigrams.rows);
    for (int i = 0; i < most_sentences; i++)
        assert_same(&early.results[i], &narrow.results[i]);
    clear(&bigrams);
    clear(&early);
    clear(&narrow);
}

/* With every word in the support only the norms are new: probabilities of the whole vocabulary. */
static void test_support(void **state)
{
    const markov_table t = {23, 12, 2, 1, 0, -1};
    sources s;
    make_sources(&s, 7);
    ksk_decode_options options = options_of(8, 3, 1);
    outcome potentials = decode_with(t, &options, &s);
    options.cascade.support = 12;
    outcome shares = decode_with(t, &options, &s);
    int differ = 0;
    for (int i = 0; i < most_sentences; i++) {
        const ksk_hypothesis *const h = &shares.results[i].hypotheses[0];
        const uint32_t source = markov_source(s.ids[i], s.lengths[i]);
        double sum = 0;
        for (int l = 0; l < h->length; l++) {
            const int context = l < 2 ? l : 2;
            double norm = 0;
            for (int32_t token = 0; l > 0 && token < t.vocabulary; token++)
                norm += exp(
                    (double)markov_potential(&t, source, l, h->ids + l - context, context, token));
            sum +=
                (double)markov_potential(&t, source, l, h->ids + l - context, context, h->ids[l]) -
                (l > 0 ? log(norm) : 0);
        }
        assert_float_equal(h->score, sum, 1e-4);
        differ += h->length != potentials.results[i].hypotheses[0].length ||
                  h->score != potentials.results[i].hypotheses[0].score;
    }
    assert_true(differ > 0);
    clear(&potentials);
    clear(&shares);
}

/* --- wrong settings -----------------------------------------------------------------------------
 */

static const markov_table plain = {15, 20, 3, 1, 0, 1};

static void refuse_table(markov_table t, ksk_decode_options options, const char *message)
{
    markov_scorer *const scorer = markov_scorer_new(t);
    ksk_nbest results[2] = {{0}};
    ksk_error err = {0};
    sources s;
    make_sources(&s, 16);
    assert_false(ksk_decoder_cascade.decode_markov(&scorer->base, 2, s.pointers, s.lengths,
                                                   &options, NULL, results, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    assert_int_equal(scorer->starts, 0);
    assert_null(results[0].hypotheses);
    scorer->base.free(&scorer->base);
}

#define REFUSE(field, value, message)                                                              \
    do {                                                                                           \
        ksk_decode_options options = ksk_decode_defaults();                                        \
        options.field = (value);                                                                   \
        refuse_table(plain, options, message);                                                     \
    } while (0)

static void test_wrong_settings(void **state)
{
    REFUSE(cascade.topk, 0, "topk is 0");
    REFUSE(cascade.topk, 1025, "topk is 1025");
    REFUSE(cascade.keep, -1, "keep is -1");
    REFUSE(cascade.keep, 17, "topk, 16");
    REFUSE(cascade.support, 15, "at least topk, 16");
    REFUSE(cascade.support, 1025, "at most 1024");
    REFUSE(cascade.threshold, -0.5, "threshold is -0.5");
    REFUSE(cascade.threshold, NAN, "threshold is nan");
    REFUSE(cascade.rounds, -1, "rounds is -1");
    REFUSE(cascade.rounds, 1, "rounds is 1");
    REFUSE(cascade.rounds, 5, "rounds is 5, but the model's order 3 allows 4");
    REFUSE(cascade.delta, -1, "delta is -1");
    REFUSE(cascade.length_a, INFINITY, "length line");
    REFUSE(cascade.length_b, -INFINITY, "length line");
    REFUSE(cascade.length_b, -40, "sentence 0: the length line 1·");
    REFUSE(max_length, 2, "leaves no output of 2 tokens");
    REFUSE(cascade.memory, 0, "memory is 0");
    REFUSE(cascade.memory, 9000, "lower topk or raise memory");
    REFUSE(n_best, 2, "n_best above 1");
    REFUSE(min_length, 3, "min_length");
    REFUSE(no_repeat_ngram, 2, "no_repeat_ngram");
    REFUSE(repetition_penalty, 1.5F, "repetition_penalty");
    REFUSE(forced_first, 3, "forced_first");
    REFUSE(beams, 0, "beams is 0");
    refuse_table((markov_table){15, 20, 0, 1, 0, 1}, ksk_decode_defaults(), "order is 0");
    ksk_decode_options options = ksk_decode_defaults();
    const int32_t prefix = 4;
    options.prefix = &prefix;
    options.prefix_length = 1;
    refuse_table(plain, options, "prefix");
}

static void test_wrong_sources(void **state)
{
    markov_scorer *const scorer = markov_scorer_new(plain);
    const ksk_decode_options options = ksk_decode_defaults();
    const int lengths[] = {2, markov_most_source + 1};
    ksk_nbest results[2] = {{0}};
    ksk_error err = {0};
    sources s;
    make_sources(&s, 17);
    assert_false(ksk_decoder_cascade.decode_markov(&scorer->base, 2, s.pointers, lengths, &options,
                                                   NULL, results, &err));
    assert_string_equal(err.message, "source 1 has 13 tokens; the model takes 1 to 12");
    assert_true(ksk_decoder_cascade.decode_markov(&scorer->base, 0, NULL, NULL, &options, NULL,
                                                  NULL, &err));
    assert_int_equal(scorer->starts, 0);
    scorer->base.free(&scorer->base);
}

/* All words but the end are banned: there is no output of two tokens. */
static void test_nothing_left(void **state)
{
    static const int32_t banned[] = {0, 1, 3};
    const markov_table t = {18, 4, 2, 0, 2, -1};
    ksk_decode_options options = options_of(4, 3, 1);
    ksk_nbest result = {0};
    ksk_error err = {0};
    sources s;
    make_sources(&s, 18);
    options.banned = banned;
    options.banned_count = 3;
    assert_false(run(t, &options, &s, 0, 1, &result, &err));
    assert_non_null(strstr(err.message, "sentence 0: no output is left"));
    assert_null(result.hypotheses);
}

/* --- memory -------------------------------------------------------------------------------------
 */

static bool decode_three(void *context, ksk_error *err)
{
    const ksk_decode_options options = options_of(5, 4, 2);
    ksk_nbest results[3] = {{0}};
    const bool ok = run(plain, &options, context, 0, 3, results, err);
    for (int i = 0; i < 3; i++) {
        assert_true(ok || !results[i].hypotheses);
        ksk_nbest_clear(&results[i]);
    }
    return ok;
}

static void test_memory(void **state)
{
    sources s;
    make_sources(&s, 19);
    assert_true(fault_sweep(decode_three, &s) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_outputs),
        cmocka_unit_test(test_small_topk),
        cmocka_unit_test(test_banned_and_max_length),
        cmocka_unit_test(test_any_company),
        cmocka_unit_test(test_pruning),
        cmocka_unit_test(test_early_end),
        cmocka_unit_test(test_support),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_wrong_sources),
        cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
