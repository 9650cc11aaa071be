#include "tensor/kernels/softmax.h"

void KERNEL(cross_entropy)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                           const int32_t *targets, float smoothing, float *loss, float *norm)
{
    for (int64_t i = 0; i < m; i++, x += x_stride) {
        const float largest = largest_in(n, x);
        const float log_sum = logf(sum_of_exponentials(n, x, largest));
        const float mean = smoothing > 0 ? sum_in(n, x) / (float)n : 0;
        norm[i] = largest + log_sum;
        loss[i] = (1 - smoothing) * (largest - x[targets[i]] + log_sum) +
                  smoothing * (largest - mean + log_sum);
    }
}

/* dy (softmax - smoothed target). */
void KERNEL(cross_entropy_grad)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                                const int32_t *targets, const float *norm, const float *dy,
                                float smoothing, float *dx, int64_t dx_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, dx += dx_stride) {
        const vfloat factor = splat(dy[i]), elsewhere = splat(-dy[i] * smoothing / (float)n);
        for (int64_t j = 0; j < n; j += LANES) {
            const vfloat probability = exponential(load_upto(x + j, n - j) - norm[i]);
            store_upto(dx + j, fused(probability, factor, elsewhere), n - j);
        }
        dx[targets[i]] -= dy[i] * (1 - smoothing);
    }
}
