#include <math.h>

#include "tensor/kernels/dot8.h"
#include "tensor/kernels/finish.h"

/* A panel of packed weights is PANEL 32-bit sums and then [k_padded / 4][PANEL][4] bytes: four
 * steps of k side by side, as dot8 takes them. dot8 wants rows of unsigned bytes, which are the
 * signed ones and 128 more; each column's sum starts at what takes that away again. */
static int64_t padded(int64_t k)
{
    return (k + 3) / 4 * 4;
}

static int64_t panel_size(int64_t k)
{
    return PANEL * ((int64_t)sizeof(int32_t) + padded(k));
}

size_t KERNEL(pack_int8_size)(int64_t k, int64_t n)
{
    return (size_t)((n + PANEL - 1) / PANEL * panel_size(k));
}

/* --- quantising ------------------------------------------------------------------------------ */

/* What a row's elements are multiplied with to lie within ±steps, and the scale that undoes it. A
 * row with an infinity or a NaN gets the scale NaN, so that all it is multiplied into is NaN; a row
 * too small to divide by is taken for zeros. */
typedef struct grid {
    float inverse, scale;
} grid;

static grid grid_of(float largest, float steps)
{
    if (!isfinite(largest))
        return (grid){0, NAN};
    if (largest < 1e-30f)
        return (grid){0, 0};
    return (grid){steps / largest, largest / steps};
}

/* The largest magnitude; NaN when an element is NaN or infinite. */
static float largest_magnitude(int64_t k, const float *a)
{
    vfloat most = {0}, odd = {0};
    int64_t p = 0;
    for (; p + LANES <= k; p += LANES) {
        const vfloat x = load(a + p);
        most = larger(magnitude(x), most);
        odd += x - x; /* NOLINT(misc-redundant-expression): NaN unless finite */
    }
    if (p < k) {
        const vfloat x = load_part(a + p, k - p);
        most = larger(magnitude(x), most);
        odd += x - x; /* NOLINT(misc-redundant-expression): NaN unless finite */
    }
    return largest_of(most) + sum_of(odd);
}

INLINE vint rounded(vfloat x)
{
    const vfloat shift = splat(0x1.8p23f); /* adding it rounds to an integer, in the low bits */
    return (vint)(x + shift) - (vint)shift;
}

/* The bytes of the floats from `a` on; zeros for those behind the first `count`. */
INLINE vbytes bytes_of(const float *a, int64_t count, float inverse)
{
    vint whole[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const int64_t left = count - j * LANES;
        const vfloat x = left > 0 ? load_upto(a + j * LANES, left) : (vfloat){0};
        whole[j] = rounded(x * inverse);
    }
    return narrowed(whole[0], whole[1], whole[2], whole[3]);
}

/* A row that has a scale of 0 or NaN is zeros, whatever it holds. */
static void quantize_row(int64_t k, const float *a, grid steps, int offset, int8_t *q)
{
    const int64_t size = padded(k);
    const vbytes turn = (vbytes){0} + (int8_t)offset; /* bytes + 128 are bytes ^ 128 */
    if (!(steps.inverse > 0)) {
        memset(q, offset, (size_t)size);
        return;
    }
    int64_t p = 0;
    for (; p + 4 * LANES <= k; p += 4 * LANES) {
        const vbytes bytes = bytes_of(a + p, 4 * LANES, steps.inverse) ^ turn;
        memcpy(q + p, &bytes, sizeof bytes);
    }
    if (p < size) {
        const vbytes bytes = bytes_of(a + p, k - p, steps.inverse) ^ turn;
        memcpy(q + p, &bytes, (size_t)(size - p));
    }
}

void KERNEL(quantize_rows)(int64_t m, int64_t k, const float *a, int64_t a_stride, int offset,
                           int8_t *q, int64_t q_stride, float *row_scales)
{
    for (int64_t i = 0; i < m; i++, a += a_stride, q += q_stride) {
        const grid steps = grid_of(largest_magnitude(k, a), 127);
        row_scales[i] = steps.scale;
        quantize_row(k, a, steps, offset, q);
    }
}

void KERNEL(quantize_weights)(int64_t n, int64_t k, const float *b, int64_t b_stride, int steps,
                              int8_t *q, int64_t q_stride, float *column_scales)
{
    for (int64_t j = 0; j < n; j++, b += b_stride, q += q_stride) {
        const grid found = grid_of(largest_magnitude(k, b), (float)steps);
        column_scales[j] = found.scale;
        quantize_row(k, b, found, 0, q);
    }
}

static float column_magnitude(int64_t k, const float *b, int64_t row)
{
    float most = 0, odd = 0;
    for (int64_t p = 0; p < k; p++) {
        most = fmaxf(most, fabsf(b[p * row]));
        odd += b[p * row] - b[p * row];
    }
    return most + odd;
}

