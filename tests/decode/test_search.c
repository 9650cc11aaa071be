/* What must hold of the decoders whatever the reference says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decode/run.h"
#include "kaskad/memory.h"

static run_sources sources;

static void clear(ksk_nbest *results, int count)
{
    for (int i = 0; i < count; i++)
        ksk_nbest_clear(&results[i]);
}

/* --- company does not matter --- */

static void check_company(const char *decoder, const ksk_decode_options *options)
{
    const table t = {31, 53, 7, 1};
    ksk_nbest many[17] = {{0}};
    assert_true(run_decoder(decoder, t, options, &sources, 0, 17, many, NULL));
    for (int i = 0; i < 17; i++) {
        ksk_nbest one = {0};
        assert_true(run_decoder(decoder, t, options, &sources, i, 1, &one, NULL));
        assert_same_nbest(&one, &many[i]);
        ksk_nbest_clear(&one);
    }
    clear(many, 17);
}

static void test_company(void **state)
{
    const int32_t prefix[] = {9, 4};
    ksk_decode_options options = ksk_decode_defaults();
    options.max_length = 19;
    check_company("greedy", &options);
    options.no_repeat_ngram = 2;
    options.prefix = prefix;
    options.prefix_length = 2;
    check_company("greedy", &options);
    options.n_best = 3;
    options.top_p = 0.9f;
    options.seed = 77;
    check_company("sample", &options);
    options.beams = 5;
    for (int rule = KSK_STOP_HEURISTIC; rule <= KSK_STOP_NEVER; rule++) {
        options.early_stopping = (ksk_early_stopping)rule;
        check_company("beam", &options);
    }
}

/* --- beam search against all hypotheses there are --- */

typedef struct all {
    table t;
    uint32_t source;
    int max_length;
    int32_t ids[8];
    int32_t best_ids[8];
    int best_length;
    double best;
} all;

static void visit(all *a, int length, double sum)
{
    float logits[8];
    table_logits(&a->t, a->source, length > 1 ? a->ids[length - 2] : -1, a->ids[length - 1],
                 logits);
    double total = 0;
    for (int i = 0; i < a->t.vocabulary; i++)
        total += exp((double)logits[i]);
    for (int32_t token = 0; token < a->t.vocabulary; token++) {
        const double grown = sum + (double)logits[token] - log(total);
        a->ids[length] = token;
        if (token != table_end && length + 1 < a->max_length) {
            visit(a, length + 1, grown);
        } else if (grown > a->best) {
            a->best = grown;
            a->best_length = length;
            memcpy(a->best_ids, a->ids + 1, (size_t)length * sizeof *a->ids);
        }
    }
}

static void test_exhaustive(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = 256; /* nothing is ever dropped: 5 tokens, 4 to generate */
    options.max_length = 5;
    options.length_penalty = 0;
    options.early_stopping = KSK_STOP_NEVER;
    const table t = {5, 5, 3, 0};
    ksk_nbest results[9] = {{0}};
    assert_true(run_decoder("beam", t, &options, &sources, 0, 9, results, NULL));
    for (int i = 0; i < 9; i++) {
        all a = {.t = t,
                 .source = (uint32_t)sources.ids[i][0],
                 .max_length = 5,
                 .ids = {table_start},
                 .best = -INFINITY};
        visit(&a, 1, 0);
        const ksk_hypothesis *const h = &results[i].hypotheses[0];
        assert_int_equal(h->length, a.best_length);
        assert_memory_equal(h->ids, a.best_ids, (size_t)h->length * sizeof *h->ids);
        assert_true(fabs(h->score - a.best) < 1e-5);
    }
    clear(results, 9);
}

/* --- order --- */

