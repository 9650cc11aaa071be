#include <math.h>

#include "tensor/kernels/vector.h"

/* Two vectors of partial sums, joined at the end: the order depends on n alone. */
static float mean_of(int64_t n, const float *x)
{
    vfloat even = {0}, odd = {0};
    int64_t j = 0;
    for (; j + PANEL <= n; j += PANEL) {
        even += load(x + j);
        odd += load(x + j + LANES);
    }
    for (; j < n; j += LANES)
        even += load_upto(x + j, n - j);
    return sum_of(even + odd) / (float)n;
}

static float variance_of(int64_t n, const float *x, float mean)
{
    vfloat even = {0}, odd = {0};
    int64_t j = 0;
    for (; j + PANEL <= n; j += PANEL) {
        const vfloat d = load(x + j) - mean, e = load(x + j + LANES) - mean;
        even = fused(d, d, even);
        odd = fused(e, e, odd);
    }
    for (; j + LANES <= n; j += LANES) {
        const vfloat d = load(x + j) - mean;
        even = fused(d, d, even);
    }
    float sum = sum_of(even + odd);
    for (; j < n; j++)
        sum += (x[j] - mean) * (x[j] - mean);
    return sum / (float)n;
}

void KERNEL(layer_norm)(int64_t m, int64_t n, const float *x, int64_t x_stride, const float *gain,
                        const float *bias, float epsilon, float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, y += y_stride) {
        const float mean = mean_of(n, x);
        const float inverse = 1 / sqrtf(variance_of(n, x, mean) + epsilon);
        for (int64_t j = 0; j < n; j += LANES) {
            const int64_t left = n - j;
            const vfloat normal = (load_upto(x + j, left) - mean) * inverse;
            store_upto(y + j, fused(normal, load_upto(gain + j, left), load_upto(bias + j, left)),
                       left);
        }
    }
}

/* With normal = (x - mean) / deviation and g = dy * gain:
 * dx = (g - mean(g) - normal * mean(g * normal)) / deviation. */
void KERNEL(layer_norm_grad)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                             const float *gain, float epsilon, const float *dy, int64_t dy_stride,
                             float *dx, int64_t dx_stride, float *dgain, float *dbias)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, dy += dy_stride, dx += dx_stride) {
        const float mean = mean_of(n, x);
        const float inverse = 1 / sqrtf(variance_of(n, x, mean) + epsilon);
        vfloat g_sum = {0}, gn_sum = {0};
        for (int64_t j = 0; j < n; j += LANES) {
            const vfloat g = load_upto(dy + j, n - j) * load_upto(gain + j, n - j);
            g_sum += g;
            gn_sum = fused(g, (load_upto(x + j, n - j) - mean) * inverse, gn_sum);
        }
        const float g_mean = sum_of(g_sum) / (float)n, gn_mean = sum_of(gn_sum) / (float)n;
        for (int64_t j = 0; j < n; j += LANES) {
            const int64_t left = n - j;
            const vfloat normal = (load_upto(x + j, left) - mean) * inverse;
            const vfloat d = load_upto(dy + j, left);
            const vfloat centred = d * load_upto(gain + j, left) - g_mean;
            store_upto(dx + j, fused(normal, splat(-gn_mean), centred) * inverse, left);
            store_upto(dgain + j, fused(d, normal, load_upto(dgain + j, left)), left);
            store_upto(dbias + j, load_upto(dbias + j, left) + d, left);
        }
    }
}
