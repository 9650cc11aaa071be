#include "tensor/kernels/finish.h"

INLINE void finish_row_as(ksk_activation kind, int64_t n, const float *sums, const float *bias,
                          const float *residual, float *y)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t left = n - j;
        vfloat value = load_upto(sums + j, left);
        if (bias)
            value += load_upto(bias + j, left);
        value = activated(kind, value);
        if (residual)
            value += load_upto(residual + j, left);
        store_upto(y + j, value, left);
    }
}

/* The kind is looked at once a row, so that the loops inside are straight. */
static void finish_row(ksk_activation kind, int64_t n, const float *sums, const float *bias,
                       const float *residual, float *y)
{
    switch (kind) {
    case KSK_IDENTITY:
        finish_row_as(KSK_IDENTITY, n, sums, bias, residual, y);
        break;
    case KSK_RELU:
        finish_row_as(KSK_RELU, n, sums, bias, residual, y);
        break;
    case KSK_GELU:
        finish_row_as(KSK_GELU, n, sums, bias, residual, y);
        break;
    case KSK_GELU_NEW:
        finish_row_as(KSK_GELU_NEW, n, sums, bias, residual, y);
        break;
    case KSK_SILU:
        finish_row_as(KSK_SILU, n, sums, bias, residual, y);
        break;
    case KSK_TANH:
        finish_row_as(KSK_TANH, n, sums, bias, residual, y);
        break;
    }
}

void KERNEL(finish_f32)(int64_t m, int64_t n, const float *sums, int64_t sums_stride,
                        const ksk_epilogue *epilogue, float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++) {
        const ksk_epilogue row = epilogue_at(epilogue, i, 0);
        finish_row(row.activation, n, sums + i * sums_stride, row.bias, row.residual,
                   y + i * y_stride);
    }
}

static void rescale(int64_t n, const int32_t *sums, float row_scale, const float *column_scales,
                    float *scaled)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t left = n - j;
        const void *bits = sums + j; /* vectors of four bytes a lane, whatever these mean */
        const vint whole = (vint)load_upto(bits, left);
        const vfloat scales = load_upto(column_scales + j, left) * row_scale;
        store_upto(scaled + j, __builtin_convertvector(whole, vfloat) * scales, left);
    }
}

void KERNEL(finish_int8)(int64_t m, int64_t n, const int32_t *sums, int64_t sums_stride,
                         const float *row_scales, const float *column_scales,
                         const ksk_epilogue *epilogue, float *y, int64_t y_stride)
{
    enum { chunk = 256 };
    float scaled[chunk] __attribute__((aligned(64)));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j += chunk) {
            const int64_t columns = n - j < chunk ? n - j : chunk;
            const ksk_epilogue part = epilogue_at(epilogue, i, j);
            rescale(columns, sums + i * sums_stride + j, row_scales[i], column_scales + j, scaled);
            finish_row(part.activation, columns, scaled, part.bias, part.residual,
                       y + i * y_stride + j);
        }
}
