/* Numbers for tests of kernels: matrices with strides, filled from a small generator. */
#ifndef TEST_TENSOR_NUMBERS_H
#define TEST_TENSOR_NUMBERS_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 1;

/* Uniform in [-1, 1). */
static inline float number(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(seed >> 33) / 0x1p30 - 1);
}

static inline void *take(size_t size)
{
    void *memory = malloc(size ? size : 1);
    assert_non_null(memory);
    return memory;
}

/* `count` random floats in memory of just that size, so that ASan sees a read beyond it. */
static inline float *numbers(int64_t count)
{
    float *data = take((size_t)count * sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = number();
    return data;
}

static inline float *copy_of(const float *data, int64_t count)
{
    float *copy = take((size_t)count * sizeof *copy);
    memcpy(copy, data, (size_t)count * sizeof *copy);
    return copy;
}

/* Elements of a matrix of m rows with a stride, the last row cut short. */
static inline int64_t extent(int64_t m, int64_t n, int64_t stride)
{
    return (m - 1) * stride + n;
}

static inline void assert_near(float found, double wanted, double tolerance)
{
    if (isnan(wanted) ? isnan(found) : (double)found == wanted)
        return;
    const double size = fabs(wanted) > 1 ? fabs(wanted) : 1;
    if (!(fabs(found - wanted) <= tolerance * size))
        fail_msg("found %.9g, wanted %.9g", (double)found, wanted);
}

#endif