static void pack_column(int64_t k, const float *b, int64_t row, grid steps, int8_t *panel,
                        int64_t place)
{
    int8_t *to = panel + PANEL * sizeof(int32_t) + place * 4;
    int32_t sum = 0;
    for (int64_t p = 0; p < k && steps.inverse > 0; p++) {
        const int8_t whole = (int8_t)rintf(b[p * row] * steps.inverse);
        to[p / 4 * 4 * PANEL + p % 4] = whole;
        sum -= 128 * whole;
    }
    memcpy(panel + place * (int64_t)sizeof sum, &sum, sizeof sum);
}

void KERNEL(pack_int8)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                       void *packed, float *column_scales)
{
    memset(packed, 0, KERNEL(pack_int8_size)(k, n));
    for (int64_t j = 0; j < n; j++) {
        const float *from = b + j * column;
        const grid steps = grid_of(column_magnitude(k, from, row), 63);
        column_scales[j] = steps.scale;
        pack_column(k, from, row, steps, (int8_t *)packed + j / PANEL * panel_size(k), j % PANEL);
    }
}

/* --- multiplying ----------------------------------------------------------------------------- */

/* What turns the sums of a tile into floats. */
typedef struct tile_scales {
    const float *rows, *columns;
} tile_scales;

INLINE vfloat columns_of(const float *scales, int vector, const tile_end *end)
{
    const int64_t left = end->columns - vector * LANES;
    return left > 0 ? load_upto(scales + vector * LANES, left) : (vfloat){0};
}

INLINE void scale_tile(const int rows, const int vectors, vint sum[TALLEST][2 * WIDEST],
                       const tile_scales *scales, const tile_end *end)
{
    vfloat scaled[TALLEST][2 * WIDEST];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; j++) {
        const vfloat columns = columns_of(scales->columns, j, end);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
            scaled[i][j] = __builtin_convertvector(sum[i][j], vfloat) * (columns * scales->rows[i]);
    }
    finish_tile(rows, vectors, scaled, end);
}

INLINE void multiply_tile(const int rows, const int panels, int64_t k, const int8_t *q,
                          int64_t q_stride, const int8_t *packed, const tile_scales *scales,
                          const tile_end *end)
{
    vint sum[TALLEST][2 * WIDEST];
    const int64_t panel_bytes = panel_size(k);
    expect_tile(rows, panels, end);
#pragma GCC unroll 8
    for (int j = 0; j < 2 * panels; j++)
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
            sum[i][j] = *(const loose_int *)(packed + j / 2 * panel_bytes + j % 2 * 4 * LANES);
    packed += PANEL * sizeof(int32_t);
    for (int64_t p = 0; p < k; p += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < panels; j++) {
            const int8_t *row = packed + j * panel_bytes + p * PANEL;
            const vint low = *(const loose_int *)row;
            const vint high = *(const loose_int *)(row + 4 * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                int32_t four;
                memcpy(&four, q + i * q_stride + p, sizeof four);
                sum[i][2 * j] = dot8(sum[i][2 * j], low, four);
                sum[i][2 * j + 1] = dot8(sum[i][2 * j + 1], high, four);
            }
        }
    }
    scale_tile(rows, 2 * panels, sum, scales, end);
}

typedef void tile_kernel(int64_t k, const int8_t *q, int64_t q_stride, const int8_t *packed,
                         const tile_scales *scales, const tile_end *end);

#define TILE(rows, panels)                                                                         \
    static void tile_##rows##x##panels(int64_t k, const int8_t *q, int64_t q_stride,               \
                                       const int8_t *packed, const tile_scales *scales,            \
                                       const tile_end *end)                                        \
    {                                                                                              \
        multiply_tile(rows, panels, k, q, q_stride, packed, scales, end);                          \
    }
EACH_TILE(TILE)
#undef TILE

static tile_kernel *const kernels[TALLEST + 1][WIDEST + 1] = {
#define TILE(rows, panels) [rows][panels] = tile_##rows##x##panels,
    EACH_TILE(TILE)
#undef TILE
};

void KERNEL(product_int8)(int64_t m, int64_t n, int64_t k, const int8_t *q, int64_t q_stride,
                          const float *row_scales, const void *packed, const float *column_scales,
                          int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                          int64_t y_stride)
{
    const int64_t steps = padded(k), tiles = tile_count(m);
    const int together = panels_together(m);
    for (int64_t panel = first; panel < last;) {
        const int panels = last - panel >= together ? together : 1;
        const int64_t column = panel * PANEL;
        const int columns = (int)(n - column < panels * PANEL ? n - column : panels * PANEL);
        const int8_t *weights = (const int8_t *)packed + panel * panel_size(k);
        for (int64_t t = 0, row = 0; t < tiles; t++) {
            const int rows = tile_height(m, t);
            const tile_scales scales = {row_scales + row, column_scales + column};
            const tile_end end = {epilogue_at(epilogue, row, column), y + row * y_stride + column,
                                  y_stride, columns};
            kernels[rows][panels](steps, q + row * q_stride, q_stride, weights, &scales, &end);
            row += rows;
        }
        panel += panels;
    }
}