static void test_best_first(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = options.n_best = 64;
    options.max_length = 12;
    ksk_nbest results[3] = {{0}};
    assert_true(
        run_decoder("beam", (table){6, 331, 6, 3}, &options, &sources, 4, 3, results, NULL));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(results[i].count, 64);
        for (int j = 1; j < 64; j++) {
            const ksk_hypothesis *const a = &results[i].hypotheses[j - 1];
            const ksk_hypothesis *const b = &results[i].hypotheses[j];
            assert_true(a->score >= b->score);
            assert_true(a->length != b->length ||
                        memcmp(a->ids, b->ids, (size_t)a->length * sizeof *a->ids) != 0);
        }
    }
    clear(results, 3);
}

/* All tokens are equally likely, so only the rule for ties decides. */
static void flatten(const void *settings, ksk_scores *scores)
{
    for (int i = 0; i < scores->vocabulary; i++)
        scores->values[i] = -2;
}

static void test_ties(void **state)
{
    const ksk_processor flat = {"flat", flatten, NULL};
    const int32_t banned[] = {1, 2};
    ksk_decode_options options = ksk_decode_defaults();
    options.processors = &flat;
    options.processor_count = 1;
    options.max_length = 4;
    const table t = {1, 130, 5, 0};
    ksk_nbest greedy = {0}, beam = {0};
    assert_true(run_decoder("greedy", t, &options, &sources, 0, 1, &greedy, NULL));
    assert_int_equal(greedy.hypotheses[0].length, 1);
    assert_int_equal(greedy.hypotheses[0].ids[0], 0);
    options.beams = options.n_best = 3;
    options.early_stopping = KSK_STOP_AT_ONCE;
    options.banned = banned; /* undone by the processor after them */
    options.banned_count = 2;
    assert_true(run_decoder("beam", t, &options, &sources, 0, 1, &beam, NULL));
    static const int32_t expected[3][3] = {{0}, {1, 0}, {1, 1, 0}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(beam.hypotheses[i].length, i + 1);
        assert_memory_equal(beam.hypotheses[i].ids, expected[i], (size_t)(i + 1) * sizeof(int32_t));
        assert_true(beam.hypotheses[i].score == -2);
    }
    ksk_nbest_clear(&greedy);
    ksk_nbest_clear(&beam);
}

/* --- rules --- */

static void test_length_rule(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = options.n_best = 4;
    options.max_length = 6;
    options.length_penalty = 0.7f;
    options.length_rule = KSK_LENGTH_WITHOUT_END;
    ksk_nbest results[5] = {{0}};
    assert_true(run_decoder("beam", (table){8, 37, 5, 2}, &options, &sources, 0, 5, results, NULL));
    int cut = 0, immediate = 0;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < results[i].count; j++) {
            const ksk_hypothesis *const h = &results[i].hypotheses[j];
            const int counted = h->finished ? h->length - 1 : h->length;
            cut += !h->finished;
            immediate += counted == 0;
            const double scale = pow(counted > 0 ? counted : 1, 0.7);
            assert_true(fabs(h->score - h->log_prob / scale) < 1e-5);
        }
    assert_true(cut > 0 && immediate > 0);
    clear(results, 5);
}

/* Fed: one row a sentence for each token of the prompt, then no more than the beams. A sentence
 * that is done is not fed again. */
static void test_rows(void **state)
{
    const int32_t prefix[] = {5, 6, 7};
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = 4;
    options.max_length = 30;
    options.prefix = prefix;
    options.prefix_length = 3;
    long alone = 0;
    for (int count = 1; count <= 7; count += 6) {
        table_scorer *const scorer = table_scorer_new((table){9, 47, 7, 2});
        ksk_nbest results[7] = {{0}};
        long rows = 0;
        for (int i = 0; i < 7; i += count) {
            assert_true(ksk_decoder_find("beam")->decode(&scorer->base, count, sources.pointers + i,
                                                         sources.lengths + i, &options, 0,
                                                         results + i, NULL));
        }
        rows = scorer->rows;
        assert_true(rows <= 7 * (4 + 4 * (30 - 5)));
        if (count == 1)
            alone = rows;
        else
            assert_int_equal(rows, alone);
        clear(results, 7);
        scorer->base.free(&scorer->base);
    }
}

