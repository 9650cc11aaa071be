/* Packed tensors: the layout is the kernels' own, and leads back to the numbers. */
#include "tensor/packing.h"

#include "base/pool.h"
#include "fault.h"
#include "kaskad/memory.h"
#include "kaskad/nn.h"
#include "numbers.h"
#include "tensor/product.h"

static const char *const isas[] = {"scalar", "avx2", "avx512"};

static ksk_tensor *matrix_of(ksk_dtype dtype, int64_t n, int64_t k)
{
    ksk_tensor *floats = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){n, k}, NULL);
    float *values = numbers(n * k);
    memcpy(ksk_tensor_fill(floats), values, (size_t)(n * k) * sizeof *values);
    free(values);
    ksk_tensor *matrix = ksk_tensor_convert(floats, dtype, NULL);
    ksk_tensor_release(floats);
    return matrix;
}

/* --- the layout ---------------------------------------------------------------------------------
 */

static void compare_int8(const ksk_kernels *kernels, const ksk_tensor *matrix)
{
    const int64_t n = matrix->shape[0], k = matrix->shape[1];
    const size_t size = kernels->pack_int8_size(k, n);
    void *expected = ksk_malloc(size);
    float *scales = numbers(n);
    kernels->pack_int8(k, n, matrix->data, 1, k, expected, scales);
    ksk_tensor *packed = ksk_pack(kernels, KSK_PRECISION_INT8, KSK_TABLE_STEPS, matrix, NULL);
    assert_int_equal(ksk_tensor_bytes(packed->packing->stored), size);
    assert_memory_equal(ksk_tensor_data(packed), expected, size);
    assert_memory_equal(packed->packing->scales->data, scales, (size_t)n * sizeof *scales);
    assert_int_equal(ksk_tensor_bytes(packed), size + (size_t)n * sizeof *scales);
    ksk_tensor_release(packed);
    ksk_free(expected);
    free(scales);
}

static void compare_bf16(const ksk_kernels *kernels, const ksk_tensor *matrix)
{
    const int64_t n = matrix->shape[0], k = matrix->shape[1];
    const int64_t panels = (n + kernels->panel - 1) / kernels->panel;
    const size_t size = (size_t)(panels * kernels->panel * k) * sizeof(uint16_t);
    uint16_t *expected = ksk_malloc(size);
    kernels->pack_bf16(k, n, matrix->data, 1, k, 0, panels, expected);
    ksk_tensor *packed = ksk_pack(kernels, KSK_PRECISION_BF16, 0, matrix, NULL);
    assert_int_equal(ksk_tensor_bytes(packed), size);
    assert_memory_equal(ksk_tensor_data(packed), expected, size);
    ksk_tensor_release(packed);
    ksk_free(expected);
}

static void test_kernels_own_layout(void **state)
{
    static const int64_t shapes[][2] = {{1, 1}, {53, 37}, {64, 40}, {15, 129}, {33, 2}};
    for (int i = 0; i < 3; i++) {
        const ksk_kernels *kernels = ksk_kernels_named(isas[i]);
        for (int s = 0; kernels && s < 5; s++) {
            ksk_tensor *matrix = matrix_of(KSK_F32, shapes[s][0], shapes[s][1]);
            compare_int8(kernels, matrix);
            compare_bf16(kernels, matrix);
            ksk_tensor_release(matrix);
        }
    }
}

