/* Learning rates at the ends of their phases and between. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "train/schedule.h"

static void expect(const ksk_schedule *schedule, int64_t update, double rate)
{
    const double got = ksk_schedule_rate(schedule, update);
    if (fabs(got - rate) > 1e-12)
        fail_msg("update %lld: rate %.15g, expected %.15g", (long long)update, got, rate);
}

static void test_inverse_sqrt(void **state)
{
    ksk_schedule s = {KSK_SCHEDULE_INVERSE_SQRT, 2e-3, 0, 400, 0};
    expect(&s, 1, 2e-3 / 400);
    expect(&s, 100, 5e-4);
    expect(&s, 400, 2e-3);
    expect(&s, 1600, 1e-3);
    expect(&s, 40000, 2e-4);
    s.floor = 3e-4;
    expect(&s, 40000, 3e-4);
    s.warmup = 0;
    expect(&s, 1, 2e-3);
    expect(&s, 4, 1e-3);
}

static void test_cosine(void **state)
{
    const ksk_schedule s = {KSK_SCHEDULE_COSINE, 1e-3, 1e-4, 10, 110};
    expect(&s, 5, 5e-4);
    expect(&s, 10, 1e-3);
    expect(&s, 60, 5.5e-4);
    expect(&s, 35, 1e-4 + 4.5e-4 * (1 + sqrt(0.5)));
    expect(&s, 110, 1e-4);
    expect(&s, 1000, 1e-4);
}

static void test_linear(void **state)
{
    const ksk_schedule s = {KSK_SCHEDULE_LINEAR, 1, 0.2, 4, 24};
    expect(&s, -3, 0.25);
    expect(&s, 0, 0.25);
    expect(&s, 3, 0.75);
    expect(&s, 4, 1);
    expect(&s, 9, 0.8);
    expect(&s, 24, 0.2);
    expect(&s, 25, 0.2);
    const ksk_schedule short_one = {KSK_SCHEDULE_LINEAR, 1, 0, 8, 8};
    expect(&short_one, 7, 0.875);
    expect(&short_one, 8, 0);
}

static void test_names(void **state)
{
    ksk_schedule_kind kind = KSK_SCHEDULE_INVERSE_SQRT;
    assert_true(ksk_schedule_find("linear", &kind));
    assert_int_equal(kind, KSK_SCHEDULE_LINEAR);
    assert_true(ksk_schedule_find("cosine", &kind));
    assert_int_equal(kind, KSK_SCHEDULE_COSINE);
    assert_true(ksk_schedule_find("inverse_sqrt", &kind));
    assert_int_equal(kind, KSK_SCHEDULE_INVERSE_SQRT);
    assert_false(ksk_schedule_find("step", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inverse_sqrt),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
