#include "tensor/kernels/finish.h"

#include "tensor/kernels/math.h"

INLINE void finish_row(ksk_activation kind, const float *sums, int columns, const float *bias,
                       const float *residual, float *y)
{
    for (int j = 0; j < columns; j += LANES) {
        const int left = columns - j;
        vfloat value = load(sums + j);
        if (bias)
            value += load_upto(bias + j, left);
        value = activated(kind, value);
        if (residual)
            value += load_upto(residual + j, left);
        store_upto(y + j, value, left);
    }
}

INLINE void finish_as(ksk_activation kind, const float *sums, int stride, region tile,
                      const ksk_epilogue *epilogue, float *y, int64_t y_stride)
{
    const float *bias = epilogue->bias ? epilogue->bias + tile.column : NULL;
    for (int i = 0; i < tile.rows; i++) {
        const int64_t row = tile.row + i;
        const float *residual =
            epilogue->residual ? epilogue->residual + row * epilogue->residual_stride + tile.column
                               : NULL;
        finish_row(kind, sums + (int64_t)i * stride, tile.columns, bias, residual,
                   y + row * y_stride + tile.column);
    }
}

void KERNEL(finish)(const float *sums, int stride, region tile, const ksk_epilogue *epilogue,
                    float *y, int64_t y_stride)
{
    static const ksk_epilogue nothing = {.activation = KSK_IDENTITY};
    const ksk_epilogue *e = epilogue ? epilogue : &nothing;
    switch (e->activation) { /* once a tile, so that the loops inside are straight */
    case KSK_IDENTITY:
        finish_as(KSK_IDENTITY, sums, stride, tile, e, y, y_stride);
        break;
    case KSK_RELU:
        finish_as(KSK_RELU, sums, stride, tile, e, y, y_stride);
        break;
    case KSK_GELU:
        finish_as(KSK_GELU, sums, stride, tile, e, y, y_stride);
        break;
    case KSK_GELU_NEW:
        finish_as(KSK_GELU_NEW, sums, stride, tile, e, y, y_stride);
        break;
    case KSK_SILU:
        finish_as(KSK_SILU, sums, stride, tile, e, y, y_stride);
        break;
    case KSK_TANH:
        finish_as(KSK_TANH, sums, stride, tile, e, y, y_stride);
        break;
    }
}
