/* Rates of the matrix products beside what the machine could do at most.
 *
 *     bench_kernels [isa]
 *
 * The floor of a product is the larger of two times: its multiply-adds at the peak rate, its
 * weights at the read bandwidth. Both are measured first. Times of products are of the calling
 * thread's processor, so that other programs disturb them less; each is the best of several rounds,
 * the weights being warm in whatever cache holds them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kaskad/memory.h"
#include "tensor/limits.h"
#include "tensor/product.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *take(size_t size)
{
    void *memory = ksk_malloc(size);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

static float *fill(int64_t count)
{
    float *data = take((size_t)count * sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)(i * 7919 % 1000) / 500 - 1;
    return data;
}

/* Seconds of one call, the best of rounds that fill about 60 ms. */
static double time_of(void (*call)(void *), void *context)
{
    double best = INFINITY;
    const double begin = now();
    for (int round = 0; round < 3 || now() - begin < 0.06; round++) {
        int repeats = 0;
        const double start = now();
        do
            call(context);
        while (++repeats < 1000 && now() - start < 0.002);
        best = fmin(best, (now() - start) / repeats);
    }
    return best;
}

/* --- limits -------------------------------------------------------------------------------- */

static void print_bandwidth(ksk_pool *pool)
{
    const int64_t kilobytes[] = {128, 1024, 8192, 65536};
    printf("reading, GB/s:");
    for (int i = 0; i < 4; i++)
        printf("  %lld KB %.0f", (long long)kilobytes[i],
               1e-9 * ksk_limit_bytes((size_t)kilobytes[i] * 1024, pool));
    printf("\n");
}

/* --- products ----------------------------------------------------------------------------------
 */

typedef struct timing {
    const ksk_packed *packed;
    int64_t m, n, k;
    const float *x;
    float *y;
    void *scratch;
    ksk_pool *pool;
} timing;

static void multiply(void *context)
{
    const timing *t = context;
    ksk_product(t->packed, t->m, t->x, t->k, NULL, t->y, t->n, t->scratch, t->pool);
}

static void print_product(const ksk_kernels *kernels, ksk_precision precision, int64_t m, int64_t n,
                          int64_t k, ksk_pool *pool)
{
    float *x = fill(m * k), *weight = fill(n * k), *y = take((size_t)(m * n) * sizeof *y);
    ksk_packed *packed = ksk_packed_new(kernels, precision, n, k, weight, k, NULL);
    if (!packed)
        exit(1);
    void *scratch = take(ksk_product_scratch(packed, m));
    timing t = {packed, m, n, k, x, y, scratch, pool};
    const double seconds = time_of(multiply, &t);
    printf("  %-16s %8.1f us %7.1f GFLOP/s %6.1f GB/s\n", ksk_packed_kernel(packed), seconds * 1e6,
           2e-9 * (double)(m * n * k) / seconds, (double)ksk_packed_bytes(packed) / seconds * 1e-9);
    ksk_packed_free(packed);
    ksk_free(scratch);
    ksk_free(x);
    ksk_free(weight);
    ksk_free(y);
}

static void print_products(const ksk_kernels *kernels, ksk_pool *pool)
{
    const int64_t shapes[][2] = {{512, 512}, {2048, 512}, {256, 256}, {8000, 256}};
    const int64_t rows[] = {1, 5, 32, 240};
    for (int s = 0; s < 4; s++)
        for (int r = 0; r < 4; r++) {
            printf("%lld x %lld x %lld\n", (long long)rows[r], (long long)shapes[s][0],
                   (long long)shapes[s][1]);
            for (ksk_precision p = KSK_PRECISION_F32; p <= KSK_PRECISION_INT8; p++)
                print_product(kernels, p, rows[r], shapes[s][0], shapes[s][1], pool);
        }
}

int main(int argc, char **argv)
{
    const ksk_kernels *kernels = argc > 1 ? ksk_kernels_named(argv[1]) : ksk_kernels_best();
    if (!kernels) {
        fprintf(stderr, "%s: not an instruction set that this processor runs\n", argv[1]);
        return 1;
    }
    for (int threads = 1; threads <= 2; threads++) {
        ksk_pool *pool = ksk_pool_new(threads, NULL);
        if (!pool)
            return 1;
        printf("%d thread%s, %s; at most, GFLOP/s: f32 %.0f, bf16 %.0f, int8 %.0f\n", threads,
               threads > 1 ? "s" : "", kernels->isa,
               1e-9 * ksk_limit_operations(kernels, KSK_PRECISION_F32, pool),
               1e-9 * ksk_limit_operations(kernels, KSK_PRECISION_BF16, pool),
               1e-9 * ksk_limit_operations(kernels, KSK_PRECISION_INT8, pool));
        print_bandwidth(pool);
        printf("512 x 512 x 512\n");
        print_product(kernels, KSK_PRECISION_F32, 512, 512, 512, pool);
        print_products(kernels, pool);
        ksk_pool_free(pool);
    }
    return 0;
}
