#include "tensor/kernels/vector.h"

#define ELEMENT float

INLINE void widen(const float *row, vfloat *low, vfloat *high)
{
    *low = load(row);
    *high = load(row + LANES);
}

#include "tensor/kernels/product_float.h"

/* Four rows of b against four columns at a time, for a b that lies the other way round. */
static void turn(int64_t k, int64_t columns, const float *b, int64_t column, float *packed)
{
    int64_t p = 0;
    for (; p + 4 <= k; p += 4) {
        int64_t j = 0;
        for (; j + 4 <= columns; j += 4) {
            const float *from = b + j * column + p;
            const quad r0 = *(const loose_quad *)from, r1 = *(const loose_quad *)(from + column),
                       r2 = *(const loose_quad *)(from + 2 * column),
                       r3 = *(const loose_quad *)(from + 3 * column);
            const quad a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5),
                       c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7),
                       d = __builtin_shufflevector(r2, r3, 0, 4, 1, 5),
                       e = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
            float *to = packed + p * PANEL + j;
            *(loose_quad *)to = __builtin_shufflevector(a, d, 0, 1, 4, 5);
            *(loose_quad *)(to + PANEL) = __builtin_shufflevector(a, d, 2, 3, 6, 7);
            *(loose_quad *)(to + 2 * PANEL) = __builtin_shufflevector(c, e, 0, 1, 4, 5);
            *(loose_quad *)(to + 3 * PANEL) = __builtin_shufflevector(c, e, 2, 3, 6, 7);
        }
        for (; j < columns; j++)
            for (int q = 0; q < 4; q++)
                packed[(p + q) * PANEL + j] = b[j * column + p + q];
    }
    for (; p < k; p++)
        for (int64_t j = 0; j < columns; j++)
            packed[p * PANEL + j] = b[j * column + p];
}

static void pack_panel(int64_t k, int64_t columns, const float *b, int64_t row, int64_t column,
                       float *packed)
{
    if (columns < PANEL)
        memset(packed, 0, (size_t)(k * PANEL) * sizeof *packed);
    if (row == 1) {
        turn(k, columns, b, column, packed);
        return;
    }
    for (int64_t p = 0; p < k; p++) {
        const float *from = b + p * row;
        float *to = packed + p * PANEL;
        if (column == 1 && columns == PANEL)
            memcpy(to, from, PANEL * sizeof *to);
        else
            for (int64_t j = 0; j < columns; j++)
                to[j] = from[j * column];
    }
}

void KERNEL(pack_f32)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                      int64_t first, int64_t last, float *packed)
{
    for (int64_t panel = first; panel < last; panel++) {
        const int64_t left = n - panel * PANEL;
        pack_panel(k, left < PANEL ? left : PANEL, b + panel * PANEL * column, row, column,
                   packed + panel * k * PANEL);
    }
}

void KERNEL(product_f32)(int64_t m, int64_t n, int64_t k, ksk_left a, const float *packed,
                         int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                         int64_t y_stride)
{
    multiply(m, n, k, a, packed, first, last, epilogue, y, y_stride);
}
