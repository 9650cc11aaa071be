#include "tensor/kernels/vector.h"
#include "tensor/tensor.h"

#define ELEMENT uint16_t

/* Columns j and j + LANES of a panel share a 32-bit word, so that widening is one shift or mask. */
INLINE void widen(const uint16_t *row, vfloat *low, vfloat *high)
{
    const vuint pairs = *(const loose_uint *)row;
    *low = (vfloat)(pairs << 16);
    *high = (vfloat)(pairs & 0xffff0000u);
}

#include "tensor/kernels/product_float.h"

static int place_of(int64_t column)
{
    return (int)(column < LANES ? 2 * column : 2 * (column - LANES) + 1);
}

void KERNEL(pack_bf16)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                       int64_t first, int64_t last, uint16_t *packed)
{
    for (int64_t panel = first; panel < last; panel++) {
        const int64_t left = n - panel * PANEL;
        for (int64_t p = 0; p < k; p++) {
            uint16_t *to = packed + (panel * k + p) * PANEL;
            for (int64_t j = 0; j < PANEL; j++)
                to[place_of(j)] =
                    j < left ? ksk_f32_to_bf16(b[p * row + (panel * PANEL + j) * column]) : 0;
        }
    }
}

void KERNEL(round_rows)(int64_t m, int64_t k, const float *x, int64_t x_stride, uint16_t *rounded,
                        int64_t rounded_stride)
{
    typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
    for (int64_t i = 0; i < m; i++, x += x_stride, rounded += rounded_stride)
        for (int64_t p = 0; p < k; p += LANES) {
            const int64_t left = k - p < LANES ? k - p : LANES;
            const vfloat value = load_upto(x + p, left);
            const vuint bits = (vuint)value, odd = bits >> 16 & 1;
            const vuint nearest = (bits + 0x7fff + odd) >> 16, quiet = bits >> 16 | 0x40;
            /* NOLINTNEXTLINE(misc-redundant-expression): false where it is NaN */
            const vuint number = (vuint)(value == value);
            const halves narrow =
                __builtin_convertvector((nearest & number) | (quiet & ~number), halves);
            memcpy(rounded + p, &narrow, (size_t)left * sizeof *rounded);
        }
}

void KERNEL(product_bf16)(int64_t m, int64_t n, int64_t k, ksk_left a, const uint16_t *packed,
                          int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                          int64_t y_stride)
{
    multiply(m, n, k, a, packed, first, last, epilogue, y, y_stride);
}
