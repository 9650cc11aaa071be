/* The kernel tables that this processor runs, that of the tests among them. */
#ifndef TEST_TENSOR_TABLES_H
#define TEST_TENSOR_TABLES_H

#include <stdio.h>

#include "tensor/kernels/table.h"

static const ksk_kernels *tables[4];
static int table_count;

static inline void find_tables(void)
{
    const char *const names[] = {"scalar", "avx2", "avx512"};
    for (int i = 0; i < 3; i++)
        if (ksk_kernels_named(names[i]))
            tables[table_count++] = ksk_kernels_named(names[i]);
#if defined(__x86_64__)
    if (ksk_kernels_named("avx2"))
        tables[table_count++] = &ksk_wide_kernels;
#endif
    for (int i = 0; i < table_count; i++)
        printf("%s ", tables[i]->isa);
    printf("\n");
}

#endif
