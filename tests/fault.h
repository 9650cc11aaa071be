/* Makes the n-th allocation fail, and counts what was not freed.
 *
 *     fault_sweep(function, context);
 *
 * runs `function` with the first allocation failing, then the second, … until it succeeds without
 * meeting a failure. After each run nothing may be left allocated.
 *
 *     fault_sample(function, context, parts);
 *
 * does the same, but with KASKAD_QUICK=1 in the environment takes a sample of the allocations: the
 * first hundred, then ever fewer. */
#ifndef KSK_TESTS_FAULT_H
#define KSK_TESTS_FAULT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/memory.h"

typedef struct fault_state {
    atomic_long calls; /* allocations asked for */
    long fail_at;      /* the one to refuse, counted from 1; 0: none */
    atomic_long live;  /* allocated and not yet freed */
} fault_state;

static inline void *fault_allocate(void *context, size_t size)
{
    fault_state *state = context;
    if (atomic_fetch_add(&state->calls, 1) + 1 == state->fail_at)
        return NULL;
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory)
        atomic_fetch_add(&state->live, 1);
    return memory;
}

static inline void fault_release(void *context, void *memory)
{
    fault_state *state = context;
    atomic_fetch_sub(&state->live, 1);
    free(memory);
}

/* One run with the n-th allocation failing. True when there were fewer. */
static inline bool fault_run(bool (*function)(void *context, ksk_error *err), void *context, long n)
{
    fault_state state = {.fail_at = n};
    const ksk_allocator failing = {fault_allocate, fault_release, &state};
    ksk_error err = {0};
    ksk_allocator_set(&failing);
    const bool well = function(context, &err);
    ksk_allocator_set(NULL);
    if (state.live)
        fail_msg("allocation %ld failed: %ld blocks are left", n, (long)state.live);
    if (state.calls < n) {
        assert_true(well);
        return true;
    }
    if (well || err.status != KSK_OUT_OF_MEMORY)
        fail_msg("allocation %ld failed: %s \"%s\"", n, well ? "done all the same" : "",
                 err.message);
    return false;
}

/* `function` returns whether it succeeded, having freed all it made; when it fails after a refusal,
 * it must say KSK_OUT_OF_MEMORY. Gives how many allocations a whole run makes. */
static inline long fault_sweep(bool (*function)(void *context, ksk_error *err), void *context)
{
    for (long n = 1;; n++) {
        if (fault_run(function, context, n))
            return n - 1;
        assert_true(n < 100000);
    }
}

/* The same, for a sample when quick. Gives a number that there are at least. */
static inline long fault_sample(bool (*function)(void *context, ksk_error *err), void *context,
                                long parts)
{
    const char *quick = getenv("KASKAD_QUICK");
    long last = 0;
    if (!quick || strcmp(quick, "1") != 0)
        return fault_sweep(function, context);
    for (long n = 1; !fault_run(function, context, n); n += 1 + (n > 100 ? n / parts : 0)) {
        last = n;
        assert_true(n < 1000000);
    }
    return last;
}

#endif
