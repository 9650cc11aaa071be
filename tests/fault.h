/* Makes the n-th allocation fail, and counts what was not freed.
 *
 *     fault_sweep(function, context);
 *
 * runs `function` with the first allocation failing, then the second, … until it succeeds without
 * meeting a failure. After each run nothing may be left allocated. */
#ifndef KSK_TESTS_FAULT_H
#define KSK_TESTS_FAULT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

/* `function` returns whether it succeeded, having freed all it made; when it fails after a refusal,
 * it must say KSK_OUT_OF_MEMORY. Gives how many allocations a whole run makes. */
static inline long fault_sweep(bool (*function)(void *context, ksk_error *err), void *context)
{
    for (long n = 1;; n++) {
        fault_state state = {.fail_at = n};
        const ksk_allocator failing = {fault_allocate, fault_release, &state};
        ksk_allocator_set(&failing);
        ksk_error err = {0};
        const bool well = function(context, &err);
        ksk_allocator_set(NULL);
        assert_int_equal(state.live, 0);
        if (state.calls < n) {
            assert_true(well);
            return n - 1;
        }
        assert_false(well);
        assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
        assert_true(n < 100000);
    }
}

#endif
