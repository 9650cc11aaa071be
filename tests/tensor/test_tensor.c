#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/memory.h"

static ksk_tensor *counting(int rank, const int64_t *shape)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, rank, shape, NULL);
    assert_non_null(tensor);
    float *data = ksk_tensor_fill(tensor);
    for (int64_t i = 0; i < ksk_tensor_count(tensor); i++)
        data[i] = (float)i;
    return tensor;
}

static void test_shape_and_readers(void **state)
{
    const int64_t shape[] = {3, 5, 2};
    ksk_tensor *tensor = counting(3, shape);
    assert_int_equal(ksk_tensor_count(tensor), 30);
    assert_int_equal(ksk_tensor_bytes(tensor), 120);
    assert_int_equal(ksk_tensor_rank(tensor), 3);
    assert_int_equal(ksk_tensor_size(tensor, 1), 5);
    assert_int_equal((uintptr_t)ksk_tensor_data(tensor) % 64, 0);
    assert_non_null(ksk_tensor_f32(tensor));
    assert_null(ksk_tensor_i32(tensor));
    assert_string_equal(ksk_dtype_name(ksk_tensor_dtype(tensor)), "F32");
    ksk_tensor_release(tensor);

    ksk_tensor *scalar = counting(0, NULL);
    assert_int_equal(ksk_tensor_count(scalar), 1);
    ksk_tensor_release(scalar);
    const int64_t empty[] = {0, 7};
    ksk_tensor *nothing = counting(2, empty);
    assert_int_equal(ksk_tensor_bytes(nothing), 0);
    ksk_tensor_release(nothing);
}

static void test_bad_shapes(void **state)
{
    ksk_error err = {0};
    const int64_t negative[] = {3, -1};
    assert_null(ksk_tensor_new(KSK_F32, 2, negative, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "dimension 1"));
    const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40, 3};
    assert_null(ksk_tensor_new(KSK_U8, 3, huge, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    const int64_t large[] = {INT64_C(1) << 61};
    assert_null(ksk_tensor_new(KSK_F32, 1, large, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    const int64_t ones[] = {1, 1, 1, 1, 1};
    assert_null(ksk_tensor_new(KSK_F32, 5, ones, &err));
    assert_null(ksk_tensor_wrap(KSK_F32, -1, ones, NULL, NULL, NULL, &err));
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void test_references(void **state)
{
    const int64_t shape[] = {2, 3};
    const int64_t other[] = {3, 2};
    const float data[6] = {0, 1, 2, 3, 4, 5};
    int released = 0;
    ksk_tensor *wrapped = ksk_tensor_wrap(KSK_F32, 2, shape, data, count_release, &released, NULL);
    assert_null(ksk_tensor_fill(wrapped));
    assert_false(ksk_tensor_exclusive(wrapped));
    ksk_tensor *reshaped = ksk_tensor_reshape(wrapped, 2, other, NULL);
    assert_ptr_equal(ksk_tensor_data(reshaped), data);
    assert_int_equal(ksk_tensor_size(reshaped, 0), 3);
    assert_null(ksk_tensor_fill(reshaped));
    ksk_tensor_release(wrapped);
    assert_int_equal(released, 0);
    ksk_tensor_release(reshaped);
    assert_int_equal(released, 1);

    ksk_tensor *own = counting(2, shape);
    assert_true(ksk_tensor_exclusive(own));
    assert_ptr_equal(ksk_tensor_share(own), own);
    assert_null(ksk_tensor_fill(own));
    ksk_tensor_release(own);
    assert_non_null(ksk_tensor_fill(own));
    ksk_error err = {0};
    assert_null(ksk_tensor_reshape(own, 1, shape, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_tensor_release(own);

    assert_null(ksk_tensor_share(NULL));
    ksk_tensor_release(NULL);
}

static void test_borrow_and_equal(void **state)
{
    const int64_t shape[] = {2, 3};
    const int64_t other[] = {3, 2};
    float data[6] = {0, 1, 2, 3, 4, 5};
    ksk_tensor *own = counting(2, shape);
    const ksk_tensor borrowed = ksk_tensor_borrow(KSK_F32, 2, shape, data);
    const ksk_tensor turned = ksk_tensor_borrow(KSK_F32, 2, other, data);
    const ksk_tensor integers = ksk_tensor_borrow(KSK_I32, 2, shape, data);
    assert_true(ksk_tensor_equal(own, &borrowed));
    assert_false(ksk_tensor_equal(own, &turned));
    assert_false(ksk_tensor_equal(own, &integers));
    data[5] = 6;
    assert_false(ksk_tensor_equal(own, &borrowed));
    ksk_tensor_release(own);
}

static void test_bf16(void **state)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = ksk_bf16_to_f32((uint16_t)bits);
        if (isnan(value))
            assert_true(isnan(ksk_bf16_to_f32(ksk_f32_to_bf16(value))));
        else
            assert_int_equal(ksk_f32_to_bf16(value), bits);
    }
    assert_int_equal(ksk_f32_to_bf16(1 + 0x1p-8f), 0x3f80); /* a tie, to even */
    assert_int_equal(ksk_f32_to_bf16(1 + 0x3p-8f), 0x3f82); /* a tie, to even */
    assert_int_equal(ksk_f32_to_bf16(1 + 0x1p-8f + 0x1p-20f), 0x3f81);
    assert_int_equal(ksk_f32_to_bf16(3.4e38f), 0x7f80);
}

static void test_f16(void **state)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float value = ksk_f16_to_f32((uint16_t)bits);
        const int exponent = (int)(bits >> 10 & 31);
        const double fraction = (double)(bits & 0x3ff);
        const double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent < 31)
            assert_true(value == (float)(bits & 0x8000 ? -size : size));
        if (isnan(value))
            assert_true(isnan(ksk_f16_to_f32(ksk_f32_to_f16(value))));
        else
            assert_int_equal(ksk_f32_to_f16(value), bits);
    }
    assert_true(isinf(ksk_f16_to_f32(0x7c00)));
    /* Halfway between neighbours goes to the even one, above it to the larger. */
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        const float middle =
            0.5f * (ksk_f16_to_f32((uint16_t)bits) + ksk_f16_to_f32((uint16_t)(bits + 1)));
        assert_int_equal(ksk_f32_to_f16(middle), bits + (bits & 1));
        assert_int_equal(ksk_f32_to_f16(nextafterf(middle, 1e9f)), bits + 1);
        assert_int_equal(ksk_f32_to_f16(nextafterf(middle, 0)), bits);
    }
    assert_int_equal(ksk_f32_to_f16(65519.99f), 0x7bff);
    assert_int_equal(ksk_f32_to_f16(-65520), 0xfc00);
}

