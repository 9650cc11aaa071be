#include "tensor/kernels/math.h"

INLINE void activate_as(ksk_activation kind, int64_t m, int64_t n, const float *x, int64_t x_stride,
                        float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, y += y_stride)
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, activated(kind, load_upto(x + j, n - j)), n - j);
}

void KERNEL(activate)(int64_t m, int64_t n, ksk_activation kind, const float *x, int64_t x_stride,
                      float *y, int64_t y_stride)
{
    switch (kind) { /* once a call, so that the loops inside are straight */
    case KSK_IDENTITY:
        activate_as(KSK_IDENTITY, m, n, x, x_stride, y, y_stride);
        break;
    case KSK_RELU:
        activate_as(KSK_RELU, m, n, x, x_stride, y, y_stride);
        break;
    case KSK_GELU:
        activate_as(KSK_GELU, m, n, x, x_stride, y, y_stride);
        break;
    case KSK_GELU_NEW:
        activate_as(KSK_GELU_NEW, m, n, x, x_stride, y, y_stride);
        break;
    case KSK_SILU:
        activate_as(KSK_SILU, m, n, x, x_stride, y, y_stride);
        break;
    case KSK_TANH:
        activate_as(KSK_TANH, m, n, x, x_stride, y, y_stride);
        break;
    }
}

void KERNEL(add)(int64_t m, int64_t n, const float *a, int64_t a_stride, const float *b,
                 int64_t b_stride, float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, a += a_stride, b += b_stride, y += y_stride)
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, load_upto(a + j, n - j) + load_upto(b + j, n - j), n - j);
}

void KERNEL(multiply)(int64_t m, int64_t n, const float *a, int64_t a_stride, const float *b,
                      int64_t b_stride, float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, a += a_stride, b += b_stride, y += y_stride)
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, load_upto(a + j, n - j) * load_upto(b + j, n - j), n - j);
}

void KERNEL(scale)(int64_t m, int64_t n, float factor, const float *x, int64_t x_stride, float *y,
                   int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride, y += y_stride)
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, load_upto(x + j, n - j) * factor, n - j);
}
