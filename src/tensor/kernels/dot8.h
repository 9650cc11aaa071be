/* Four products of bytes into each 32-bit sum, exactly. */
#ifndef KSK_TENSOR_KERNELS_DOT8_H
#define KSK_TENSOR_KERNELS_DOT8_H

#include "tensor/kernels/vector.h"

/* Lane l of the result: sums[l] + the four signed bytes of w's lane l times the four unsigned bytes
 * of q. Signed bytes are within ±63, so a pair of products (at most 32,130) fits 16 bits and
 * nothing saturates. */
INLINE vint dot8(vint sums, vint w, int32_t q);

#if defined(KSK_ISA_avx512)

INLINE vint dot8(vint sums, vint w, int32_t q)
{
    const __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi32(q), (__m512i)w);
    return sums + (vint)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}

#elif defined(KSK_ISA_avx2)

INLINE vint dot8(vint sums, vint w, int32_t q)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi32(q), (__m256i)w);
    return sums + (vint)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#else

INLINE vint dot8(vint sums, vint w, int32_t q)
{
    const vuint bytes = (vuint)w, factor = (vuint)((vint){0} + q);
#pragma GCC unroll 4
    for (int shift = 24; shift >= 0; shift -= 8)
        sums += ((vint)(bytes << shift) >> 24) * (vint)((factor << shift) >> 24);
    return sums;
}

#endif

#endif
