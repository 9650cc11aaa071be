/* A product with packed weights, for any element that widens to float. The file that includes this
 * has defined ELEMENT and `widen`, which reads one row of a panel as two vectors.
 *
 * A tile of y is held in registers while k runs, so each element of y is one chain of fused
 * multiply-adds over k in increasing order, started from 0: its bits do not depend on the tile. */
#ifndef KSK_TENSOR_KERNELS_PRODUCT_FLOAT_H
#define KSK_TENSOR_KERNELS_PRODUCT_FLOAT_H

#include "tensor/kernels/finish.h"

/* Rows of a times `panels` neighbouring panels. */
INLINE void multiply_tile(const int rows, const int panels, int64_t k, ksk_left a,
                          const ELEMENT *packed, const tile_end *end)
{
    vfloat sum[TALLEST][2 * WIDEST] = {{{0}}};
    expect_tile(rows, panels, end);
    const int64_t panel_size = k * PANEL;
    const float *left = a.data;
#pragma GCC unroll 2
    for (int64_t p = 0; p < k; p++) {
#pragma GCC unroll 4
        for (int j = 0; j < panels; j++) {
            vfloat low, high;
            widen(packed + j * panel_size, &low, &high);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                const vfloat x = splat(left[i * a.row]);
                sum[i][2 * j] = fused(x, low, sum[i][2 * j]);
                sum[i][2 * j + 1] = fused(x, high, sum[i][2 * j + 1]);
            }
        }
        left += a.column;
        packed += PANEL;
    }
    finish_tile(rows, 2 * panels, sum, end);
}

typedef void tile_kernel(int64_t k, ksk_left a, const ELEMENT *packed, const tile_end *end);

#define TILE(rows, panels)                                                                         \
    static void tile_##rows##x##panels(int64_t k, ksk_left a, const ELEMENT *packed,               \
                                       const tile_end *end)                                        \
    {                                                                                              \
        multiply_tile(rows, panels, k, a, packed, end);                                            \
    }
EACH_TILE(TILE)
#undef TILE

static tile_kernel *const kernels[TALLEST + 1][WIDEST + 1] = {
#define TILE(rows, panels) [rows][panels] = tile_##rows##x##panels,
    EACH_TILE(TILE)
#undef TILE
};

/* All rows of y, for panels [first, first + panels) at once or tile by tile. */
static void multiply_panels(int64_t m, int64_t n, int64_t k, ksk_left a, const ELEMENT *packed,
                            int64_t first, int panels, const ksk_epilogue *epilogue, float *y,
                            int64_t y_stride)
{
    const int64_t column = first * PANEL;
    const int columns = (int)(n - column < panels * PANEL ? n - column : panels * PANEL);
    const int64_t tiles = tile_count(m);
    for (int64_t t = 0, row = 0; t < tiles; t++) {
        const int rows = tile_height(m, t);
        const ksk_left part = {a.data + row * a.row, a.row, a.column};
        const tile_end end = {epilogue_at(epilogue, row, column), y + row * y_stride + column,
                              y_stride, columns};
        kernels[rows][panels](k, part, packed + first * k * PANEL, &end);
        row += rows;
    }
}

static void multiply(int64_t m, int64_t n, int64_t k, ksk_left a, const ELEMENT *packed,
                     int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                     int64_t y_stride)
{
    const int64_t block = block_rows(k);
    for (int64_t top = 0; top < m; top += block) {
        const int64_t rows = m - top < block ? m - top : block;
        const ksk_left part = {a.data + top * a.row, a.row, a.column};
        const ksk_epilogue end = epilogue_at(epilogue, top, 0);
        const int together = panels_together(rows);
        for (int64_t panel = first; panel < last;) {
            const int panels = last - panel >= together ? together : 1;
            multiply_panels(rows, n, k, part, packed, panel, panels, &end, y + top * y_stride,
                            y_stride);
            panel += panels;
        }
    }
}

#endif
