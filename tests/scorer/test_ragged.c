/* Sentences packed into rows. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "scorer/ragged.h"

static const int32_t a[] = {4, 9, 2}, b[] = {7}, c[] = {1, 1, 8, 3, 0};
static const int32_t *const three[] = {a, b, c};
static const int lengths[] = {3, 1, 5};

static bool fill(ksk_ragged *ragged, int32_t first, bool causal, ksk_error *err)
{
    return ksk_ragged_fill(ragged, 3, three, lengths, first, causal, 10, 5, "source", err);
}

static void assert_places(const ksk_ragged *ragged)
{
    const int32_t positions[] = {0, 1, 2, 0, 0, 1, 2, 3, 4};
    const int32_t sentence[3][2] = {{0, 3}, {3, 1}, {4, 5}};
    assert_int_equal(ragged->rows, 9);
    assert_memory_equal(ragged->positions, positions, sizeof positions);
    assert_memory_equal(ragged->sentence, sentence, sizeof sentence);
}

static void test_whole(void **state)
{
    ksk_ragged ragged;
    const int32_t ids[] = {4, 9, 2, 7, 1, 1, 8, 3, 0};
    const int32_t spans[9][2] = {{0, 3}, {0, 3}, {0, 3}, {3, 1}, {4, 5},
                                 {4, 5}, {4, 5}, {4, 5}, {4, 5}};
    assert_true(fill(&ragged, -1, false, NULL));
    assert_places(&ragged);
    assert_memory_equal(ragged.ids, ids, sizeof ids);
    assert_memory_equal(ragged.spans, spans, sizeof spans);
    ksk_ragged_clear(&ragged);
}

static void test_shifted(void **state)
{
    ksk_ragged ragged;
    const int32_t ids[] = {6, 4, 9, 6, 6, 1, 1, 8, 3};
    const int32_t spans[9][2] = {{0, 1}, {0, 2}, {0, 3}, {3, 1}, {4, 1},
                                 {4, 2}, {4, 3}, {4, 4}, {4, 5}};
    assert_true(fill(&ragged, 6, true, NULL));
    assert_places(&ragged);
    assert_memory_equal(ragged.ids, ids, sizeof ids);
    assert_memory_equal(ragged.spans, spans, sizeof spans);
    ksk_ragged_clear(&ragged);
}

static void test_none(void **state)
{
    ksk_ragged ragged;
    assert_true(ksk_ragged_fill(&ragged, 0, NULL, NULL, -1, false, 10, 5, "source", NULL));
    assert_int_equal(ragged.rows, 0);
    ksk_ragged_clear(&ragged);
}

static void refuse(const int32_t *second, int length, const char *message)
{
    const int32_t *const ids[] = {a, second};
    const int both[] = {3, length};
    ksk_ragged ragged;
    ksk_error err = {0};
    assert_false(ksk_ragged_fill(&ragged, 2, ids, both, -1, false, 10, 5, "target", &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_string_equal(err.message, message);
    ksk_ragged_clear(&ragged);
}

static void test_refusals(void **state)
{
    static const int32_t high[] = {9, 10}, low[] = {0, 9, -1}, six[6] = {0};
    refuse(a, 0, "target 1 has 0 tokens; the model takes 1 to 5");
    refuse(a, -4, "target 1 has -4 tokens; the model takes 1 to 5");
    refuse(six, 6, "target 1 has 6 tokens; the model takes 1 to 5");
    refuse(a, INT_MAX, "target 1 has 2147483647 tokens; the model takes 1 to 5");
    refuse(high, 2, "target 1: token 1 is 10, not in [0, 10)");
    refuse(low, 3, "target 1: token 2 is -1, not in [0, 10)");
}

static bool fill_and_clear(void *context, ksk_error *err)
{
    ksk_ragged ragged;
    const bool ok = fill(&ragged, 3, true, err);
    ksk_ragged_clear(&ragged);
    return ok;
}

static void test_memory(void **state)
{
    assert_int_equal(fault_sweep(fill_and_clear, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_none),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
