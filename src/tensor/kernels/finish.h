/* The end of every product: sums become rows of y. */
#ifndef KSK_TENSOR_KERNELS_FINISH_H
#define KSK_TENSOR_KERNELS_FINISH_H

#include "tensor/kernels/math.h"
#include "tensor/kernels/tiles.h"

/* The epilogue (NULL: none) of the part of y that begins at (row, column). */
INLINE ksk_epilogue epilogue_at(const ksk_epilogue *epilogue, int64_t row, int64_t column)
{
    if (!epilogue)
        return (ksk_epilogue){.activation = KSK_IDENTITY};
    ksk_epilogue part = *epilogue;
    if (part.bias)
        part.bias += column;
    if (part.residual)
        part.residual += row * part.residual_stride + column;
    return part;
}

/* Where a tile of sums goes. */
typedef struct tile_end {
    ksk_epilogue epilogue; /* of the tile */
    float *y;
    int64_t y_stride;
    int columns; /* of the tile that y has */
} tile_end;

/* Fetches the lines of y that a tile is going to fill, while it is computed: y may be larger than
 * the caches, and a store that waits for its line holds up all that follow. */
INLINE void expect_tile(const int rows, const int panels, const tile_end *end)
{
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < panels * PANEL * 4 / 64; j++)
            __builtin_prefetch(end->y + i * end->y_stride + j * 16, 1);
}

/* The end of a tile that is cut off or has an activation of many operations. */
INLINE void finish_through_memory(const int rows, const int vectors,
                                  vfloat sum[TALLEST][2 * WIDEST], const tile_end *end)
{
    float sums[TALLEST * 2 * LANES];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            store(sums + (i * vectors + j) * LANES, sum[i][j]);
    KERNEL(finish_f32)
    (rows, end->columns, sums, vectors * LANES, &end->epilogue, end->y, end->y_stride);
}

/* The end of a tile while its sums are still in registers: one branch for each part of the
 * epilogue, not one for each vector. */
INLINE void finish_tile(const int rows, const int vectors, vfloat sum[TALLEST][2 * WIDEST],
                        const tile_end *end)
{
    const ksk_epilogue *epilogue = &end->epilogue;
    const bool relu = epilogue->activation == KSK_RELU;
    if (end->columns < vectors * LANES || !(relu || epilogue->activation == KSK_IDENTITY)) {
        finish_through_memory(rows, vectors, sum, end);
        return;
    }
#define EACH_VECTOR                                                                                \
    _Pragma("GCC unroll 8") for (int j = 0; j < vectors; j++)                                      \
        _Pragma("GCC unroll 16") for (int i = 0; i < rows; i++)
    if (epilogue->bias)
        EACH_VECTOR
    sum[i][j] += load(epilogue->bias + j * LANES);
    if (relu)
        EACH_VECTOR
    sum[i][j] = activated(KSK_RELU, sum[i][j]);
    if (epilogue->residual)
        EACH_VECTOR
    sum[i][j] += load(epilogue->residual + i * epilogue->residual_stride + j * LANES);
    EACH_VECTOR
    store(end->y + i * end->y_stride + j * LANES, sum[i][j]);
#undef EACH_VECTOR
}

#endif
