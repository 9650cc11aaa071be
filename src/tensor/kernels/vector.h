/* Vectors of LANES floats, the one vocabulary that the kernels are written in.
 *
 * Each source of this directory is compiled once per instruction set; KSK_ISA is that set's name
 * and becomes part of every symbol. "wide" is for tests alone: the 16 lanes of AVX-512 on a
 * processor that has AVX2. */
#ifndef KSK_TENSOR_KERNELS_VECTOR_H
#define KSK_TENSOR_KERNELS_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(KSK_ISA_avx2) || defined(KSK_ISA_avx512) || defined(KSK_ISA_wide)
#include <immintrin.h>
#endif

#include "tensor/kernels.h"

#if defined(KSK_ISA_avx512) || defined(KSK_ISA_wide)
#define LANES 16
#elif defined(KSK_ISA_avx2)
#define LANES 8
#else
#define LANES 4
#endif

/* Columns of a panel of packed weights: two vectors. */
#define PANEL (2 * LANES)

#define KSK_PASTE_(a, b, c) a##_##b##_##c
#define KSK_PASTE(a, b, c)  KSK_PASTE_(a, b, c)
#define KERNEL(name)        KSK_PASTE(ksk, KSK_ISA, name)

/* Every member of the table is a function of that name and type. */
/* clang-format off */
#define EACH_KERNEL(MEMBER)                                                                        \
    MEMBER(pack_f32) MEMBER(pack_bf16) MEMBER(product_f32) MEMBER(product_bf16)                    \
    MEMBER(pack_int8_size) MEMBER(pack_int8) MEMBER(quantize_rows) MEMBER(quantize_weights)        \
    MEMBER(product_int8)                                                                           \
    MEMBER(round_rows) MEMBER(finish_f32) MEMBER(finish_int8) MEMBER(layer_norm)                   \
    MEMBER(log_softmax) MEMBER(row_norm) MEMBER(maxima) MEMBER(activate) MEMBER(add) MEMBER(multiply) MEMBER(scale)                \
    MEMBER(attention) MEMBER(cross_entropy) MEMBER(cross_entropy_grad) MEMBER(attention_grad)      \
    MEMBER(layer_norm_grad) MEMBER(log_softmax_grad) MEMBER(activate_grad) MEMBER(dropout)         \
    MEMBER(column_sum) MEMBER(add_rows)
/* clang-format on */
#define MEMBER(name) __typeof__(*((ksk_kernels *)NULL)->name) KERNEL(name);
EACH_KERNEL(MEMBER)
#undef MEMBER

#define INLINE static inline __attribute__((always_inline))

typedef float vfloat __attribute__((vector_size(4 * LANES)));
typedef int32_t vint __attribute__((vector_size(4 * LANES)));
typedef uint32_t vuint __attribute__((vector_size(4 * LANES)));
typedef float quad __attribute__((vector_size(16)));

/* The same at any address. */
typedef float loose_float __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t loose_int __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t loose_uint __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float loose_quad __attribute__((vector_size(16), aligned(4), may_alias));

INLINE vfloat load(const float *from)
{
    return *(const loose_float *)from;
}

INLINE void store(float *to, vfloat value)
{
    *(loose_float *)to = value;
}

INLINE vfloat splat(float value)
{
    return value - (vfloat){0};
}

/* The first `count` floats, 0 < count < LANES; zeros behind them. */
INLINE vfloat load_part(const float *from, int64_t count);
INLINE void store_part(float *to, vfloat value, int64_t count);

/* a * b + c, rounded once where the processor can. */
INLINE vfloat fused(vfloat a, vfloat b, vfloat c);

/* The larger of each two; a NaN in b stays, one in a does not. */
INLINE vfloat larger(vfloat a, vfloat b);

/* Four vectors of integers within a signed byte as bytes, one vector behind the other. */
typedef int8_t vbytes __attribute__((vector_size(4 * LANES)));
INLINE vbytes narrowed(vint a, vint b, vint c, vint d);

#if defined(KSK_ISA_avx512)

INLINE vfloat load_part(const float *from, int64_t count)
{
    return (vfloat)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}

INLINE void store_part(float *to, vfloat value, int64_t count)
{
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
}

INLINE vfloat fused(vfloat a, vfloat b, vfloat c)
{
    return (vfloat)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

INLINE vfloat larger(vfloat a, vfloat b)
{
    return (vfloat)_mm512_max_ps((__m512)a, (__m512)b);
}

#elif defined(KSK_ISA_avx2)

INLINE __m256i first_lanes(int64_t count)
{
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), numbers);
}

