#include <string.h>

#include "data/batches.h"
#include "fault.h"

enum { PAIRS = 1237, TOKENS = 90 };

/* Lengths as sentences have them, with one pair that no batch has room for. */
static void make_pairs(ksk_pairs *pairs)
{
    const ksk_key key = ksk_key_from_seed(5);
    for (uint64_t i = 0; i < PAIRS; i++) {
        const int source = 1 + (int)(ksk_random_bits(key, 2 * i) % 31);
        const int target = i == 700 ? 3 * TOKENS : 1 + (int)(ksk_random_bits(key, 2 * i + 1) % 23);
        assert_true(ksk_grow(&pairs->pairs, &pairs->capacity, i + 1, sizeof *pairs->pairs));
        pairs->pairs[i] =
            (ksk_pair){pairs->id_count, pairs->id_count + (size_t)source, source, target, i};
        pairs->id_count += (size_t)(source + target);
        pairs->count++;
    }
    pairs->ids = ksk_calloc(pairs->id_count, sizeof *pairs->ids);
    for (size_t i = 0; i < pairs->id_count; i++)
        pairs->ids[i] = (int32_t)i;
}

static int64_t sum(const int *lengths, int count)
{
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        total += lengths[i];
    return total;
}

/* Each pair once, whole, in batches that are full but not too full, of similar lengths. */
static void test_covers(void **state)
{
    ksk_pairs pairs = {0};
    ksk_batches batches = {0};
    ksk_batch_view view = {0};
    ksk_error err = {0};
    int seen[PAIRS] = {0};
    int64_t spread = 0, full = 0;
    make_pairs(&pairs);
    assert_true(ksk_batches_plan(&pairs, TOKENS, ksk_key_from_seed(1), &batches, &err));
    for (size_t b = 0; b < batches.count; b++) {
        assert_true(ksk_batches_get(&batches, &pairs, b, &view, &err));
        const int64_t source = sum(view.source_lengths, view.sentences);
        const int64_t target = sum(view.target_lengths, view.sentences);
        assert_true((source <= TOKENS && target <= TOKENS) || view.sentences == 1);
        full += source > TOKENS - 31 || target > TOKENS - 23;
        spread += view.target_lengths[view.sentences - 1] - view.target_lengths[0];
        for (int i = 0; i < view.sentences; i++) {
            size_t p = 0;
            while (pairs.pairs[p].source != (size_t)view.sources[i][0])
                p++;
            assert_int_equal(view.targets[i][0], pairs.pairs[p].target);
            assert_int_equal(view.source_lengths[i], pairs.pairs[p].source_length);
            assert_int_equal(view.target_lengths[i], pairs.pairs[p].target_length);
            seen[p]++;
        }
    }
    for (int i = 0; i < PAIRS; i++)
        assert_int_equal(seen[i], 1);
    assert_true(full >= (int64_t)batches.count - 2);
    assert_true(spread < (int64_t)batches.count);
    ksk_batch_view_clear(&view);
    ksk_batches_clear(&batches);
    ksk_pairs_clear(&pairs);
}

static bool same_plan(const ksk_batches *a, const ksk_batches *b)
{
    return a->count == b->count && !memcmp(a->order, b->order, PAIRS * sizeof *a->order) &&
           !memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges);
}

static void test_key_decides(void **state)
{
    ksk_pairs pairs = {0};
    ksk_batches first = {0}, again = {0}, other = {0};
    ksk_error err = {0};
    make_pairs(&pairs);
    assert_true(ksk_batches_plan(&pairs, TOKENS, ksk_key_from_seed(1), &first, &err));
    assert_true(ksk_batches_plan(&pairs, TOKENS, ksk_key_from_seed(2), &other, &err));
    assert_true(ksk_batches_plan(&pairs, TOKENS, ksk_key_from_seed(1), &again, &err));
    assert_true(same_plan(&first, &again));
    assert_false(same_plan(&first, &other));
    assert_memory_not_equal(first.order, other.order, PAIRS * sizeof *first.order);
    ksk_batches_clear(&first);
    ksk_batches_clear(&again);
    ksk_batches_clear(&other);
    ksk_pairs_clear(&pairs);
}

/* Batches come in no order of length. */
static void test_shuffles_batches(void **state)
{
    ksk_pairs pairs = {0};
    ksk_batches batches = {0};
    ksk_error err = {0};
    make_pairs(&pairs);
    assert_true(ksk_batches_plan(&pairs, TOKENS, ksk_key_from_seed(3), &batches, &err));
    size_t rising = 0;
    for (size_t b = 1; b < batches.count; b++)
        rising += batches.ranges[b][0] > batches.ranges[b - 1][0];
    assert_true(rising > batches.count / 3 && rising < 2 * batches.count / 3);
    ksk_batches_clear(&batches);
    ksk_pairs_clear(&pairs);
}

static bool plan_and_get(void *context, ksk_error *err)
{
    ksk_batches batches = {0};
    ksk_batch_view view = {0};
    const bool ok = ksk_batches_plan(context, TOKENS, ksk_key_from_seed(1), &batches, err) &&
                    ksk_batches_get(&batches, context, 3, &view, err);
    ksk_batch_view_clear(&view);
    ksk_batches_clear(&batches);
    return ok;
}

static void test_memory_runs_out(void **state)
{
    ksk_pairs pairs = {0};
    make_pairs(&pairs);
    assert_true(fault_sweep(plan_and_get, &pairs) >= 7);
    ksk_pairs_clear(&pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_key_decides),
        cmocka_unit_test(test_shuffles_batches),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
