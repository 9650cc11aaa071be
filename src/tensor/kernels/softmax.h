/* What log_softmax and cross_entropy share: a row's largest number and sums, each in an order that
 * depends on n alone. */
#ifndef KSK_TENSOR_KERNELS_SOFTMAX_H
#define KSK_TENSOR_KERNELS_SOFTMAX_H

#include <math.h>

#include "tensor/kernels/math.h"

INLINE float largest_in(int64_t n, const float *x)
{
    vfloat most = splat(-INFINITY);
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        most = larger(load(x + j), most);
    float largest = largest_of(most);
    for (; j < n; j++)
        largest = x[j] > largest ? x[j] : largest;
    return largest;
}

INLINE float sum_of_exponentials(int64_t n, const float *x, float largest)
{
    vfloat even = {0}, odd = {0};
    int64_t j = 0;
    for (; j + PANEL <= n; j += PANEL) {
        even += exponential(load(x + j) - largest);
        odd += exponential(load(x + j + LANES) - largest);
    }
    for (; j + LANES <= n; j += LANES)
        even += exponential(load(x + j) - largest);
    float sum = sum_of(even + odd);
    if (j < n) {
        const vfloat tail = exponential(load_part(x + j, n - j) - largest);
        for (int64_t lane = 0; lane < n - j; lane++)
            sum += tail[lane];
    }
    return sum;
}

INLINE float sum_in(int64_t n, const float *x)
{
    vfloat even = {0}, odd = {0};
    int64_t j = 0;
    for (; j + PANEL <= n; j += PANEL) {
        even += load(x + j);
        odd += load(x + j + LANES);
    }
    for (; j < n; j += LANES)
        even += load_upto(x + j, n - j);
    return sum_of(even + odd);
}

#endif
