#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/ledger.h"
#include "kaskad/memory.h"

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

/* About 20 µs of spinning: longer than the glue between two products of a decoding step, shorter
 * than anyone would notice on an idle processor. */
enum { spins_before_sleep = 4000 };

typedef struct worker {
    ksk_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct ksk_pool {
    int threads;     /* the caller included */
    worker *workers; /* threads - 1 */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint generation; /* a new value is a new job */
    atomic_int sleepers;
    atomic_int running; /* workers still busy with the current job */
    atomic_bool stop;
    void (*job)(void *, int);
    void *context;
    int slices;
    bool profiled; /* the workers are busy with what the caller is busy with */
    ksk_activity activity;
};

/* Thread t takes slices t, t + threads, …: no counter to share. */
static void run_share(const ksk_pool *pool, int thread)
{
    for (int slice = thread; slice < pool->slices; slice += pool->threads)
        pool->job(pool->context, slice);
}

static void help(const ksk_pool *pool, int thread)
{
    const int before = pool->profiled ? ksk_ledger_turn(&pool->activity) : 0;
    run_share(pool, thread);
    if (pool->profiled)
        ksk_ledger_return(before);
}

static unsigned wait_for_job(ksk_pool *pool, unsigned seen)
{
    for (int spin = 0; spin < spins_before_sleep; spin++) {
        const unsigned now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        RELAX();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    const unsigned now = atomic_load(&pool->generation);
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *work(void *argument)
{
    const worker *self = argument;
    ksk_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        help(pool, self->index);
        atomic_fetch_sub_explicit(&pool->running, 1, memory_order_release);
    }
}

static void publish(ksk_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

ksk_pool *ksk_pool_new(int threads, ksk_error *err)
{
    if (threads < 1 || threads > 1024) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "%d threads: expected 1 to 1024", threads);
        return NULL;
    }
    ksk_pool *pool = ksk_calloc(1, sizeof *pool);
    worker *workers = ksk_calloc((size_t)threads, sizeof *workers);
    if (!pool || !workers) {
        ksk_free(pool);
        ksk_free(workers);
        ksk_fail_memory(err);
        return NULL;
    }
    pool->workers = workers;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = 1;
    for (int i = 1; i < threads; i++) {
        worker *self = &workers[i - 1];
        *self = (worker){.pool = pool, .index = i};
        if (pthread_create(&self->thread, NULL, work, self) != 0) {
            ksk_pool_free(pool);
            ksk_fail(err, KSK_OUT_OF_MEMORY, "the system refuses thread %d of %d; use fewer", i + 1,
                     threads);
            return NULL;
        }
        pool->threads = i + 1;
    }
    return pool;
}

void ksk_pool_free(ksk_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    publish(pool);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i - 1].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    ksk_free(pool->workers);
    ksk_free(pool);
}

int ksk_pool_threads(const ksk_pool *pool)
{
    return pool ? pool->threads : 1;
}

static void wait_for_workers(const ksk_pool *pool)
{
    for (int spin = 0; atomic_load_explicit(&pool->running, memory_order_acquire) > 0; spin++) {
        if (spin < spins_before_sleep)
            RELAX();
        else
            sched_yield(); /* the worker has lost its processor to another program */
    }
}

void ksk_pool_run(ksk_pool *pool, int slices, void (*job)(void *context, int slice), void *context)
{
    if (!pool || pool->threads == 1 || slices <= 1) {
        for (int slice = 0; slice < slices; slice++)
            job(context, slice);
        return;
    }
    pool->job = job;
    pool->context = context;
    pool->slices = slices;
    pool->profiled = ksk_ledger_is_open() && ksk_ledger_share(&pool->activity, pool->threads);
    atomic_store(&pool->running, pool->threads - 1);
    publish(pool);
    run_share(pool, 0);
    const int before = pool->profiled ? ksk_ledger_turn_to("waiting") : 0;
    wait_for_workers(pool);
    if (pool->profiled)
        ksk_ledger_return(before);
}
