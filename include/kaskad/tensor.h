/* Tensors: immutable, reference-counted arrays, row-major, without strides. */
#ifndef KASKAD_TENSOR_H
#define KASKAD_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ksk_dtype { KSK_F32, KSK_BF16, KSK_F16, KSK_I32, KSK_I8, KSK_U8 } ksk_dtype;

enum { KSK_MAX_RANK = 4 };

typedef struct ksk_tensor ksk_tensor;

/* Bytes of one element, and the name as safetensors spells it ("F32"). */
KSK_API size_t ksk_dtype_size(ksk_dtype dtype);
KSK_API const char *ksk_dtype_name(ksk_dtype dtype);

/* A tensor of the given shape over fresh memory, content undefined; the one moment it may be
 * written is through `ksk_tensor_fill` before it is shared. Caller releases.
 * Errors: OUT_OF_MEMORY; BAD_ARGUMENT for a negative size, a rank over KSK_MAX_RANK, a product that
 * overflows. */
KSK_API ksk_tensor *ksk_tensor_new(ksk_dtype dtype, int rank, const int64_t *shape, ksk_error *err);

/* The same over memory of the caller's: `release(owner)` is called when the last reference goes
 * (release may be NULL for memory that outlives the tensor). Errors: as ksk_tensor_new. */
KSK_API ksk_tensor *ksk_tensor_wrap(ksk_dtype dtype, int rank, const int64_t *shape,
                                    const void *data, void (*release)(void *owner), void *owner,
                                    ksk_error *err);

/* One more reference to the same tensor (never fails; NULL gives NULL), and one fewer. */
KSK_API ksk_tensor *ksk_tensor_share(const ksk_tensor *tensor);
KSK_API void ksk_tensor_release(const ksk_tensor *tensor);

KSK_API ksk_dtype ksk_tensor_dtype(const ksk_tensor *tensor);
KSK_API int ksk_tensor_rank(const ksk_tensor *tensor);
KSK_API int64_t ksk_tensor_size(const ksk_tensor *tensor, int dimension);
KSK_API const int64_t *ksk_tensor_shape(const ksk_tensor *tensor);
KSK_API int64_t ksk_tensor_count(const ksk_tensor *tensor); /* elements */
KSK_API size_t ksk_tensor_bytes(const ksk_tensor *tensor);

/* The elements; valid while a reference is held. */
KSK_API const void *ksk_tensor_data(const ksk_tensor *tensor);
KSK_API const float *ksk_tensor_f32(const ksk_tensor *tensor);   /* NULL unless F32 */
KSK_API const int32_t *ksk_tensor_i32(const ksk_tensor *tensor); /* NULL unless I32 */

/* Memory to fill, while this reference is the only one and the memory is the tensor's own; NULL
 * otherwise. */
KSK_API void *ksk_tensor_fill(ksk_tensor *tensor);

/* A tensor of the same shape with elements converted (F32, BF16, F16 among each other; round to
 * nearest even). Shares when nothing changes. Caller releases. Errors: UNSUPPORTED (other types),
 * OUT_OF_MEMORY. */
KSK_API ksk_tensor *ksk_tensor_convert(const ksk_tensor *tensor, ksk_dtype dtype, ksk_error *err);

/* The same elements under another shape of the same count; shares the memory. Caller releases.
 * Errors: BAD_ARGUMENT, OUT_OF_MEMORY. */
KSK_API ksk_tensor *ksk_tensor_reshape(const ksk_tensor *tensor, int rank, const int64_t *shape,
                                       ksk_error *err);

/* Same dtype, shape and bytes. */
KSK_API bool ksk_tensor_equal(const ksk_tensor *a, const ksk_tensor *b);

#ifdef __cplusplus
}
#endif
#endif