/* Rows of zeros, of NaN, of one large number among small ones. */
static void test_odd_rows(void **state)
{
    ksk_tensor *matrix = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){3, 5}, NULL);
    static const float values[] = {0, 0, 0, 0, 0, 1, NAN, 2, 3, 4, 1e-3F, -126, 0.4F, 63.6F, 1.5F};
    memcpy(ksk_tensor_fill(matrix), values, sizeof values);
    compare_int8(ksk_kernels_best(), matrix);
    ksk_tensor *packed =
        ksk_pack(ksk_kernels_best(), KSK_PRECISION_INT8, KSK_TABLE_STEPS, matrix, NULL);
    float row[5];
    static const float zeros[5] = {0}, last[] = {0, -126, 0, 64, 2};
    ksk_packing_row(packed, 0, row);
    assert_memory_equal(row, zeros, sizeof row);
    ksk_packing_row(packed, 1, row);
    assert_true(isnan(row[0]) && isnan(row[4]));
    ksk_packing_row(packed, 2, row);
    for (int i = 0; i < 5; i++)
        assert_near(row[i], last[i], 1e-5);
    ksk_tensor_release(matrix);
    ksk_tensor_release(packed);
}

/* --- and back -----------------------------------------------------------------------------------
 */

static void test_unpacked(void **state)
{
    static const ksk_dtype dtypes[] = {KSK_F32, KSK_BF16, KSK_F16};
    for (int d = 0; d < 3; d++) {
        ksk_tensor *matrix = matrix_of(dtypes[d], 45, 31);
        ksk_tensor *floats = ksk_tensor_convert(matrix, KSK_F32, NULL);
        ksk_tensor *narrow = ksk_tensor_convert(floats, KSK_BF16, NULL);
        ksk_tensor *int8 =
            ksk_pack(ksk_kernels_best(), KSK_PRECISION_INT8, KSK_TABLE_STEPS, matrix, NULL);
        ksk_tensor *bf16 = ksk_pack(ksk_kernels_best(), KSK_PRECISION_BF16, 0, matrix, NULL);
        ksk_tensor *same = ksk_tensor_convert(bf16, KSK_BF16, NULL);
        assert_true(ksk_tensor_equal(same, narrow));
        ksk_tensor *near = ksk_tensor_convert(int8, KSK_F32, NULL);
        for (int64_t i = 0; i < 45 * 31; i++)
            assert_near(ksk_tensor_f32(near)[i], ksk_tensor_f32(floats)[i], 0.51 / 63);
        const ksk_tensor *const all[] = {matrix, floats, narrow, int8, bf16, same, near};
        for (int i = 0; i < 7; i++)
            ksk_tensor_release(all[i]);
    }
}

/* Packed for other kernels and back, the integers, the scales and the halves are what they were. */
static void test_packed_anew(void **state)
{
    const ksk_kernels *here = ksk_kernels_best(), *there = ksk_kernels_named("scalar");
    ksk_tensor *matrix = matrix_of(KSK_F32, 71, 43);
    for (int p = 0; p < 2; p++) {
        const ksk_precision precision = p ? KSK_PRECISION_BF16 : KSK_PRECISION_INT8;
        ksk_tensor *first = ksk_pack(here, precision, KSK_TABLE_STEPS, matrix, NULL);
        ksk_tensor *away = ksk_pack(there, precision, KSK_TABLE_STEPS, first, NULL);
        ksk_tensor *back = ksk_pack(here, precision, KSK_TABLE_STEPS, away, NULL);
        ksk_tensor *direct = ksk_pack(there, precision, KSK_TABLE_STEPS, matrix, NULL);
        assert_true(ksk_tensor_equal(first, back));
        assert_true(ksk_tensor_equal(away, direct));
        assert_int_equal(ksk_tensor_equal(first, away), here == there);
        assert_false(ksk_tensor_equal(first, matrix));
        ksk_tensor_release(first);
        ksk_tensor_release(away);
        ksk_tensor_release(back);
        ksk_tensor_release(direct);
    }
    ksk_tensor_release(matrix);
}