static void test_convert(void **state)
{
    const int64_t shape[] = {7, 3};
    ksk_tensor *tensor = counting(2, shape);
    ksk_tensor *same = ksk_tensor_convert(tensor, KSK_F32, NULL);
    assert_ptr_equal(same, tensor);
    ksk_tensor *bf16 = ksk_tensor_convert(tensor, KSK_BF16, NULL);
    ksk_tensor *f16 = ksk_tensor_convert(bf16, KSK_F16, NULL);
    ksk_tensor *back = ksk_tensor_convert(f16, KSK_F32, NULL);
    assert_int_equal(ksk_tensor_bytes(f16), 42);
    assert_true(ksk_tensor_equal(tensor, back));
    ksk_error err = {0};
    assert_null(ksk_tensor_convert(tensor, KSK_I32, &err));
    assert_int_equal(err.status, KSK_UNSUPPORTED);
    ksk_tensor_release(tensor);
    ksk_tensor_release(same);
    ksk_tensor_release(bf16);
    ksk_tensor_release(f16);
    ksk_tensor_release(back);
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
    const int64_t shape[] = {4, 2};
    const ksk_allocator allocator = {scarce, give_back, NULL};
    ksk_allocator_set(&allocator);
    allocations_left = 0;
    ksk_error err = {0};
    assert_null(ksk_tensor_new(KSK_F32, 2, shape, &err));
    assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
    allocations_left = 1;
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, 2, shape, NULL);
    assert_null(ksk_tensor_reshape(tensor, 2, shape, &err));
    assert_null(ksk_tensor_convert(tensor, KSK_F16, &err));
    assert_null(ksk_tensor_wrap(KSK_F32, 2, shape, &shape, NULL, NULL, &err));
    assert_true(ksk_tensor_exclusive(tensor));
    ksk_tensor_release(tensor);
    ksk_allocator_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_and_readers),
        cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_borrow_and_equal),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
