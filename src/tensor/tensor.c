#include "tensor/tensor.h"

#include <stdint.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/packing.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [KSK_F32] = {"F32", 4}, [KSK_BF16] = {"BF16", 2}, [KSK_F16] = {"F16", 2},
    [KSK_I32] = {"I32", 4}, [KSK_I8] = {"I8", 1},     [KSK_U8] = {"U8", 1},
};

size_t ksk_dtype_size(ksk_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *ksk_dtype_name(ksk_dtype dtype)
{
    return dtypes[dtype].name;
}

/* --- construction --------------------------------------------------------------------------- */

/* Elements of a shape, or -1. */
static int64_t count_of(ksk_dtype dtype, int rank, const int64_t *shape, ksk_error *err)
{
    if (rank < 0 || rank > KSK_MAX_RANK) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "a tensor of rank %d: expected 0 to %d", rank,
                 KSK_MAX_RANK);
        return -1;
    }
    int64_t count = 1;
    bool overflow = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) {
            ksk_fail(err, KSK_BAD_ARGUMENT, "dimension %d of a tensor has size %lld", i,
                     (long long)shape[i]);
            return -1;
        }
        overflow |= __builtin_mul_overflow(count, shape[i], &count);
    }
    if (overflow || count > PTRDIFF_MAX / 2 / (int64_t)ksk_dtype_size(dtype)) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "the sizes of a tensor multiply to more than memory holds");
        return -1;
    }
    return count;
}

static void describe(ksk_tensor *tensor, ksk_dtype dtype, int rank, const int64_t *shape,
                     int64_t count)
{
    *tensor = (ksk_tensor){.dtype = dtype, .rank = rank, .count = count};
    for (int i = 0; i < rank; i++)
        tensor->shape[i] = shape[i];
    atomic_init(&tensor->references, 1);
}

/* The elements of a tensor that owns its memory follow it, at the allocator's alignment. */
enum { header_bytes = (sizeof(ksk_tensor) + 63) / 64 * 64 };

ksk_tensor *ksk_tensor_new(ksk_dtype dtype, int rank, const int64_t *shape, ksk_error *err)
{
    const int64_t count = count_of(dtype, rank, shape, err);
    if (count < 0)
        return NULL;
    ksk_tensor *tensor = ksk_malloc(header_bytes + (size_t)count * ksk_dtype_size(dtype));
    if (!tensor) {
        ksk_fail_memory(err);
        return NULL;
    }
    describe(tensor, dtype, rank, shape, count);
    tensor->data = (char *)tensor + header_bytes;
    tensor->writable = true;
    return tensor;
}

ksk_tensor *ksk_tensor_wrap(ksk_dtype dtype, int rank, const int64_t *shape, const void *data,
                            void (*release)(void *owner), void *owner, ksk_error *err)
{
    const int64_t count = count_of(dtype, rank, shape, err);
    if (count < 0)
        return NULL;
    ksk_tensor *tensor = ksk_malloc(sizeof *tensor);
    if (!tensor) {
        ksk_fail_memory(err);
        return NULL;
    }
    describe(tensor, dtype, rank, shape, count);
    tensor->data = data;
    tensor->release = release;
    tensor->owner = owner;
    return tensor;
}

ksk_tensor ksk_tensor_borrow(ksk_dtype dtype, int rank, const int64_t *shape, const void *data)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    ksk_tensor tensor;
    describe(&tensor, dtype, rank, shape, count);
    tensor.data = data;
    return tensor;
}

/* --- references ----------------------------------------------------------------------------- */

/* The count of references is the one part of a tensor that changes. */
ksk_tensor *ksk_tensor_share(const ksk_tensor *tensor)
{
    ksk_tensor *shared = (ksk_tensor *)tensor;
    if (shared)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void ksk_tensor_release(const ksk_tensor *tensor)
{
    ksk_tensor *shared = (ksk_tensor *)tensor;
    if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) > 1)
        return;
    if (shared->release)
        shared->release(shared->owner);
    if (shared->packing)
        ksk_packing_free(shared->packing);
    ksk_free(shared);
}

bool ksk_tensor_exclusive(const ksk_tensor *tensor)
{
    return tensor->writable && atomic_load_explicit(&tensor->references, memory_order_acquire) == 1;
}

/* --- readers -------------------------------------------------------------------------------- */

ksk_dtype ksk_tensor_dtype(const ksk_tensor *tensor)
{
    return tensor->dtype;
}

int ksk_tensor_rank(const ksk_tensor *tensor)
{
    return tensor->rank;
}

int64_t ksk_tensor_size(const ksk_tensor *tensor, int dimension)
{
    return tensor->shape[dimension];
}

const int64_t *ksk_tensor_shape(const ksk_tensor *tensor)
{
    return tensor->shape;
}

int64_t ksk_tensor_count(const ksk_tensor *tensor)
{
    return tensor->count;
}

size_t ksk_tensor_bytes(const ksk_tensor *tensor)
{
    return tensor->packing ? tensor->packing->bytes
                           : (size_t)tensor->count * ksk_dtype_size(tensor->dtype);
}

const void *ksk_tensor_data(const ksk_tensor *tensor)
{
    return tensor->data;
}

const float *ksk_tensor_f32(const ksk_tensor *tensor)
{
    return tensor->dtype == KSK_F32 ? tensor->data : NULL;
}

const int32_t *ksk_tensor_i32(const ksk_tensor *tensor)
{
    return tensor->dtype == KSK_I32 ? tensor->data : NULL;
}

void *ksk_tensor_fill(ksk_tensor *tensor)
{
    return ksk_tensor_exclusive(tensor) ? (void *)tensor->data : NULL;
}