INLINE vfloat load_part(const float *from, int64_t count)
{
    return (vfloat)_mm256_maskload_ps(from, first_lanes(count));
}

INLINE void store_part(float *to, vfloat value, int64_t count)
{
    _mm256_maskstore_ps(to, first_lanes(count), (__m256)value);
}

INLINE vfloat fused(vfloat a, vfloat b, vfloat c)
{
    return (vfloat)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

INLINE vfloat larger(vfloat a, vfloat b)
{
    return (vfloat)_mm256_max_ps((__m256)a, (__m256)b);
}

INLINE vbytes narrowed(vint a, vint b, vint c, vint d)
{
    const __m256i ab = _mm256_packs_epi32((__m256i)a, (__m256i)b),
                  cd = _mm256_packs_epi32((__m256i)c, (__m256i)d);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (vbytes)_mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd), order);
}

#else

INLINE vfloat load_part(const float *from, int64_t count)
{
    vfloat value = {0};
    memcpy(&value, from, (size_t)count * sizeof *from);
    return value;
}

INLINE void store_part(float *to, vfloat value, int64_t count)
{
    memcpy(to, &value, (size_t)count * sizeof *to);
}

INLINE vfloat fused(vfloat a, vfloat b, vfloat c)
{
#if defined(KSK_ISA_wide)
    __m256 x[2], y[2], z[2];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    memcpy(z, &c, sizeof z);
    z[0] = _mm256_fmadd_ps(x[0], y[0], z[0]);
    z[1] = _mm256_fmadd_ps(x[1], y[1], z[1]);
    memcpy(&c, z, sizeof z);
    return c;
#else
    return a * b + c;
#endif
}

#endif

#if !defined(KSK_ISA_avx2)

INLINE vbytes narrowed(vint a, vint b, vint c, vint d)
{
    typedef int8_t quarter __attribute__((vector_size(LANES)));
    const quarter parts[] = {
        __builtin_convertvector(a, quarter), __builtin_convertvector(b, quarter),
        __builtin_convertvector(c, quarter), __builtin_convertvector(d, quarter)};
    vbytes bytes;
    memcpy(&bytes, parts, sizeof bytes);
    return bytes;
}

#endif

/* A whole vector or the first `count` floats of one. */
INLINE vfloat load_upto(const float *from, int64_t count)
{
    return count >= LANES ? load(from) : load_part(from, count);
}

INLINE void store_upto(float *to, vfloat value, int64_t count)
{
    if (count >= LANES)
        store(to, value);
    else
        store_part(to, value, count);
}

/* yes where the mask's bits are set, no where they are clear. */
INLINE vfloat choose(vint mask, vfloat yes, vfloat no)
{
    return (vfloat)((mask & (vint)yes) | (~mask & (vint)no));
}

#if !defined(KSK_ISA_avx2) && !defined(KSK_ISA_avx512)

INLINE vfloat larger(vfloat a, vfloat b)
{
    return choose(a > b, a, b);
}

#endif

INLINE vfloat magnitude(vfloat x)
{
    return (vfloat)((vint)x & 0x7fffffff);
}

/* Sums over lanes, always in the same order: halves are added until four lanes are left. */
INLINE quad fold(vfloat x)
{
#if LANES == 16
    typedef float half __attribute__((vector_size(32)));
    const half y = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(y, y, 0, 1, 2, 3) + __builtin_shufflevector(y, y, 4, 5, 6, 7);
#elif LANES == 8
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
#else
    return x;
#endif
}

INLINE float sum_of(vfloat x)
{
    const quad y = fold(x);
    return (y[0] + y[2]) + (y[1] + y[3]);
}

/* The four sums of four vectors, each in sum_of's order. */
INLINE quad sums_of(vfloat a, vfloat b, vfloat c, vfloat d)
{
    const quad p = fold(a), q = fold(b), r = fold(c), s = fold(d);
    const quad pq =
        __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
    const quad rs =
        __builtin_shufflevector(r, s, 0, 4, 1, 5) + __builtin_shufflevector(r, s, 2, 6, 3, 7);
    return __builtin_shufflevector(pq, rs, 0, 1, 4, 5) +
           __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
}

INLINE float largest_of(vfloat x)
{
    float most = x[0];
    for (int i = 1; i < LANES; i++)
        most = most > x[i] ? most : x[i];
    return most;
}

#endif