/* Integers of few steps stay what they are where more are possible; those of many become few. */
static void test_steps(void **state)
{
    const ksk_kernels *kernels = ksk_kernels_best();
    ksk_tensor *matrix = matrix_of(KSK_F32, 20, 31);
    ksk_tensor *few = ksk_pack(kernels, KSK_PRECISION_INT8, KSK_TABLE_STEPS, matrix, NULL);
    ksk_tensor *many = ksk_pack(kernels, KSK_PRECISION_INT8, KSK_ONEDNN_STEPS, matrix, NULL);
    ksk_tensor *same = ksk_pack(kernels, KSK_PRECISION_INT8, KSK_ONEDNN_STEPS, few, NULL);
    ksk_tensor *fewer = ksk_pack(kernels, KSK_PRECISION_INT8, KSK_TABLE_STEPS, many, NULL);
    assert_ptr_equal(few, same);
    assert_int_equal(many->packing->steps, KSK_ONEDNN_STEPS);
    assert_int_equal(fewer->packing->steps, KSK_TABLE_STEPS);
    float exact[31], near[31];
    const float *scales = ksk_tensor_f32(fewer->packing->scales);
    for (int64_t j = 0; j < 20; j++) {
        ksk_packing_row(many, j, exact);
        ksk_packing_row(fewer, j, near);
        for (int p = 0; p < 31; p++) {
            assert_near(near[p], exact[p], 0.51 * (double)scales[j]);
            assert_true(fabsf(near[p]) < 63.5F * scales[j]);
        }
    }
    ksk_tensor_release(matrix);
    ksk_tensor_release(few);
    ksk_tensor_release(many);
    ksk_tensor_release(same);
    ksk_tensor_release(fewer);
}

/* --- products -----------------------------------------------------------------------------------
 */

static void multiply(const ksk_packed *packed, int64_t m, int64_t n, const float *x, int64_t k,
                     const float *bias, float *y, ksk_pool *pool)
{
    void *scratch = ksk_malloc(ksk_product_scratch(packed, m));
    const ksk_epilogue epilogue = {bias, KSK_RELU, y, n};
    memset(y, 0, (size_t)(m * n) * sizeof *y);
    ksk_product(packed, m, x, k, &epilogue, y, n, scratch, pool);
    ksk_free(scratch);
}

/* Stacked matrices multiply as the one that they are together, on kernels that they were packed for
 * or not. */
static void check_stack(const ksk_kernels *kernels, const ksk_kernels *other,
                        ksk_precision precision, int64_t m, ksk_pool *pool)
{
    enum { k = 139, parts = 3, n = 40 + 23 + 301 };
    static const int64_t rows[parts] = {40, 23, 301};
    ksk_tensor *packed[parts], *matrix = matrix_of(KSK_F32, n, k);
    const float *from = ksk_tensor_f32(matrix);
    for (int i = 0; i < parts; from += rows[i++] * k)
        packed[i] = ksk_pack_floats(other, precision, KSK_TABLE_STEPS, rows[i], k, from, k, NULL);
    ksk_tensor *stack = ksk_packing_stack(parts, packed, NULL);
    assert_int_equal(stack->shape[0], n);
    ksk_packed *whole = ksk_packed_new(kernels, precision, n, k, ksk_tensor_f32(matrix), k, NULL);
    ksk_packed *shared = ksk_packed_share(kernels, stack, NULL);
    float *x = numbers(m * k), *bias = numbers(n), *y = numbers(m * n), *z = numbers(m * n);
    multiply(whole, m, n, x, k, bias, y, pool);
    multiply(shared, m, n, x, k, bias, z, pool);
    assert_memory_equal(y, z, (size_t)(m * n) * sizeof *y);
    float row[k], part[k];
    ksk_packing_row(stack, 62, row);
    ksk_packing_row(packed[1], 22, part);
    assert_memory_equal(row, part, sizeof row);
    ksk_packed_free(whole);
    ksk_packed_free(shared);
    ksk_tensor_release(stack);
    ksk_tensor_release(matrix);
    for (int i = 0; i < parts; i++)
        ksk_tensor_release(packed[i]);
    free(x);
    free(bias);
    free(y);
    free(z);
}

