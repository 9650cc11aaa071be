#include <time.h>

#include "base/pool.h"
#include "fault.h"

typedef struct tally {
    int counts[64]; /* plain: each slice belongs to one thread, and the end of a job is a barrier */
    int job;
} tally;

static void count(void *context, int slice)
{
    tally *self = context;
    self->counts[slice] += self->job;
}

static void test_every_slice_runs_once(void **state)
{
    static const int slices[] = {0, 1, 2, 3, 5, 13, 64};
    for (int threads = 1; threads <= 4; threads++) {
        ksk_error err = {0};
        ksk_pool *pool = ksk_pool_new(threads, &err);
        assert_non_null(pool);
        assert_int_equal(ksk_pool_threads(pool), threads);
        for (size_t s = 0; s < sizeof slices / sizeof *slices; s++) {
            tally self = {{0}, 0};
            int expected = 0;
            for (self.job = 1; self.job <= 200; self.job++) {
                ksk_pool_run(pool, slices[s], count, &self);
                expected += self.job;
            }
            for (int i = 0; i < 64; i++)
                assert_int_equal(self.counts[i], i < slices[s] ? expected : 0);
        }
        ksk_pool_free(pool);
    }
}

static void pause_for(long microseconds)
{
    nanosleep(&(struct timespec){0, microseconds * 1000}, NULL);
}

/* Long enough between jobs for the workers to fall asleep, and about as long as they spin. */
static void test_wakes_sleeping_workers(void **state)
{
    ksk_pool *pool = ksk_pool_new(3, NULL);
    tally self = {{0}, 1};
    for (int round = 0; round < 100; round++) {
        pause_for(round % 4 ? 20 * (round % 4) : 2000);
        ksk_pool_run(pool, 7, count, &self);
    }
    for (int i = 0; i < 7; i++)
        assert_int_equal(self.counts[i], 100);
    ksk_pool_free(pool);
}

static void count_slowly(void *context, int slice)
{
    pause_for(slice == 1 ? 1000 : 10);
    count(context, slice);
}

static void test_waits_for_the_slowest(void **state)
{
    ksk_pool *pool = ksk_pool_new(2, NULL);
    tally self = {{0}, 1};
    for (int round = 1; round <= 20; round++) {
        ksk_pool_run(pool, 2, count_slowly, &self);
        assert_int_equal(self.counts[1], round);
    }
    ksk_pool_free(pool);
}

static void test_without_a_pool(void **state)
{
    tally self = {{0}, 1};
    assert_int_equal(ksk_pool_threads(NULL), 1);
    ksk_pool_run(NULL, 5, count, &self);
    assert_int_equal(self.counts[4], 1);
    ksk_pool_free(NULL);
    ksk_error err = {0};
    assert_null(ksk_pool_new(0, &err));
    assert_string_equal(err.message, "0 threads: expected 1 to 1024");
    assert_null(ksk_pool_new(1025, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
}

static void test_pools_come_and_go(void **state)
{
    for (int round = 0; round < 50; round++) {
        ksk_pool *pool = ksk_pool_new(1 + round % 4, NULL);
        tally self = {{0}, 1};
        if (round % 3)
            ksk_pool_run(pool, 4, count, &self);
        ksk_pool_free(pool);
        assert_int_equal(self.counts[3], round % 3 ? 1 : 0);
    }
}

static bool make_and_free(void *context, ksk_error *err)
{
    ksk_pool *pool = ksk_pool_new(2, err);
    ksk_pool_free(pool);
    return pool != NULL;
}

static void test_memory_runs_out(void **state)
{
    assert_int_equal(fault_sweep(make_and_free, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_slice_runs_once), cmocka_unit_test(test_wakes_sleeping_workers),
        cmocka_unit_test(test_waits_for_the_slowest), cmocka_unit_test(test_without_a_pool),
        cmocka_unit_test(test_pools_come_and_go),     cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
