/* oneDNN's products against plain ones, on any processor: the choice of implementation is
 * forced. */
#include "tensor/onednn.h"

#include <stdio.h>

#include "kaskad/memory.h"
#include "numbers.h"
#include "tensor/packing.h"
#include "tensor/product.h"

/* Weights whose first element is the largest and meets a zero: on a processor without VNNI nothing
 * then saturates in oneDNN's 16-bit sums. */
static float *weights(int64_t n, int64_t k)
{
    float *weight = numbers(n * k);
    for (int64_t i = 0; i < n * k; i++)
        weight[i] = i % k ? 0.3f * weight[i] : 1;
    return weight;
}

static float *rows(int64_t m, int64_t k, int64_t stride)
{
    float *x = numbers(extent(m, k, stride));
    for (int64_t i = 0; i < m; i++)
        x[i * stride] = 0;
    return x;
}

static float *multiply(const ksk_onednn *onednn, int64_t m, int64_t n, const float *x,
                       int64_t x_stride, const ksk_epilogue *epilogue, ksk_pool *pool)
{
    float *y = numbers(m * n);
    void *scratch = ksk_malloc(ksk_onednn_scratch(onednn, m));
    assert_non_null(scratch);
    ksk_onednn_product(onednn, m, x, x_stride, epilogue, y, n, scratch, pool);
    ksk_free(scratch);
    return y;
}

/* The same in plain integers, of rows that were quantised so. */
static void multiply_int8(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k,
                          const float *x, const int8_t *columns, const float *column_scales,
                          const ksk_epilogue *epilogue, float *y)
{
    const int64_t stride = (k + 3) / 4 * 4;
    int8_t *rows = ksk_malloc((size_t)(m * stride));
    float *row_scales = numbers(m);
    int32_t *sums = ksk_calloc((size_t)(m * n), sizeof *sums);
    assert_true(rows && sums);
    kernels->quantize_rows(m, k, x, k + 3, 0, rows, stride, row_scales);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t p = 0; p < k; p++)
                sums[i * n + j] += rows[i * stride + p] * columns[j * stride + p];
    kernels->finish_int8(m, n, sums, n, row_scales, column_scales, epilogue, y, n);
    ksk_free(rows);
    ksk_free(sums);
    free(row_scales);
}

/* The integers are exact, so whatever they are multiplied with gives the same bits; those of fewer
 * steps, given with their scales, stay what they are. */
static void check_int8(int64_t m, int64_t n, int64_t k, int steps, ksk_pool *pool)
{
    const ksk_kernels *kernels = ksk_kernels_named("scalar");
    const int64_t stride = (k + 3) / 4 * 4;
    float *weight = weights(n, k), *x = rows(m, k, k + 3), *bias = numbers(n),
          *residual = numbers(m * n), *wanted = numbers(m * n), *scales = numbers(n);
    int8_t *columns = ksk_malloc((size_t)(n * stride));
    const ksk_epilogue epilogue = {bias, KSK_RELU, residual, n};
    kernels->quantize_weights(n, k, weight, k, steps, columns, stride, scales);
    for (int64_t i = 0; steps < KSK_ONEDNN_STEPS && i < n * k; i++)
        weight[i] = (float)columns[i / k * stride + i % k] * scales[i / k];
    ksk_onednn *onednn = ksk_onednn_forced(kernels, KSK_PRECISION_INT8, n, k, weight, k,
                                           steps < KSK_ONEDNN_STEPS ? scales : NULL);
    assert_non_null(onednn);
    assert_true(ksk_onednn_bytes(onednn) >= (size_t)(n * k));
    assert_true(strlen(ksk_onednn_name(onednn)) > 0);
    multiply_int8(kernels, m, n, k, x, columns, scales, &epilogue, wanted);
    for (int threads = 1; threads <= 2; threads++) {
        float *y = multiply(onednn, m, n, x, k + 3, &epilogue, threads > 1 ? pool : NULL);
        assert_memory_equal(y, wanted, (size_t)(m * n) * sizeof *y);
        free(y);
    }
    ksk_onednn_free(onednn);
    ksk_free(columns);
    free(scales);
    free(weight);
    free(x);
    free(bias);
    free(residual);
    free(wanted);
}

/* Row counts on, above and below the capacities; columns in one slice, in several, with a narrower
 * last one. */
static void test_int8(void **state)
{
    const int64_t shapes[][3] = {{1, 53, 37},  {5, 530, 64},   {17, 700, 61},
                                 {44, 512, 9}, {300, 300, 25}, {2, 2100, 203}};
    ksk_pool *pool = ksk_pool_new(2, NULL);
    for (int i = 0; i < 6; i++)
        check_int8(shapes[i][0], shapes[i][1], shapes[i][2],
                   i & 1 ? KSK_TABLE_STEPS : KSK_ONEDNN_STEPS, pool);
    ksk_pool_free(pool);
}

static void test_bf16(void **state)
{
    const int64_t m = 19, n = 530, k = 61;
    const ksk_kernels *kernels = ksk_kernels_best();
    float *weight = numbers(n * k), *x = numbers(m * k);
    ksk_onednn *onednn = ksk_onednn_forced(kernels, KSK_PRECISION_BF16, n, k, weight, k, NULL);
    if (!onednn) {
        free(weight);
        free(x);
        printf("oneDNN has no bf16 product for this processor\n");
        skip();
    }
    float *y = multiply(onednn, m, n, x, k, NULL, NULL);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)x[i * k + p] * (double)weight[j * k + p];
            assert_near(y[i * n + j], sum, 0.06);
        }
    ksk_onednn_free(onednn);
    free(weight);
    free(x);
    free(y);
}

/* Only the table of AVX-512 hands products over, and never those in f32. */
static void test_choice(void **state)
{
    const float weight[6] = {1, 2, 3, 4, 5, 6};
    assert_null(
        ksk_onednn_new(ksk_kernels_named("scalar"), KSK_PRECISION_INT8, 2, 3, weight, 3, NULL));
    assert_null(ksk_onednn_new(ksk_kernels_best(), KSK_PRECISION_F32, 2, 3, weight, 3, NULL));
    ksk_onednn_free(NULL);
}

static int allocations_left;

static void *scarce(void *context, size_t size)
{
    return allocations_left-- > 0 ? aligned_alloc(64, (size + 63) / 64 * 64) : NULL;
}

static void give_back(void *context, void *memory)
{
    free(memory);
}

static void test_no_memory(void **state)
{
    const float weight[6] = {1, 2, 3, 4, 5, 6};
    const ksk_allocator allocator = {scarce, give_back, NULL};
    ksk_allocator_set(&allocator);
    for (int allowed = 0; allowed < 4; allowed++) {
        allocations_left = allowed;
        assert_null(
            ksk_onednn_forced(ksk_kernels_best(), KSK_PRECISION_INT8, 2, 3, weight, 3, NULL));
    }
    ksk_allocator_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int8),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
