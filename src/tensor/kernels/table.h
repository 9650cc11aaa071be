/* The tables that there may be; which are built depends on the processor family. */
#ifndef KSK_TENSOR_KERNELS_TABLE_H
#define KSK_TENSOR_KERNELS_TABLE_H

#include "tensor/kernels.h"

extern const ksk_kernels ksk_scalar_kernels;
extern const ksk_kernels ksk_avx2_kernels;
extern const ksk_kernels ksk_avx512_kernels;
extern const ksk_kernels ksk_wide_kernels; /* tests only */

#endif
