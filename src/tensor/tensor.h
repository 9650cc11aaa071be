/* The inside of a tensor, for the library's own rooms. */
#ifndef KSK_TENSOR_TENSOR_H
#define KSK_TENSOR_TENSOR_H

#include <stdatomic.h>

#include "kaskad/tensor.h"

struct ksk_packing;

/* Fields are constant after construction, but for the count of references. A tensor on the stack
 * (ksk_tensor_borrow) may be passed to ksk_run as an input; it is never shared or released. */
struct ksk_tensor {
    ksk_dtype dtype;
    int rank;
    int64_t shape[KSK_MAX_RANK];
    int64_t count; /* elements */
    const void *data;
    void (*release)(void *owner); /* NULL: the memory outlives the tensor */
    void *owner;
    atomic_int references;
    bool writable;               /* the memory is the tensor's own and fresh */
    struct ksk_packing *packing; /* owned: the memory is in panels (packing.h); NULL: row-major */
};

/* A tensor over memory of the caller's for the length of a call; nothing is allocated. */
ksk_tensor ksk_tensor_borrow(ksk_dtype dtype, int rank, const int64_t *shape, const void *data);

/* True when one reference is left and the memory is the tensor's own. */
bool ksk_tensor_exclusive(const ksk_tensor *tensor);

/* Element conversions, `count` elements. */
float ksk_bf16_to_f32(uint16_t bits);
uint16_t ksk_f32_to_bf16(float value); /* round to nearest even; NaN stays NaN */
float ksk_f16_to_f32(uint16_t bits);
uint16_t ksk_f32_to_f16(float value);
void ksk_bf16_widen(int64_t count, const uint16_t *bits, float *values);

#endif
