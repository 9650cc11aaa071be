#include "tensor/limits.h"

#include <math.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kaskad/memory.h"
#include "tensor/product.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one call, the best of many in about 20 ms: other programs can only make it longer. */
static double best_time(ksk_pool *pool, void (*job)(void *context, int slice), void *context)
{
    double best = INFINITY;
    const double begin = now();
    for (int round = 0; round < 5 || now() - begin < 0.02; round++) {
        const double start = now();
        ksk_pool_run(pool, ksk_pool_threads(pool), job, context);
        best = fmin(best, now() - start);
    }
    return best;
}

static _Thread_local volatile float sink; /* keeps what is only timed from being left out */

/* --- loops --------------------------------------------------------------------------------------
 *
 * Each keeps twelve sums, enough to hide the latency of its instructions. */

enum { chains = 12, links = 20000 };

typedef struct loop {
    void (*run)(void *context, int slice);
    double operations; /* of a run */
} loop;

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void fuse_avx2(void *context, int slice)
{
    (void)context, (void)slice;
    __m256 sum[chains];
    for (int i = 0; i < chains; i++)
        sum[i] = _mm256_set1_ps((float)i);
    const __m256 a = _mm256_set1_ps(0.999F), b = _mm256_set1_ps(0.001F);
    for (int link = 0; link < links; link++)
#pragma GCC unroll 12
        for (int i = 0; i < chains; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    for (int i = 1; i < chains; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    sink = _mm256_cvtss_f32(sum[0]);
}

/* Byte products in pairs, pairs of those, and the sum: three instructions for 32 products. */
__attribute__((target("avx2"))) static void dot_avx2(void *context, int slice)
{
    (void)context, (void)slice;
    __m256i sum[chains];
    for (int i = 0; i < chains; i++)
        sum[i] = _mm256_set1_epi32(i);
    const __m256i b = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    for (int link = 0; link < links; link++)
#pragma GCC unroll 12
        for (int i = 0; i < chains; i++)
            sum[i] = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_maddubs_epi16(sum[i], b), ones));
    for (int i = 1; i < chains; i++)
        sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    sink = (float)_mm256_extract_epi32(sum[0], 0);
}

