#include "tensor/kernels/vector.h"

/* Philox-4x32 with ten rounds (kaskad/random.h), one counter in every four lanes, so that numbers
 * come out in order. */

enum { rounds = 10 };

typedef uint64_t vlong __attribute__((vector_size(4 * LANES)));

/* The products of the even lanes, each over two lanes: low half first. */
INLINE vuint wide_products(vuint a, vuint b)
{
#if defined(KSK_ISA_avx512)
    return (vuint)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(KSK_ISA_avx2)
    return (vuint)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
    return (vuint)(((vlong)a & 0xffffffffu) * ((vlong)b & 0xffffffffu));
#endif
}

/* Every four lanes turned round. */
INLINE vuint turned(vuint x)
{
#if LANES == 16
    return __builtin_shufflevector(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
#elif LANES == 8
    return __builtin_shufflevector(x, x, 3, 2, 1, 0, 7, 6, 5, 4);
#else
    return __builtin_shufflevector(x, x, 3, 2, 1, 0);
#endif
}

/* Four numbers in every four lanes. */
INLINE vuint repeat(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    vuint x;
    for (int i = 0; i < LANES; i += 4) {
        x[i] = a;
        x[i + 1] = b;
        x[i + 2] = c;
        x[i + 3] = d;
    }
    return x;
}

static void schedule(uint64_t key, vuint keys[rounds])
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    for (int i = 0; i < rounds; i++, low += 0x9E3779B9u, high += 0xBB67AE85u)
        keys[i] = repeat(low, 0, high, 0);
}

/* Numbers 4 * block, 4 * block + 1, … */
INLINE vuint draw(const vuint keys[rounds], uint64_t block)
{
    const vuint factors = repeat(0xD2511F53u, 0, 0xCD9E8D57u, 0);
    vlong counters = {0};
    for (int i = 0; i < LANES / 4; i++)
        counters[2 * i] = block + (uint64_t)i;
    vuint x = (vuint)counters;
#pragma GCC unroll 10
    for (int i = 0; i < rounds; i++)
        x = turned(wide_products(x, factors)) ^ (vuint)((vlong)x >> 32) ^ keys[i];
    return x;
}

/* The first vector of a row starts at a block, up to three numbers before the row. */
static void drop_row(const vuint keys[rounds], int64_t n, uint64_t first, uint32_t kept,
                     float scale, const float *x, float *y)
{
    const vuint most = (vuint){0} + kept;
    for (int64_t j = -(int64_t)(first % 4); j < n; j += LANES) {
        const vint stays = (vint)(draw(keys, (first + (uint64_t)j) / 4) <= most);
        if (j >= 0 && j + LANES <= n) {
            store(y + j, (vfloat)((vint)(load(x + j) * scale) & stays));
            continue;
        }
        for (int64_t lane = j < 0 ? -j : 0; lane < LANES && j + lane < n; lane++)
            y[j + lane] = stays[lane] ? x[j + lane] * scale : 0;
    }
}

void KERNEL(dropout)(int64_t m, int64_t n, uint64_t key, uint64_t first, uint32_t kept, float scale,
                     const float *x, int64_t x_stride, float *y, int64_t y_stride)
{
    vuint keys[rounds];
    schedule(key, keys);
    for (int64_t i = 0; i < m; i++, x += x_stride, y += y_stride)
        drop_row(keys, n, first + (uint64_t)(i * n), kept, scale, x, y);
}
