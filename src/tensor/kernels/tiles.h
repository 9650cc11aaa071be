/* How a product is cut into tiles that fit the registers. None of this changes a result. */
#ifndef KSK_TENSOR_KERNELS_TILES_H
#define KSK_TENSOR_KERNELS_TILES_H

#include "tensor/kernels/vector.h"

/* Rows of the largest tile: with two vectors each, its sums leave a few registers over (32 of them
 * with AVX-512, 16 elsewhere). */
#if LANES == 16
#define TALLEST 12
#else
#define TALLEST 6
#endif

/* With few rows, several panels together give enough independent sums to hide the latency. No tile
 * has more sums than the tallest one. */
#define WIDEST 4

#define EACH_LOW_TILE(TILE)                                                                        \
    TILE(1, 1)                                                                                     \
    TILE(1, 4) TILE(2, 1) TILE(2, 2) TILE(3, 1) TILE(3, 2) TILE(4, 1) TILE(5, 1) TILE(6, 1)
#if LANES == 16
#define EACH_TILE(TILE)                                                                            \
    EACH_LOW_TILE(TILE) TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1) TILE(11, 1) TILE(12, 1)
#else
#define EACH_TILE(TILE) EACH_LOW_TILE(TILE)
#endif

INLINE int panels_together(int64_t rows)
{
    return rows == 1 ? 4 : rows <= 3 ? 2 : 1;
}

INLINE int64_t tile_count(int64_t rows)
{
    return (rows + TALLEST - 1) / TALLEST;
}

/* Rows of tile t: as even as can be, since a low tile costs nearly as much as a tall one. */
INLINE int tile_height(int64_t rows, int64_t t)
{
    const int64_t tiles = tile_count(rows);
    return (int)(rows / tiles + (t < rows % tiles));
}

/* Rows of a that are multiplied with one panel before the next: as many as stay in the second-level
 * cache. */
INLINE int64_t block_rows(int64_t k)
{
    const int64_t cached = 192 * 1024 / (4 * (k + 1)) / TALLEST * TALLEST;
    return cached < 2 * TALLEST ? 2 * TALLEST : cached;
}

#endif
