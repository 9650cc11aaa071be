#include "tensor/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/table.h"

static bool can_always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool can_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool can_avx512(void)
{
    return can_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

/* Worst first. */
static const struct {
    const ksk_kernels *kernels;
    bool (*can)(void);
} tables[] = {
    {&ksk_scalar_kernels, can_always},
#if defined(__x86_64__)
    {&ksk_avx2_kernels, can_avx2},
    {&ksk_avx512_kernels, can_avx512},
#endif
};

enum { table_count = sizeof tables / sizeof *tables };

const ksk_kernels *ksk_kernels_named(const char *isa)
{
    for (int i = 0; i < table_count; i++)
        if (strcmp(tables[i].kernels->isa, isa) == 0)
            return tables[i].can() ? tables[i].kernels : NULL;
    return NULL;
}

const ksk_kernels *ksk_kernels_choose(void)
{
    const char *wanted = getenv("KASKAD_ISA");
    const ksk_kernels *named = wanted ? ksk_kernels_named(wanted) : NULL;
    if (named)
        return named;
    int best = table_count - 1;
    while (!tables[best].can())
        best--;
    return tables[best].kernels;
}

/* Chosen once; two threads that come first choose the same. */
const ksk_kernels *ksk_kernels_best(void)
{
    static _Atomic(const ksk_kernels *) chosen;
    const ksk_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!kernels) {
        kernels = ksk_kernels_choose();
        atomic_store_explicit(&chosen, kernels, memory_order_release);
    }
    return kernels;
}
