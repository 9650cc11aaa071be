/* A small pool of threads that run one job in fixed slices.
 *
 * Slice i always covers the same part of the work, whichever thread runs it, so results do not
 * depend on the number of threads. Workers spin for a short while between jobs, then sleep. */
#ifndef KSK_BASE_POOL_H
#define KSK_BASE_POOL_H

#include "kaskad/error.h"

typedef struct ksk_pool ksk_pool;

/* A pool of `threads` threads, the caller's included (1 makes no thread). Caller frees. */
ksk_pool *ksk_pool_new(int threads, ksk_error *err);
void ksk_pool_free(ksk_pool *pool);

/* At least 1; a NULL pool has one thread. */
int ksk_pool_threads(const ksk_pool *pool);

/* Runs `job(context, i)` for i in [0, slices) and returns when all have ended. Not reentrant: one
 * caller at a time, and a job does not call it. A NULL pool runs everything in the caller. */
void ksk_pool_run(ksk_pool *pool, int slices, void (*job)(void *context, int slice), void *context);

#endif
