/* A row of queries and the keys of its span: what attention and its gradient share. */
#ifndef KSK_TENSOR_KERNELS_ATTENTION_H
#define KSK_TENSOR_KERNELS_ATTENTION_H

#include <math.h>

#include "tensor/kernels/math.h"

/* The keys of one row: entries first … first + count - 1, named through an index or directly. */
typedef struct span {
    int64_t first, count;
    const int32_t *index;
} span;

INLINE int64_t key_of(span keys, int64_t i)
{
    return keys.index ? keys.index[keys.first + i] : keys.first + i;
}

/* Scores of four keys at once; the last group repeats its last key. Each score's sum runs in the
 * same order wherever its key stands. */
INLINE void score(span keys, int64_t width, float scale, const float *q, const float *k,
                  int64_t k_stride, float *scores)
{
    for (int64_t i = 0; i < keys.count; i += 4) {
        const float *row[4];
        for (int64_t j = 0; j < 4; j++)
            row[j] = k + k_stride * key_of(keys, i + j < keys.count ? i + j : keys.count - 1);
        vfloat sum[4] = {{0}};
        int64_t c = 0;
        for (; c + LANES <= width; c += LANES) {
            const vfloat x = load(q + c);
            for (int j = 0; j < 4; j++)
                sum[j] = fused(x, load(row[j] + c), sum[j]);
        }
        if (c < width) {
            const vfloat x = load_part(q + c, width - c);
            for (int j = 0; j < 4; j++)
                sum[j] = fused(x, load_part(row[j] + c, width - c), sum[j]);
        }
        const quad four = sums_of(sum[0], sum[1], sum[2], sum[3]) * scale;
        for (int64_t j = 0; j < 4 && i + j < keys.count; j++)
            scores[i + j] = four[j];
    }
}

/* Scores become e^(score - largest); gives 1 / their sum. */
INLINE float exponentiate(int64_t count, float *scores)
{
    float largest = -INFINITY;
    for (int64_t i = 0; i < count; i++)
        largest = scores[i] > largest ? scores[i] : largest;
    vfloat sum = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vfloat e = exponential(load(scores + i) - largest);
        sum += e;
        store(scores + i, e);
    }
    float total = sum_of(sum);
    if (i < count) {
        const vfloat e = exponential(load_part(scores + i, count - i) - largest);
        for (int64_t lane = 0; lane < count - i; lane++)
            total += e[lane];
        store_part(scores + i, e, count - i);
    }
    return 1 / total;
}

/* y = factor * sum of weights[i] * v[key i], for `vectors` vectors of columns, the last of which
 * has `last` lanes. */
INLINE void gather(const int vectors, int64_t last, span keys, const float *weights, float factor,
                   const float *v, int64_t v_stride, float *y)
{
    vfloat sum[8] = {{0}};
    for (int64_t i = 0; i < keys.count; i++) {
        const float *row = v + v_stride * key_of(keys, i);
        const vfloat weight = splat(weights[i]);
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sum[j] = fused(
                weight, j + 1 < vectors ? load(row + j * LANES) : load_upto(row + j * LANES, last),
                sum[j]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++)
        store_upto(y + j * LANES, sum[j] * factor, j + 1 < vectors ? LANES : last);
}

INLINE void weigh(span keys, int64_t width, const float *weights, float factor, const float *v,
                  int64_t v_stride, float *y)
{
    int64_t c = 0;
    for (; c + 8 * LANES <= width; c += 8 * LANES)
        gather(8, LANES, keys, weights, factor, v + c, v_stride, y + c);
    for (; c + 4 * LANES <= width; c += 4 * LANES)
        gather(4, LANES, keys, weights, factor, v + c, v_stride, y + c);
    for (; c + 2 * LANES <= width; c += 2 * LANES)
        gather(2, LANES, keys, weights, factor, v + c, v_stride, y + c);
    for (; c < width; c += LANES)
        gather(1, width - c < LANES ? width - c : LANES, keys, weights, factor, v + c, v_stride,
               y + c);
}

#endif
