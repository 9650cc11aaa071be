#include <math.h>

#include "tensor/kernels/math.h"

static float largest_in(int64_t n, const float *x)
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

static float sum_of_exponentials(int64_t n, const float *x, float largest)
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