/* A processor of the user's own sees what was fed and changes what is chosen. */
static void only_counting_up(const void *settings, ksk_scores *scores)
{
    const int step = *(const int *)settings;
    const int32_t wanted = scores->ids[scores->length - 1] + step;
    assert_int_equal(scores->ids[0], table_start);
    for (int i = 0; i < scores->vocabulary; i++)
        if (i != wanted)
            scores->values[i] = -INFINITY;
}

static void test_own_processor(void **state)
{
    const int by = 3;
    const ksk_processor own = {"count", only_counting_up, &by};
    static const char *const names[] = {"greedy", "beam", "sample"};
    for (int d = 0; d < 3; d++) {
        ksk_decode_options options = ksk_decode_defaults();
        options.processors = &own;
        options.processor_count = 1;
        options.max_length = 5;
        options.beams = 2;
        ksk_nbest result = {0};
        assert_true(
            run_decoder(names[d], (table){2, 40, 6, 0}, &options, &sources, 3, 1, &result, NULL));
        static const int32_t expected[] = {6, 9, 12, 15};
        assert_int_equal(result.count, 1);
        assert_int_equal(result.hypotheses[0].length, 4);
        assert_memory_equal(result.hypotheses[0].ids, expected, sizeof expected);
        assert_false(result.hypotheses[0].finished);
        ksk_nbest_clear(&result);
    }
}

static void ban_all(const void *settings, ksk_scores *scores)
{
    if (scores->length == *(const int *)settings)
        for (int i = 0; i < scores->vocabulary; i++)
            scores->values[i] = i % 2 ? -INFINITY : NAN;
}

static void test_stuck(void **state)
{
    const int at = 2;
    const ksk_processor ban = {"ban all", ban_all, &at};
    for (int d = 0; ksk_decoder_at(d)->decode; d++) {
        ksk_decode_options options = ksk_decode_defaults();
        options.processors = &ban;
        options.processor_count = 1;
        options.min_length = 3;
        options.top_k = 5;
        options.top_p = 0.5f;
        ksk_nbest results[2] = {{0}};
        ksk_error err = {0};
        assert_false(run_decoder(ksk_decoder_at(d)->name, (table){2, 40, 6, 0}, &options, &sources,
                                 0, 2, results, &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "position 2"));
        assert_null(results[0].hypotheses);
        assert_int_equal(results[1].count, 0);
    }
}

static void test_registry(void **state)
{
    static const char *const names[] = {"greedy", "beam", "sample", "cascade"};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(ksk_decoder_at(i)->name, names[i]);
        assert_ptr_equal(ksk_decoder_find(names[i]), ksk_decoder_at(i));
        assert_true(strlen(ksk_decoder_at(i)->citation) > 10);
        assert_true(!ksk_decoder_at(i)->decode != !ksk_decoder_at(i)->decode_markov);
    }
    assert_null(ksk_decoder_find("gready"));
    assert_null(ksk_decoder_at(-1));
    int count = 0;
    while (ksk_decoder_at(count))
        count++;
    assert_null(ksk_decoder_at(count + 1));
}

static void test_no_sentences(void **state)
{
    const ksk_decode_options options = ksk_decode_defaults();
    for (int d = 0; ksk_decoder_at(d)->decode; d++)
        assert_true(run_decoder(ksk_decoder_at(d)->name, (table){1, 9, 4, 0}, &options, &sources, 0,
                                0, NULL, NULL));
}

int main(void)
{
    run_sources_fill(&sources);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company),       cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_best_first),    cmocka_unit_test(test_ties),
        cmocka_unit_test(test_length_rule),   cmocka_unit_test(test_rows),
        cmocka_unit_test(test_own_processor), cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_registry),      cmocka_unit_test(test_no_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
