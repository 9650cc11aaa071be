#include "tensor/kernels/math.h"

INLINE void grad_as(ksk_activation kind, int64_t m, int64_t n, const float *x, int64_t x_stride,
                    const float *dy, int64_t dy_stride, float *dx, int64_t dx_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, dy += dy_stride, dx += dx_stride)
        for (int64_t j = 0; j < n; j += LANES) {
            const vfloat slope = slope_of(kind, load_upto(x + j, n - j));
            store_upto(dx + j, load_upto(dy + j, n - j) * slope, n - j);
        }
}

void KERNEL(activate_grad)(int64_t m, int64_t n, ksk_activation kind, const float *x,
                           int64_t x_stride, const float *dy, int64_t dy_stride, float *dx,
                           int64_t dx_stride)
{
    switch (kind) { /* once a call, so that the loops inside are straight */
    case KSK_IDENTITY:
        grad_as(KSK_IDENTITY, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    case KSK_RELU:
        grad_as(KSK_RELU, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    case KSK_GELU:
        grad_as(KSK_GELU, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    case KSK_GELU_NEW:
        grad_as(KSK_GELU_NEW, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    case KSK_SILU:
        grad_as(KSK_SILU, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    case KSK_TANH:
        grad_as(KSK_TANH, m, n, x, x_stride, dy, dy_stride, dx, dx_stride);
        break;
    }
}
