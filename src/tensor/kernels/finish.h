/* The end of every product: sums become rows of y. */
#ifndef KSK_TENSOR_KERNELS_FINISH_H
#define KSK_TENSOR_KERNELS_FINISH_H

#include "tensor/kernels/vector.h"

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

#endif
