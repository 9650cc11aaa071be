/* Samples follow the distribution they should, and are the same whatever else is drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decode/run.h"
#include "kaskad/memory.h"

enum { vocabulary = 11, draws = 40000 };

static run_sources sources;
static const table small = {23, vocabulary, 4, 0};

/* How often each token came first in many samples of one source. */
static void frequencies(ksk_decode_options options, double *frequency)
{
    memset(frequency, 0, vocabulary * sizeof *frequency);
    options.max_length = 2;
    options.n_best = draws;
    ksk_nbest result = {0};
    assert_true(run_decoder("sample", small, &options, &sources, 6, 1, &result, NULL));
    assert_int_equal(result.count, draws);
    for (int i = 0; i < draws; i++)
        frequency[result.hypotheses[i].ids[0]] += 1.0 / draws;
    ksk_nbest_clear(&result);
}

static void softmax(double temperature, double *p)
{
    float logits[vocabulary];
    double sum = 0;
    table_logits(&small, (uint32_t)sources.ids[6][0], -1, table_start, logits);
    for (int i = 0; i < vocabulary; i++)
        sum += p[i] = exp((double)logits[i] / temperature);
    for (int i = 0; i < vocabulary; i++)
        p[i] /= sum;
}

/* Within five standard deviations. */
static void assert_close(const double *frequency, const double *p)
{
    for (int i = 0; i < vocabulary; i++)
        assert_true(fabs(frequency[i] - p[i]) <= 5 * sqrt(p[i] * (1 - p[i]) / draws));
}

static void test_frequencies(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    double frequency[vocabulary], p[vocabulary];
    options.seed = 4;
    frequencies(options, frequency);
    softmax(1, p);
    assert_close(frequency, p);
    options.temperature = 1.7f;
    frequencies(options, frequency);
    softmax(1.7, p);
    assert_close(frequency, p);
    softmax(1, p); /* the wrong temperature is noticed */
    double furthest = 0;
    for (int i = 0; i < vocabulary; i++)
        furthest = fmax(furthest, fabs(frequency[i] - p[i]));
    assert_true(furthest > 0.02);
}

/* Keeps the likeliest while `keep` says so, and renormalises. */
static void truncate(double *p, int top_k, double top_p)
{
    double kept[vocabulary] = {0}, mass = 0;
    for (int k = 0; k < top_k && mass < top_p; k++) {
        int best = 0;
        for (int i = 1; i < vocabulary; i++)
            best = p[i] > p[best] ? i : best;
        kept[best] = p[best];
        mass += p[best];
        p[best] = -1;
    }
    for (int i = 0; i < vocabulary; i++)
        p[i] = kept[i] / mass;
}

static void test_truncation(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    double frequency[vocabulary], p[vocabulary];
    options.seed = 5;
    options.top_k = 4;
    frequencies(options, frequency);
    softmax(1, p);
    truncate(p, 4, 1);
    assert_close(frequency, p);
    options.top_k = 0;
    options.top_p = 0.7f;
    frequencies(options, frequency);
    softmax(1, p);
    truncate(p, vocabulary, 0.7);
    assert_close(frequency, p);
}

/* Sample s is the same however many are drawn; another seed gives others. */
static void test_samples_stay(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.seed = 6;
    options.max_length = 20;
    options.n_best = 5;
    const table t = {24, 61, 5, 0};
    ksk_nbest many[3] = {{0}}, few[3] = {{0}}, other[3] = {{0}};
    assert_true(run_decoder("sample", t, &options, &sources, 2, 3, many, NULL));
    options.n_best = 2;
    assert_true(run_decoder("sample", t, &options, &sources, 2, 3, few, NULL));
    options.seed = 7;
    assert_true(run_decoder("sample", t, &options, &sources, 2, 3, other, NULL));
    int different = 0;
    for (int i = 0; i < 3; i++) {
        ksk_nbest head = {many[i].hypotheses, 2};
        assert_same_nbest(&head, &few[i]);
        different += memcmp(&few[i].hypotheses[0].log_prob, &other[i].hypotheses[0].log_prob,
                            sizeof(double)) != 0;
        ksk_nbest_clear(&many[i]);
        ksk_nbest_clear(&few[i]);
        ksk_nbest_clear(&other[i]);
    }
    assert_int_equal(different, 3);
}

/* Equal tokens at the k-th place all stay, as in transformers. */
static void two_levels(const void *settings, ksk_scores *scores)
{
    for (int i = 0; i < scores->vocabulary; i++)
        scores->values[i] = i == 3 ? 2 : i < 8 ? 1 : 0;
}

static void test_top_k_ties(void **state)
{
    const ksk_processor levels = {"levels", two_levels, NULL};
    ksk_decode_options options = ksk_decode_defaults();
    options.processors = &levels;
    options.processor_count = 1;
    options.top_k = 3;
    double frequency[vocabulary];
    frequencies(options, frequency);
    for (int i = 0; i < vocabulary; i++)
        assert_int_equal(frequency[i] > 0, i < 8);
}

/* Of equal tokens top-p keeps the higher ones, as in transformers: 4 of 11 hold more than 0.35. */
static void all_equal(const void *settings, ksk_scores *scores)
{
    for (int i = 0; i < scores->vocabulary; i++)
        scores->values[i] = 1;
}

static void test_top_p_ties(void **state)
{
    const ksk_processor equal = {"equal", all_equal, NULL};
    ksk_decode_options options = ksk_decode_defaults();
    options.processors = &equal;
    options.processor_count = 1;
    options.top_p = 0.35f;
    double frequency[vocabulary];
    frequencies(options, frequency);
    for (int i = 0; i < vocabulary; i++)
        assert_int_equal(frequency[i] > 0, i >= 7);
}

int main(void)
{
    run_sources_fill(&sources);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequencies),  cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_samples_stay), cmocka_unit_test(test_top_k_ties),
        cmocka_unit_test(test_top_p_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
