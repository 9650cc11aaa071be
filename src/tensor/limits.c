#include "tensor/limits.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kaskad/memory.h"
#include "tensor/product.h"

/* Of the calling thread's processor, so that other programs disturb less. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { rounds = 15 };

/* A job of equal slices, one a thread, and how long they take. */
typedef struct timing {
    void (*job)(void *context, int slice);
    void *context;
    int round;
    double (*seconds)[rounds]; /* [threads] */
} timing;

static void time_slice(void *context, int slice)
{
    const timing *t = context;
    const double start = now();
    t->job(t->context, slice);
    t->seconds[slice][t->round] = now() - start;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the threads do a second when a slice is `work`: each in the median of its rounds, during
 * which the others do the same. 0 when memory runs out. */
static double rate_of(ksk_pool *pool, void (*job)(void *context, int slice), void *context,
                      double work)
{
    const int threads = ksk_pool_threads(pool);
    timing t = {job, context, 0, ksk_malloc((size_t)threads * sizeof *t.seconds)};
    double rate = 0;
    if (!t.seconds)
        return 0;
    for (; t.round < rounds; t.round++)
        ksk_pool_run(pool, threads, time_slice, &t);
    for (int i = 0; i < threads; i++) {
        qsort(t.seconds[i], rounds, sizeof **t.seconds, by_value);
        rate += work / t.seconds[i][rounds / 2];
    }
    ksk_free(t.seconds);
    return rate;
}

static _Thread_local volatile float sink; /* keeps what is only timed from being left out */

/* --- loops --------------------------------------------------------------------------------------
 *
 * Each keeps twelve sums, enough to hide the latency of its instructions. */

enum { chains = 12, links = 100000 };

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
    double rate = 0;
    if (packed && y && scratch)
        rate = rate_of(pool, multiply, &(square){packed, x, y, scratch, bytes},
                       2.0 * side * side * side);
    ksk_packed_free(packed);
    ksk_free(scratch);
    ksk_free(x);
    ksk_free(y);
    return rate;
}

double ksk_limit_operations(const ksk_kernels *kernels, ksk_precision precision, ksk_pool *pool)
{
    const loop l = loop_of(kernels, precision);
    if (!l.run)
        return product_rate(kernels, precision, pool);
    return rate_of(pool, l.run, NULL, l.operations);
}

/* --- reading -----------------------------------------------------------------------------------
 */

typedef float lanes __attribute__((vector_size(32)));

enum { group = 8 }; /* vectors read at a time */

static const size_t least_read = 8 << 20; /* bytes of a slice */

typedef struct reading {
    const lanes *data;
    size_t groups; /* of a thread */
    int passes;    /* over them, as one would be too short to time */
} reading;

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void read_avx2(void *context, int slice)
{
    const reading *r = context;
    const __m256i *data = (const __m256i *)(r->data + (size_t)slice * r->groups * group);
    __m256i sum[group];
    for (int j = 0; j < group; j++)
        sum[j] = _mm256_setzero_si256();
    for (int pass = 0; pass < r->passes; pass++)
        for (size_t i = 0; i < r->groups; i++)
#pragma GCC unroll 8
            for (size_t j = 0; j < group; j++)
                sum[j] = _mm256_add_epi32(sum[j], _mm256_load_si256(data + i * group + j));
    for (int j = 1; j < group; j++)
        sum[0] = _mm256_add_epi32(sum[0], sum[j]);
    sink = (float)_mm256_extract_epi32(sum[0], 0);
}
#endif

static void read_plain(void *context, int slice)
{
    const reading *r = context;
    const lanes *data = r->data + (size_t)slice * r->groups * group;
    lanes sum[group] = {{0}};
    for (int pass = 0; pass < r->passes; pass++)
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
    const size_t share = whole / threads; /* of a thread */
    const int passes = (int)(least_read / share) + 1;
    const double rate =
        rate_of(pool, read, &(reading){data, groups, passes}, (double)passes * (double)share);
    ksk_free(data);
    return rate;
}