static void test_stacks(void **state)
{
    static const ksk_precision precisions[] = {KSK_PRECISION_BF16, KSK_PRECISION_INT8};
    ksk_pool *pool = ksk_pool_new(3, NULL);
    for (int i = 0; i < 3; i++) {
        const ksk_kernels *kernels = ksk_kernels_named(isas[i]);
        for (int p = 0; kernels && p < 2; p++) {
            check_stack(kernels, kernels, precisions[p], 1, pool);
            check_stack(kernels, kernels, precisions[p], 77, pool);
            check_stack(kernels, ksk_kernels_named("scalar"), precisions[p], 5, NULL);
        }
    }
    ksk_pool_free(pool);
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static void refuse(ksk_dtype dtype, int rank, const int64_t *shape, const float *scales, int panel)
{
    ksk_tensor *stored = ksk_tensor_new(dtype, rank, shape, NULL);
    memset(ksk_tensor_fill(stored), 0, ksk_tensor_bytes(stored));
    const ksk_tensor scale = ksk_tensor_borrow(KSK_F32, 1, &(const int64_t){5}, scales);
    ksk_error err = {0};
    assert_null(ksk_packing_wrap(stored, scales ? &scale : NULL, panel, 63, 5, 7, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_tensor_release(stored);
}

static void test_refused(void **state)
{
    static const float good[5] = {1, 0, NAN, 2, 3}, negative[5] = {1, -1}, endless[5] = {INFINITY};
    static const int64_t fits[] = {2, 3, 4, 4}, wide[] = {2, 4, 4, 4}, few[] = {1, 3, 4, 4},
                         halves[] = {2, 7, 4}, none[] = {2, 7, 0};
    refuse(KSK_I8, 4, wide, good, 4);
    refuse(KSK_I8, 4, few, good, 4);
    refuse(KSK_I8, 4, fits, good, 8);
    refuse(KSK_I8, 4, fits, good, 3);
    refuse(KSK_I8, 4, fits, good, 0);
    refuse(KSK_I8, 4, fits, good, -4);
    refuse(KSK_I8, 4, fits, negative, 4);
    refuse(KSK_I8, 4, fits, endless, 4);
    refuse(KSK_I8, 4, fits, NULL, 4);
    refuse(KSK_U8, 4, fits, good, 4);
    refuse(KSK_F32, 3, halves, NULL, 4);
    refuse(KSK_BF16, 3, none, NULL, 4);
    refuse(KSK_BF16, 2, halves, NULL, 4);
    int64_t shape[4];
    assert_int_equal(ksk_packing_shape(KSK_I8, 16, INT64_MAX, 8, shape), 0);
    assert_int_equal(ksk_packing_shape(KSK_I8, 16, 8, INT64_MAX, shape), 0);
    assert_int_equal(ksk_packing_shape(KSK_I8, 16, 0, 8, shape), 0);
    ksk_tensor *ids = ksk_tensor_new(KSK_I32, 2, (const int64_t[]){3, 2}, NULL);
    ksk_error err = {0};
    assert_null(ksk_pack(ksk_kernels_best(), KSK_PRECISION_INT8, 63, ids, &err));
    assert_int_equal(err.status, KSK_UNSUPPORTED);
    ksk_tensor_release(ids);
}

/* Sums that no row has. */
static void test_refused_sums(void **state)
{
    static const int64_t shape[] = {1, 3, 4, 4};
    static const float scales[4] = {1, 1, 1, 1};
    ksk_tensor *scale = ksk_tensor_new(KSK_F32, 1, shape + 2, NULL);
    memcpy(ksk_tensor_fill(scale), scales, sizeof scales);
    static const int32_t sums[] = {-131073, -131072, 131072, 131073};
    for (int i = 0; i < 4; i++) {
        const int32_t panel[12] = {0, sums[i]};
        ksk_tensor *stored = ksk_tensor_new(KSK_I8, 4, shape, NULL);
        memcpy(ksk_tensor_fill(stored), panel, sizeof panel);
        ksk_tensor *packed = ksk_packing_wrap(stored, scale, 4, KSK_TABLE_STEPS, 4, 7, NULL);
        assert_int_equal(packed != NULL, i == 1 || i == 2);
        ksk_tensor_release(packed);
        ksk_tensor_release(stored);
    }
    ksk_tensor_release(scale);
}

static void test_no_other_shape(void **state)
{
    ksk_tensor *matrix = matrix_of(KSK_F32, 6, 4);
    ksk_tensor *packed =
        ksk_pack(ksk_kernels_best(), KSK_PRECISION_INT8, KSK_TABLE_STEPS, matrix, NULL);
    assert_null(ksk_tensor_reshape(packed, 1, (const int64_t[]){24}, NULL));
    assert_null(ksk_tensor_f32(packed));
    ksk_tensor_release(matrix);
    ksk_tensor_release(packed);
}

/* --- trees --------------------------------------------------------------------------------------
 */

static ksk_module *small_tree(ksk_error *err)
{
    ksk_module *root = ksk_module_new("Model");
    ksk_module_child(root, "table", ksk_nn_embedding(21, 10));
    ksk_module_child(root, "linear", ksk_nn_linear(10, 33, true));
    ksk_module_param(root, "weight", 2, (const int64_t[]){4, 6},
                     (ksk_initializer){KSK_INIT_NORMAL, 1});
    ksk_module *tree = ksk_module_init(root, ksk_key_from_seed(5), err);
    ksk_module_release(root);
    return tree;
}

static void test_tree(void **state)
{
    ksk_module *tree = small_tree(NULL);
    for (int threads = 1; threads < 4; threads += 2) {
        ksk_module *packed =
            ksk_module_pack(tree, ksk_kernels_best(), KSK_PRECISION_INT8, threads, NULL);
        const ksk_module *linear = ksk_module_get(packed, "linear");
        assert_non_null(ksk_module_tensor(ksk_module_get(packed, "table"), "weight")->packing);
        assert_non_null(ksk_module_tensor(linear, "weight")->packing);
        assert_ptr_equal(ksk_module_tensor(linear, "bias"),
                         ksk_module_tensor(ksk_module_get(tree, "linear"), "bias"));
        assert_ptr_equal(ksk_module_tensor(packed, "weight"), ksk_module_tensor(tree, "weight"));
        ksk_module *again =
            ksk_module_pack(packed, ksk_kernels_best(), KSK_PRECISION_INT8, 1, NULL);
        assert_true(ksk_module_equal(packed, again));
        assert_false(ksk_module_equal(packed, tree));
        ksk_module_release(again);
        ksk_module_release(packed);
    }
    ksk_module_release(tree);
}

static bool pack_and_stack(void *context, ksk_error *err)
{
    ksk_module *tree = small_tree(err);
    ksk_module *packed =
        tree ? ksk_module_pack(tree, ksk_kernels_best(), KSK_PRECISION_INT8, 1, err) : NULL;
    ksk_tensor *stack = NULL;
    ksk_packed *product = NULL;
    if (packed) {
        const ksk_tensor *weight = ksk_module_tensor(ksk_module_get(packed, "linear"), "weight");
        ksk_tensor *const parts[] = {(ksk_tensor *)(uintptr_t)weight,
                                     (ksk_tensor *)(uintptr_t)weight};
        stack = ksk_packing_stack(2, parts, err);
    }
    if (stack)
        product = ksk_packed_share(ksk_kernels_named("scalar"), stack, err);
    const bool well = product != NULL;
    ksk_packed_free(product);
    ksk_tensor_release(stack);
    ksk_module_release(packed);
    ksk_module_release(tree);
    return well;
}

static void test_no_memory(void **state)
{
    assert_true(fault_sweep(pack_and_stack, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_own_layout),
        cmocka_unit_test(test_odd_rows),
        cmocka_unit_test(test_unpacked),
        cmocka_unit_test(test_packed_anew),
        cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_sums),
        cmocka_unit_test(test_no_other_shape),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
