#include "tensor/kernels/softmax.h"

/* x - largest before the logarithm is taken off: both differences are exact where it matters. */
void KERNEL(log_softmax)(int64_t m, int64_t n, const float *x, int64_t x_stride, float *y,
                         int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, y += y_stride) {
        const float largest = largest_in(n, x);
        const float log_sum = logf(sum_of_exponentials(n, x, largest));
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, load_upto(x + j, n - j) - largest - log_sum, n - j);
    }
}

void KERNEL(row_norm)(int64_t n, const float *x, float *largest, float *log_sum)
{
    *largest = largest_in(n, x);
    *log_sum = logf(sum_of_exponentials(n, x, *largest));
}

void KERNEL(maxima)(int64_t n, int64_t block, const float *x, float *most)
{
    for (int64_t j = 0; j < n; j += block)
        *most++ = largest_in(n - j < block ? n - j : block, x + j);
}

void KERNEL(log_softmax_grad)(int64_t m, int64_t n, const float *y, int64_t y_stride,
                              const float *dy, int64_t dy_stride, float *dx, int64_t dx_stride)
{
    for (int64_t i = 0; i < m; i++, y += y_stride, dy += dy_stride, dx += dx_stride) {
        const vfloat sum = splat(-sum_in(n, dy));
        for (int64_t j = 0; j < n; j += LANES) {
            const vfloat probability = exponential(load_upto(y + j, n - j));
            store_upto(dx + j, fused(probability, sum, load_upto(dy + j, n - j)), n - j);
        }
    }
}