__attribute__((target("avx512f"))) static void fuse_avx512(void *context, int slice)
{
    (void)context, (void)slice;
    __m512 sum[chains];
    for (int i = 0; i < chains; i++)
        sum[i] = _mm512_set1_ps((float)i);
    const __m512 a = _mm512_set1_ps(0.999F), b = _mm512_set1_ps(0.001F);
    for (int link = 0; link < links; link++)
#pragma GCC unroll 12
        for (int i = 0; i < chains; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    for (int i = 1; i < chains; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    sink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static void dot_bf16(void *context, int slice)
{
    (void)context, (void)slice;
    __m512 sum[chains];
    for (int i = 0; i < chains; i++)
        sum[i] = _mm512_set1_ps((float)i);
    const __m512bh a = _mm512_cvtne2ps_pbh(sum[1], sum[2]), b = _mm512_cvtne2ps_pbh(sum[0], sum[1]);
    for (int link = 0; link < links; link++)
#pragma GCC unroll 12
        for (int i = 0; i < chains; i++)
            sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    for (int i = 1; i < chains; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    sink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512vnni"))) static void dot_vnni(void *context, int slice)
{
    (void)context, (void)slice;
    __m512i sum[chains];
    for (int i = 0; i < chains; i++)
        sum[i] = _mm512_set1_epi32(i);
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(1);
    for (int link = 0; link < links; link++)
#pragma GCC unroll 12
        for (int i = 0; i < chains; i++)
            sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    for (int i = 1; i < chains; i++)
        sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    sink = (float)_mm512_reduce_add_epi32(sum[0]);
}

static loop loop_of(const ksk_kernels *kernels, ksk_precision precision)
{
    const double each = 2.0 * chains * links; /* one lane's */
    if (strcmp(kernels->isa, "avx512") == 0) {
        if (precision == KSK_PRECISION_INT8 && __builtin_cpu_supports("avx512vnni"))
            return (loop){dot_vnni, 64 * each};
        if (precision == KSK_PRECISION_BF16 && __builtin_cpu_supports("avx512bf16"))
            return (loop){dot_bf16, 32 * each};
        if (precision != KSK_PRECISION_INT8)
            return (loop){fuse_avx512, 16 * each};
    }
    if (strcmp(kernels->isa, "avx2") == 0)
        return precision == KSK_PRECISION_INT8 ? (loop){dot_avx2, 32 * each}
                                               : (loop){fuse_avx2, 8 * each};
    return (loop){NULL, 0};
}
#else
static loop loop_of(const ksk_kernels *kernels, ksk_precision precision)
{
    (void)kernels, (void)precision;
    return (loop){NULL, 0};
}
#endif

/* --- a large product ---------------------------------------------------------------------------
 */

enum { side = 512 };

typedef struct square {
    const ksk_packed *packed;
    const float *x;
    float *y; /* [threads, side, side] */
    char *scratch;
    size_t scratch_bytes; /* a thread's */
} square;

static void multiply(void *context, int slice)
{
    const square *s = context;
    ksk_product(s->packed, side, s->x, side, NULL, s->y + (size_t)slice * side * side, side,
                s->scratch + (size_t)slice * s->scratch_bytes, NULL);
}

static double product_rate(const ksk_kernels *kernels, ksk_precision precision, ksk_pool *pool)
{
    const size_t threads = (size_t)ksk_pool_threads(pool), size = (size_t)side * side;
    float *x = ksk_calloc(size, sizeof *x), *y = ksk_malloc(threads * size * sizeof *y);
    ksk_packed *packed = x ? ksk_packed_new(kernels, precision, side, side, x, side, NULL) : NULL;
    const size_t bytes = packed ? (ksk_product_scratch(packed, side) + 63) / 64 * 64 : 0;
    char *scratch = ksk_malloc(threads * bytes + 64);
    double seconds = INFINITY;
    if (packed && y && scratch)
        seconds = best_time(pool, multiply, &(square){packed, x, y, scratch, bytes});
    ksk_packed_free(packed);
    ksk_free(scratch);
    ksk_free(x);
    ksk_free(y);
    return (double)threads * 2 * side * side * side / seconds;
}

double ksk_limit_operations(const ksk_kernels *kernels, ksk_precision precision, ksk_pool *pool)
{
    const loop l = loop_of(kernels, precision);
    if (!l.run)
        return product_rate(kernels, precision, pool);
    return l.operations * ksk_pool_threads(pool) / best_time(pool, l.run, NULL);
}

/* --- reading -----------------------------------------------------------------------------------
 */

typedef float lanes __attribute__((vector_size(32)));

enum { group = 8 }; /* vectors read at a time */

typedef struct reading {
    const lanes *data;
    size_t groups; /* of a thread */
} reading;

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void read_avx2(void *context, int slice)
{
    const reading *r = context;
    const __m256i *data = (const __m256i *)(r->data + (size_t)slice * r->groups * group);
    __m256i sum[group];
    for (int j = 0; j < group; j++)
        sum[j] = _mm256_setzero_si256();
    for (size_t i = 0; i < r->groups; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < group; j++)
            sum[j] = _mm256_xor_si256(sum[j], _mm256_load_si256(data + i * group + j));
    for (int j = 1; j < group; j++)
        sum[0] = _mm256_xor_si256(sum[0], sum[j]);
    sink = (float)_mm256_extract_epi32(sum[0], 0);
}
#endif

static void read_plain(void *context, int slice)
{
    const reading *r = context;
    const lanes *data = r->data + (size_t)slice * r->groups * group;
    lanes sum[group] = {{0}};
    for (size_t i = 0; i < r->groups; i++)
        for (size_t j = 0; j < group; j++)
            sum[j] += data[i * group + j];
    for (int j = 1; j < group; j++)
        sum[0] += sum[j];
    sink = sum[0][0] + sum[0][7];
}

double ksk_limit_bytes(size_t bytes, ksk_pool *pool)
{
    const size_t threads = (size_t)ksk_pool_threads(pool);
    const size_t groups = bytes / (threads * group * sizeof(lanes)) + 1;
    const size_t whole = threads * groups * group * sizeof(lanes);
    lanes *data = ksk_malloc(whole);
    if (!data)
        return 0;
    memset(data, 0, whole); /* gives every page a memory of its own */
    void (*read)(void *, int) = read_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        read = read_avx2;
#endif
    const double seconds = best_time(pool, read, &(reading){data, groups});
    ksk_free(data);
    return (double)whole / seconds;
}
