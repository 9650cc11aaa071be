/* Products in bf16 and int8 by oneDNN, where the processor has instructions for them. */
#ifndef KSK_TENSOR_ONEDNN_H
#define KSK_TENSOR_ONEDNN_H

#include "base/pool.h"
#include "tensor/kernels.h"

typedef struct ksk_onednn ksk_onednn;

/* Whether this processor and table have instructions that oneDNN would use. */
bool ksk_onednn_wanted(const ksk_kernels *kernels, ksk_precision precision);

/* Weights [n, k] with `stride`, packed by oneDNN for y = x · weightᵀ; NULL when the table's own
 * kernels are to be used: f32, a processor without the instructions, a lower table asked for, an
 * implementation whose rows change with their company, no memory. With `scales` [n] the weights of
 * an int8 row are integers times its scale, which they stay; else (NULL) scales are found. Caller
 * frees. */
ksk_onednn *ksk_onednn_new(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                           int64_t k, const float *weight, int64_t stride, const float *scales);

/* The same whatever the processor and the implementation, so that a test can look at the numbers;
 * NULL only where oneDNN cannot multiply in that precision at all. */
ksk_onednn *ksk_onednn_forced(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                              int64_t k, const float *weight, int64_t stride, const float *scales);

void ksk_onednn_free(ksk_onednn *onednn); /* NULL is fine */

size_t ksk_onednn_bytes(const ksk_onednn *onednn);
const char *ksk_onednn_name(const ksk_onednn *onednn); /* of the implementation, "brg:…" */

/* Scratch bytes for m rows, and the product, as in product.h. */
size_t ksk_onednn_scratch(const ksk_onednn *onednn, int64_t m);
void ksk_onednn_product(const ksk_onednn *onednn, int64_t m, const float *x, int64_t x_stride,
                        const ksk_epilogue *epilogue, float *y, int64_t y_stride, void *scratch,
                        ksk_pool *pool);

#endif
