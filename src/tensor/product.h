/* Products with packed weights: which kernel, on how many threads, in which precision. */
#ifndef KSK_TENSOR_PRODUCT_H
#define KSK_TENSOR_PRODUCT_H

#include "base/pool.h"
#include "tensor/kernels.h"
#include "tensor/tensor.h"

typedef struct ksk_packed ksk_packed;

/* weight [n, k] (row-major, `stride` elements between rows) packed for y = x · weightᵀ in
 * `precision` on this processor. Caller frees. Errors: OUT_OF_MEMORY. */
ksk_packed *ksk_packed_new(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                           int64_t k, const float *weight, int64_t stride, ksk_error *err);

/* The same for a packed tensor (packing.h), or a stack of them, which is shared and used where it
 * lies when it is packed for this processor, and packed anew otherwise. */
ksk_packed *ksk_packed_share(const ksk_kernels *kernels, const ksk_tensor *matrix, ksk_error *err);
void ksk_packed_free(ksk_packed *packed);
size_t ksk_packed_bytes(const ksk_packed *packed);
ksk_precision ksk_packed_precision(const ksk_packed *packed);

/* Name of the kernel that runs, for --profile and plan printing: "avx2 f32",
 * "brg:avx512_core_bf16". */
const char *ksk_packed_kernel(const ksk_packed *packed);

/* Scratch bytes that ksk_product needs for m rows. */
size_t ksk_product_scratch(const ksk_packed *packed, int64_t m);

/* y [m, n] = epilogue(x [m, k] · weightᵀ). Work is sliced over the pool's threads when it is large
 * enough to gain. */
void ksk_product(const ksk_packed *packed, int64_t m, const float *x, int64_t x_stride,
                 const ksk_epilogue *epilogue, float *y, int64_t y_stride, void *scratch,
                 ksk_pool *pool);

/* The same for a right operand that changes with every run: b (element (p, j) at b[p * row + j *
 * column]) is packed into scratch first, and so is a left operand whose rows are not contiguous.
 * Used for gradients and unfused graphs, in f32. Of `a`, the scratch looks at the strides only. */
size_t ksk_product_plain_scratch(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k,
                                 ksk_left a);
void ksk_product_plain(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k, ksk_left a,
                       const float *b, int64_t row, int64_t column, const ksk_epilogue *epilogue,
                       float *y, int64_t y_stride, void *scratch, ksk_pool *pool);

#endif