/* Of packed tensors: the same panels and scales. */
static bool equal_packings(const ksk_packing *a, const ksk_packing *b)
{
    bool equal = a->panel == b->panel && a->count == b->count;
    for (int i = 0; equal && i < a->count; i++)
        equal = ksk_tensor_equal(a->parts[i], b->parts[i]);
    equal = equal && (a->count || ksk_tensor_equal(a->stored, b->stored));
    return equal && (!a->scales || ksk_tensor_equal(a->scales, b->scales));
}

bool ksk_tensor_equal(const ksk_tensor *a, const ksk_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank || !a->packing != !b->packing)
        return false;
    if (a->packing)
        return equal_packings(a->packing, b->packing);
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return a->count == 0 || memcmp(a->data, b->data, ksk_tensor_bytes(a)) == 0;
}

/* --- other types and shapes ----------------------------------------------------------------- */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float ksk_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t ksk_f32_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40); /* the quiet bit keeps it a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float ksk_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t exponent = bits >> 10 & 31;
    const uint32_t fraction = bits & 0x3ff;
    if (exponent == 0) /* zero or subnormal: a multiple of 2^-24 */
        return float_of(bits_of((float)fraction * 0x1p-24f) | sign);
    const uint32_t rebiased = exponent == 31 ? 255 : exponent + 127 - 15;
    return float_of(sign | rebiased << 23 | fraction << 13);
}

uint16_t ksk_f32_to_f16(float value)
{
    const uint32_t sign = bits_of(value) >> 16 & 0x8000;
    const uint32_t bits = bits_of(value) & 0x7fffffff;
    uint32_t half;
    if (bits > 0x7f800000)
        half = 0x7e00 | (bits >> 13 & 0x3ff);
    else if (bits >= bits_of(65520)) /* halfway from the largest number to the next */
        half = 0x7c00;
    else if (bits < bits_of(0x1p-14f)) /* beside 0.5 the processor rounds to multiples of 2^-24 */
        half = bits_of(float_of(bits) + 0.5f) - bits_of(0.5f);
    else
        half = (bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

void ksk_bf16_widen(int64_t count, const uint16_t *bits, float *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = float_of((uint32_t)bits[i] << 16);
}

static bool is_float(ksk_dtype dtype)
{
    return dtype == KSK_F32 || dtype == KSK_BF16 || dtype == KSK_F16;
}

static float load(const void *data, ksk_dtype dtype, int64_t i)
{
    if (dtype == KSK_F32)
        return ((const float *)data)[i];
    const uint16_t bits = ((const uint16_t *)data)[i];
    return dtype == KSK_BF16 ? ksk_bf16_to_f32(bits) : ksk_f16_to_f32(bits);
}

static void store(void *data, ksk_dtype dtype, int64_t i, float value)
{
    if (dtype == KSK_F32)
        ((float *)data)[i] = value;
    else
        ((uint16_t *)data)[i] = dtype == KSK_BF16 ? ksk_f32_to_bf16(value) : ksk_f32_to_f16(value);
}

static ksk_tensor *unpack(const ksk_tensor *packed, ksk_dtype dtype, ksk_error *err)
{
    ksk_tensor *floats = ksk_tensor_new(KSK_F32, 2, packed->shape, err);
    float *rows = floats ? ksk_tensor_fill(floats) : NULL;
    for (int64_t i = 0; floats && i < packed->shape[0]; i++)
        ksk_packing_row(packed, i, rows + i * packed->shape[1]);
    ksk_tensor *converted = floats ? ksk_tensor_convert(floats, dtype, err) : NULL;
    ksk_tensor_release(floats);
    return converted;
}

ksk_tensor *ksk_tensor_convert(const ksk_tensor *tensor, ksk_dtype dtype, ksk_error *err)
{
    if (tensor->packing && is_float(dtype))
        return unpack(tensor, dtype, err);
    if (tensor->dtype == dtype)
        return ksk_tensor_share(tensor);
    if (!is_float(tensor->dtype) || !is_float(dtype)) {
        ksk_fail(err, KSK_UNSUPPORTED, "a tensor of %s does not convert to %s",
                 ksk_dtype_name(tensor->dtype), ksk_dtype_name(dtype));
        return NULL;
    }
    ksk_tensor *converted = ksk_tensor_new(dtype, tensor->rank, tensor->shape, err);
    if (!converted)
        return NULL;
    void *to = ksk_tensor_fill(converted);
    if (tensor->dtype == KSK_BF16 && dtype == KSK_F32) {
        ksk_bf16_widen(tensor->count, tensor->data, to);
        return converted;
    }
    for (int64_t i = 0; i < tensor->count; i++)
        store(to, dtype, i, load(tensor->data, tensor->dtype, i));
    return converted;
}

static void release_shared(void *owner)
{
    ksk_tensor_release(owner);
}

ksk_tensor *ksk_tensor_reshape(const ksk_tensor *tensor, int rank, const int64_t *shape,
                               ksk_error *err)
{
    const int64_t count = count_of(tensor->dtype, rank, shape, err);
    if (count < 0)
        return NULL;
    if (count != tensor->count || tensor->packing) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "a tensor of %lld elements cannot take a shape of %lld",
                 (long long)tensor->count, (long long)count);
        return NULL;
    }
    ksk_tensor *source = ksk_tensor_share(tensor);
    ksk_tensor *reshaped =
        ksk_tensor_wrap(tensor->dtype, rank, shape, tensor->data, release_shared, source, err);
    if (!reshaped)
        ksk_tensor_release(source);
    return reshaped;
}
