/* The end of every product: a tile of sums becomes rows of y. */
#ifndef KSK_TENSOR_KERNELS_FINISH_H
#define KSK_TENSOR_KERNELS_FINISH_H

#include "tensor/kernels/vector.h"

/* Where a tile of y begins, and how much of it there is. */
typedef struct region {
    int64_t row, column;
    int rows, columns;
} region;

/* y = epilogue(sums) for the tile; sums [rows][stride], stride a multiple of LANES. */
void KERNEL(finish)(const float *sums, int stride, region tile, const ksk_epilogue *epilogue,
                    float *y, int64_t y_stride);

#endif
