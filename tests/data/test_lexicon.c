/* Model 1 against EM written down as in the paper, over a full table, in double precision. */
#include <math.h>
#include <string.h>

#include "data/lexicon.h"
#include "fault.h"
#include "kaskad/random.h"

enum { SOURCES = 13, TARGETS = 70, PAIRS = 90, END = 2 };

typedef double table[SOURCES][TARGETS]; /* p(target | source) */

/* A source token's translation is three times its id or near it, in a sentence of 1 to 6 others. */
static void make_pairs(ksk_pairs *pairs)
{
    const ksk_key key = ksk_key_from_seed(11);
    uint64_t drawn = 0;
    assert_true(ksk_grow(&pairs->pairs, &pairs->capacity, PAIRS, sizeof *pairs->pairs));
    assert_true(ksk_grow(&pairs->ids, &pairs->id_capacity, PAIRS * 20, sizeof *pairs->ids));
    for (size_t i = 0; i < PAIRS; i++) {
        const int source = 2 + (int)(ksk_random_bits(key, drawn++) % 6);
        const int target = 1 + (int)(ksk_random_bits(key, drawn++) % 9);
        const size_t at = pairs->id_count;
        for (int k = 0; k < source - 1; k++) /* the last source token never occurs */
            pairs->ids[pairs->id_count++] =
                (int32_t)(3 + ksk_random_bits(key, drawn++) % (SOURCES - 4));
        pairs->ids[pairs->id_count++] = END;
        for (int k = 0; k < target - 1; k++)
            pairs->ids[pairs->id_count++] = pairs->ids[at + (size_t)(k % source)] * 3 +
                                            (int32_t)(ksk_random_bits(key, drawn++) % 31);
        pairs->ids[pairs->id_count++] = END;
        pairs->pairs[i] = (ksk_pair){at, at + (size_t)source, source, target, i};
        pairs->source_tokens += source;
        pairs->target_tokens += target;
        pairs->count++;
    }
}

static void expect_step(const ksk_pairs *pairs, table t)
{
    static table counts;
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < pairs->count; i++) {
        const ksk_pair *const p = &pairs->pairs[i];
        for (int j = 0; j < p->target_length - 1; j++) {
            const int32_t target = pairs->ids[p->target + (size_t)j];
            double sum = 0;
            for (int k = 0; k < p->source_length; k++)
                sum += t[pairs->ids[p->source + (size_t)k]][target];
            for (int k = 0; k < p->source_length; k++) {
                const int32_t source = pairs->ids[p->source + (size_t)k];
                counts[source][target] += t[source][target] / sum;
            }
        }
    }
    for (int s = 0; s < SOURCES; s++) {
        double total = 0;
        for (int k = 0; k < TARGETS; k++)
            total += counts[s][k];
        for (int k = 0; k < TARGETS; k++)
            t[s][k] = total > 0 ? counts[s][k] / total : 0;
    }
}

static double found(const ksk_lexicon *lexicon, int source, int target)
{
    for (size_t i = lexicon->offsets[source]; i < lexicon->offsets[source + 1]; i++)
        if (lexicon->entries[i].target == target)
            return lexicon->entries[i].probability;
    return 0;
}

static ksk_lexicon learn(const ksk_pairs *pairs, int iterations, float least)
{
    const ksk_lexicon_options options = {
        .source_size = SOURCES, .target_size = TARGETS, .iterations = iterations, .least = least};
    ksk_lexicon lexicon = {0};
    ksk_error err = {0};
    assert_true(ksk_lexicon_learn(pairs, &options, &lexicon, &err));
    assert_int_equal(lexicon.source_size, SOURCES);
    return lexicon;
}

static void test_equals_the_paper(void **state)
{
    static table expected;
    ksk_pairs pairs = {0};
    make_pairs(&pairs);
    for (int s = 0; s < SOURCES; s++)
        for (int t = 0; t < TARGETS; t++)
            expected[s][t] = 1.0 / TARGETS;
    for (int iterations = 1; iterations <= 6; iterations++) {
        expect_step(&pairs, expected);
        ksk_lexicon lexicon = learn(&pairs, iterations, 0);
        for (int s = 0; s < SOURCES; s++)
            for (int t = 0; t < TARGETS; t++)
                if (fabs(found(&lexicon, s, t) - expected[s][t]) > 2e-6)
                    fail_msg("%d iterations, p(%d | %d): %.8f, not %.8f", iterations, t, s,
                             found(&lexicon, s, t), expected[s][t]);
        ksk_lexicon_clear(&lexicon);
    }
    ksk_pairs_clear(&pairs);
}

/* Entries ascend; what is dropped is what is small, and tokens without a sentence have none. */
static void test_prunes(void **state)
{
    ksk_pairs pairs = {0};
    make_pairs(&pairs);
    ksk_lexicon all = learn(&pairs, 1, 0), large = learn(&pairs, 1, 0.02f);
    assert_true(large.offsets[SOURCES] < all.offsets[SOURCES]);
    for (int s = 0; s < SOURCES; s++) {
        size_t expected = 0;
        for (size_t i = all.offsets[s]; i < all.offsets[s + 1]; i++) {
            assert_true(i == all.offsets[s] || all.entries[i - 1].target < all.entries[i].target);
            expected += all.entries[i].probability >= 0.02f;
        }
        assert_int_equal(large.offsets[s + 1] - large.offsets[s], expected);
        assert_true((s < 2 || s == SOURCES - 1) == (expected == 0));
    }
    ksk_lexicon_clear(&all);
    ksk_lexicon_clear(&large);
    /* Too much dropped: some target tokens are explained by nothing, yet all stays finite. */
    large = learn(&pairs, 5, 0.2f);
    for (size_t i = 0; i < large.offsets[SOURCES]; i++)
        assert_true(large.entries[i].probability >= 0.2f && large.entries[i].probability <= 1);
    ksk_lexicon_clear(&large);
    ksk_pairs_clear(&pairs);
}

static bool stop_after_two(void *context, int iterations)
{
    *(int *)context = iterations;
    return iterations < 2;
}

static void test_stops(void **state)
{
    int last = 0;
    ksk_pairs pairs = {0};
    ksk_lexicon lexicon = {0};
    ksk_error err = {0};
    make_pairs(&pairs);
    const ksk_lexicon_options options = {.source_size = SOURCES,
                                         .target_size = TARGETS,
                                         .iterations = 9,
                                         .watch = stop_after_two,
                                         .context = &last};
    assert_false(ksk_lexicon_learn(&pairs, &options, &lexicon, &err));
    assert_int_equal(err.status, KSK_INTERRUPTED);
    assert_int_equal(last, 2);
    ksk_lexicon_clear(&lexicon);
    ksk_pairs_clear(&pairs);
}

static bool learn_some(void *context, ksk_error *err)
{
    const ksk_lexicon_options options = {
        .source_size = SOURCES, .target_size = TARGETS, .iterations = 3, .least = 0.001f};
    ksk_lexicon lexicon = {0};
    const bool ok = ksk_lexicon_learn(context, &options, &lexicon, err);
    ksk_lexicon_clear(&lexicon);
    return ok;
}

static void test_memory(void **state)
{
    ksk_pairs pairs = {0};
    make_pairs(&pairs);
    assert_true(fault_sweep(learn_some, &pairs) > 8);
    ksk_pairs_clear(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_paper),
        cmocka_unit_test(test_prunes),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
