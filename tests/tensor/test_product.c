/* Products through packing and slicing: right in each precision, the same bits on any number of
 * threads and in any company. */
#include "tensor/product.h"

#include "kaskad/memory.h"
#include "numbers.h"

static const char *const isas[] = {"scalar", "avx2", "avx512"};
static const ksk_precision precisions[] = {KSK_PRECISION_F32, KSK_PRECISION_BF16,
                                           KSK_PRECISION_INT8};

/* How far a sum of products of numbers up to 1 may be off, for its length. */
static double tolerance_of(ksk_precision precision, int64_t k)
{
    const double root = sqrt((double)k);
    return precision == KSK_PRECISION_F32 ? 2e-6 * root
                                          : (precision == KSK_PRECISION_BF16 ? 0.006 : 0.03) * root;
}

static void run(const ksk_packed *packed, int64_t m, const float *x, int64_t x_stride,
                const ksk_epilogue *epilogue, float *y, int64_t y_stride, ksk_pool *pool)
{
    void *scratch = ksk_malloc(ksk_product_scratch(packed, m));
    assert_non_null(scratch);
    ksk_product(packed, m, x, x_stride, epilogue, y, y_stride, scratch, pool);
    ksk_free(scratch);
}

static void check_packed(const ksk_kernels *kernels, ksk_precision precision, int64_t m, int64_t n,
                         int64_t k, ksk_pool *pool)
{
    const int64_t x_stride = k + 5, w_stride = k + 3, y_stride = n + 2;
    float *x = numbers(extent(m, k, x_stride)), *weight = numbers(extent(n, k, w_stride));
    float *bias = numbers(n), *y = numbers(extent(m, n, y_stride));
    float *threaded = copy_of(y, extent(m, n, y_stride)), *alone = numbers(n);
    const ksk_epilogue epilogue = {bias, KSK_RELU, NULL, 0};
    ksk_packed *packed = ksk_packed_new(kernels, precision, n, k, weight, w_stride, NULL);
    assert_non_null(packed);
    assert_true(ksk_packed_bytes(packed) >= (size_t)(n * k));
    run(packed, m, x, x_stride, &epilogue, y, y_stride, NULL);
    run(packed, m, x, x_stride, &epilogue, threaded, y_stride, pool);
    assert_memory_equal(y, threaded, (size_t)extent(m, n, y_stride) * sizeof *y);
    const double tolerance = tolerance_of(precision, k);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = (double)bias[j];
            for (int64_t p = 0; p < k; p++)
                sum += (double)x[i * x_stride + p] * (double)weight[j * w_stride + p];
            assert_near(y[i * y_stride + j], sum > 0 ? sum : 0, tolerance);
        }
        run(packed, 1, x + i * x_stride, x_stride, &epilogue, alone, n, pool);
        assert_memory_equal(alone, y + i * y_stride, (size_t)n * sizeof *y);
    }
    ksk_packed_free(packed);
    free(x);
    free(weight);
    free(bias);
    free(y);
    free(threaded);
    free(alone);
}

/* Shapes below and above the threshold, with more panels than threads and fewer, more rows than
 * threads and fewer. */
static void test_packed(void **state)
{
    const int64_t shapes[][3] = {{3, 53, 37},   {1, 1201, 607}, {2, 1401, 603},
                                 {65, 19, 131}, {17, 301, 75},  {211, 37, 301}};
    ksk_pool *two = ksk_pool_new(2, NULL), *three = ksk_pool_new(3, NULL);
    for (int i = 0; i < 3; i++) {
        const ksk_kernels *kernels = ksk_kernels_named(isas[i]);
        for (int p = 0; kernels && p < 3; p++)
            for (int s = 0; s < 6; s++)
                check_packed(kernels, precisions[p], shapes[s][0], shapes[s][1], shapes[s][2],
                             s & 1 ? two : three);
    }
    ksk_pool_free(two);
    ksk_pool_free(three);
}

static void test_kernel_names(void **state)
{
    const float weight[6] = {1, 2, 3, 4, 5, 6};
    ksk_packed *packed =
        ksk_packed_new(ksk_kernels_named("scalar"), KSK_PRECISION_INT8, 2, 3, weight, 3, NULL);
    assert_string_equal(ksk_packed_kernel(packed), "scalar int8");
    ksk_packed_free(packed);
    packed = ksk_packed_new(ksk_kernels_named("scalar"), KSK_PRECISION_F32, 2, 3, weight, 3, NULL);
    assert_string_equal(ksk_packed_kernel(packed), "scalar f32");
    ksk_packed_free(packed);
}

/* y = a · b with each operand lying either way, its rows sliced or whole. */
static void check_plain(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k, int layout,
                        ksk_pool *pool)
{
    const bool a_turned = layout & 1, b_turned = layout & 2;
    const int64_t a_stride = (a_turned ? m : k) + 3, b_stride = (b_turned ? k : n) + 1;
    float *a = numbers(a_turned ? extent(k, m, a_stride) : extent(m, k, a_stride));
    float *b = numbers(b_turned ? extent(n, k, b_stride) : extent(k, n, b_stride));
    const ksk_left left = {a, a_turned ? 1 : a_stride, a_turned ? a_stride : 1};
    const int64_t row = b_turned ? 1 : b_stride, column = b_turned ? b_stride : 1;
    float *y = numbers(m * n), *threaded = numbers(m * n), *residual = copy_of(y, m * n);
    void *scratch = ksk_malloc(ksk_product_plain_scratch(kernels, m, n, k, left));
    const ksk_epilogue epilogue = {NULL, KSK_IDENTITY, residual, n};
    ksk_product_plain(kernels, m, n, k, left, b, row, column, &epilogue, threaded, n, scratch,
                      pool);
    /* a sum into what is there already */
    const ksk_epilogue in_place = {NULL, KSK_IDENTITY, y, n};
    ksk_product_plain(kernels, m, n, k, left, b, row, column, &in_place, y, n, scratch, NULL);
    assert_memory_equal(y, threaded, (size_t)(m * n) * sizeof *y);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = (double)residual[i * n + j];
            for (int64_t p = 0; p < k; p++)
                sum += (double)a[i * left.row + p * left.column] * (double)b[p * row + j * column];
            assert_near(y[i * n + j], sum, tolerance_of(KSK_PRECISION_F32, k));
        }
    ksk_free(scratch);
    free(a);
    free(b);
    free(y);
    free(threaded);
    free(residual);
}

static void test_plain(void **state)
{
    const int64_t shapes[][3] = {{3, 53, 37}, {1, 401, 307}, {65, 19, 131}, {37, 211, 75}};
    ksk_pool *pool = ksk_pool_new(3, NULL);
    for (int i = 0; i < 3; i++) {
        const ksk_kernels *kernels = ksk_kernels_named(isas[i]);
        for (int s = 0; kernels && s < 4; s++)
            for (int layout = 0; layout < 4; layout++)
                check_plain(kernels, shapes[s][0], shapes[s][1], shapes[s][2], layout, pool);
    }
    ksk_pool_free(pool);
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
    for (int p = 0; p < 3; p++)
        for (int allowed = 0; allowed < (precisions[p] == KSK_PRECISION_INT8 ? 3 : 2); allowed++) {
            ksk_error err = {0};
            allocations_left = allowed;
            assert_null(
                ksk_packed_new(ksk_kernels_named("scalar"), precisions[p], 2, 3, weight, 3, &err));
            assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
        }
    ksk_allocator_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_kernel_names),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
