#include <string.h>

#include "fault.h"

static void test_alignment_and_content(void **state)
{
    for (size_t size = 0; size < 300; size += 37) {
        char *memory = ksk_malloc(size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, size);
        ksk_free(memory);
    }
    const char zeros[33] = {0};
    char *memory = ksk_calloc(11, 3);
    assert_memory_equal(memory, zeros, 33);
    ksk_free(memory);
    memory = ksk_calloc(0, 8);
    assert_non_null(memory);
    ksk_free(memory);
    ksk_free(NULL);
}

static void test_overflow(void **state)
{
    assert_null(ksk_calloc(SIZE_MAX / 4 + 1, 4));
    assert_null(ksk_calloc(SIZE_MAX, SIZE_MAX));
    assert_null(ksk_malloc(SIZE_MAX));
    assert_null(ksk_malloc(SIZE_MAX - 62));
    int *array = NULL;
    size_t capacity = 0;
    assert_false(ksk_grow(&array, &capacity, SIZE_MAX / 2, sizeof *array));
    assert_null(array);
    assert_int_equal(capacity, 0);
}

static void test_grow(void **state)
{
    int *array = NULL;
    size_t capacity = 0, moves = 0;
    for (int i = 0; i < 1000; i++) {
        const size_t before = capacity;
        assert_true(ksk_grow(&array, &capacity, (size_t)i + 1, sizeof *array));
        assert_true(capacity > (size_t)i);
        moves += capacity != before;
        array[i] = 3 * i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(array[i], 3 * i);
    assert_true(moves < 20);
    const int *same = array;
    assert_true(ksk_grow(&array, &capacity, 5, sizeof *array));
    assert_ptr_equal(array, same);
    ksk_free(array);
}

static void test_strdup(void **state)
{
    char *copy = ksk_strdup("größe");
    assert_string_equal(copy, "größe");
    ksk_free(copy);
    copy = ksk_strdup("");
    assert_string_equal(copy, "");
    ksk_free(copy);
}

static bool grow_twice(void *context, ksk_error *err)
{
    int *array = NULL;
    size_t capacity = 0;
    bool well = ksk_grow(&array, &capacity, 3, sizeof *array);
    if (well) {
        array[2] = 7;
        well = ksk_grow(&array, &capacity, 100, sizeof *array);
        assert_int_equal(array[2], 7); /* as before when memory runs out */
        assert_true(well || capacity < 100);
    }
    ksk_free(array);
    return well || ksk_fail_memory(err);
}

static void test_the_allocator_is_used(void **state)
{
    assert_int_equal(fault_sweep(grow_twice, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_content),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_strdup),
        cmocka_unit_test(test_the_allocator_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
