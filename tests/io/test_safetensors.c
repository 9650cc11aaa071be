#include <string.h>

#include "io/checkpoint.h"
#include "io/directory.h"

static const char fixtures[] = KSK_FIXTURES "/safetensors";

/* A file of this header (as long as it says when `length` is negative) and `data` bytes of data. */
static void put_header(const char *name, const char *header, int64_t length, size_t data)
{
    char bytes[4096] = {0};
    const size_t size = strlen(header);
    const uint64_t said = length < 0 ? size : (uint64_t)length;
    assert_true(8 + size + data <= sizeof bytes);
    memcpy(bytes, &said, 8);
    memcpy(bytes + 8, header, size);
    put_file(name, bytes, 8 + size + data);
}

/* --- what the reference wrote ---------------------------------------------------------------- */

static double value(const ksk_tensor *tensor, int64_t i)
{
    const void *data = ksk_tensor_data(tensor);
    switch (ksk_tensor_dtype(tensor)) {
    case KSK_I32:
        return ((const int32_t *)data)[i];
    case KSK_I8:
        return ((const int8_t *)data)[i];
    case KSK_U8:
        return ((const uint8_t *)data)[i];
    default:
        break;
    }
    ksk_tensor *converted = ksk_tensor_convert(tensor, KSK_F32, NULL);
    const double result = ksk_tensor_f32(converted)[i];
    ksk_tensor_release(converted);
    return result;
}

static void expect_tensor(const ksk_safetensors *file, const char *name, ksk_dtype dtype, int rank,
                          const int64_t *shape)
{
    ksk_error err = {0};
    ksk_tensor *tensor = ksk_safetensors_get(file, name, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(ksk_tensor_dtype(tensor), dtype);
    assert_int_equal(ksk_tensor_rank(tensor), rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(ksk_tensor_size(tensor, i), shape[i]);
    for (int64_t i = 0; i < ksk_tensor_count(tensor); i++)
        assert_true(value(tensor, i) == (double)(7 * i % 23 - (dtype == KSK_U8 ? 0 : 11)));
    ksk_tensor_release(tensor);
}

static void test_reads_the_reference(void **state)
{
    ksk_error err = {0};
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "types.safetensors", &err);
    assert_string_equal(err.message, "");
    assert_int_equal(ksk_safetensors_count(file), 12);
    for (int i = 1; i < 12; i++)
        assert_true(strcmp(ksk_safetensors_name(file, i - 1), ksk_safetensors_name(file, i)) < 0);
    expect_tensor(file, "model.f32", KSK_F32, 2, (int64_t[]){2, 3});
    expect_tensor(file, "model.bf16", KSK_BF16, 1, (int64_t[]){5});
    expect_tensor(file, "model.f16", KSK_F16, 3, (int64_t[]){3, 1, 4});
    expect_tensor(file, "i32", KSK_I32, 2, (int64_t[]){7, 2});
    expect_tensor(file, "i8", KSK_I8, 4, (int64_t[]){1, 2, 3, 5});
    expect_tensor(file, "u8", KSK_U8, 1, (int64_t[]){11});
    expect_tensor(file, "scalar", KSK_F32, 0, NULL);
    expect_tensor(file, "empty", KSK_F32, 3, (int64_t[]){4, 0, 3});
    expect_tensor(file, "größe \"0\"\n", KSK_F32, 1, (int64_t[]){3});
    ksk_safetensors_free(file);
}

static void expect_refusal(const ksk_safetensors *file, const char *name, ksk_status status,
                           const char *message)
{
    ksk_error err = {0};
    char *path = ksk_path(fixtures, "types.safetensors");
    assert_null(ksk_safetensors_get(file, name, &err));
    assert_int_equal(err.status, status);
    assert_memory_equal(err.message, path, strlen(path));
    assert_string_equal(err.message + strlen(path), message);
    ksk_free(path);
}

static void test_types_that_the_library_lacks(void **state)
{
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "types.safetensors", NULL);
    assert_true(ksk_safetensors_has(file, "f64") && ksk_safetensors_has(file, "bool"));
    expect_refusal(file, "f64", KSK_UNSUPPORTED,
                   ": tensor \"f64\" has the type F64 and 2 dimensions; F32, BF16, F16, I32, I8 "
                   "and U8 with up to 4 are read");
    expect_refusal(file, "bool", KSK_UNSUPPORTED,
                   ": tensor \"bool\" has the type BOOL and 1 dimensions; F32, BF16, F16, I32, I8 "
                   "and U8 with up to 4 are read");
    expect_refusal(file, "rank5", KSK_UNSUPPORTED,
                   ": tensor \"rank5\" has the type F32 and 5 dimensions; F32, BF16, F16, I32, I8 "
                   "and U8 with up to 4 are read");
    assert_false(ksk_safetensors_has(file, "model"));
    expect_refusal(file, "model", KSK_BAD_FORMAT, ": there is no tensor \"model\"");
    ksk_safetensors_free(file);
}

static void test_shards(void **state)
{
    ksk_error err = {0};
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "model.safetensors", &err);
    assert_string_equal(err.message, "");
    assert_int_equal(ksk_safetensors_count(file), 3);
    expect_tensor(file, "a", KSK_F32, 1, (int64_t[]){3});
    expect_tensor(file, "b", KSK_F32, 1, (int64_t[]){4});
    expect_tensor(file, "c", KSK_F32, 1, (int64_t[]){5});
    ksk_safetensors_free(file);
}

static void test_tensors_outlive_the_file(void **state)
{
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "types.safetensors", NULL);
    ksk_tensor *first = ksk_safetensors_get(file, "i32", NULL);
    ksk_tensor *second = ksk_safetensors_get(file, "i32", NULL);
    assert_ptr_equal(ksk_tensor_data(first), ksk_tensor_data(second)); /* mapped, not copied */
    assert_null(ksk_tensor_fill(first));
    ksk_safetensors_free(file);
    ksk_tensor_release(first);
    assert_true(value(second, 13) == 7 * 13 % 23 - 11);
    ksk_tensor_release(second);
}

/* --- what we write --------------------------------------------------------------------------- */

static ksk_tensor *numbers(ksk_dtype dtype, int rank, const int64_t *shape, uint64_t seed)
{
    ksk_tensor *tensor = ksk_tensor_new(dtype, rank, shape, NULL);
    uint8_t *bytes = ksk_tensor_fill(tensor);
    for (size_t i = 0; i < ksk_tensor_bytes(tensor); i++)
        bytes[i] = (uint8_t)ksk_random_bits(ksk_key_from_seed(seed), i);
    return tensor;
}

static void test_writes_and_reads_back(void **state)
{
    enum { count = 7 };
    static const char *const names[count] = {"z.u8", "é\"\\\n\x01", "b", "a", "", "big", "m"};
    const ksk_tensor *tensors[count] = {
        numbers(KSK_U8, 1, (int64_t[]){3}, 1),
        numbers(KSK_F32, 2, (int64_t[]){2, 3}, 2),
        numbers(KSK_BF16, 3, (int64_t[]){5, 1, 3}, 3),
        numbers(KSK_I8, 4, (int64_t[]){1, 2, 3, 5}, 4),
        numbers(KSK_F32, 0, NULL, 5),
        numbers(KSK_F32, 2, (int64_t[]){301, 103}, 6),
        numbers(KSK_I32, 2, (int64_t[]){4, 0}, 7),
    };
    char *path = ksk_path(directory, "file.safetensors");
    ksk_error err = {0};
    assert_true(ksk_safetensors_write(path, count, names, tensors, &err));
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", &err);
    assert_string_equal(err.message, "");
    assert_int_equal(ksk_safetensors_count(file), count);
    for (int i = 0; i < count; i++) {
        ksk_tensor *tensor = ksk_safetensors_get(file, names[i], &err);
        assert_true(ksk_tensor_equal(tensor, tensors[i]));
        if (i == 5)
            assert_int_equal((uintptr_t)ksk_tensor_data(tensor) % sizeof(float), 0);
        ksk_tensor_release(tensor);
        ksk_tensor_release(tensors[i]);
    }
    ksk_safetensors_free(file);

    size_t size;
    char *bytes = ksk_file_read(path, 1 << 20, &size, &err);
    uint64_t length;
    memcpy(&length, bytes, 8);
    assert_int_equal((length + 8) % 64, 0);
    assert_memory_equal(bytes + 8, "{\"__metadata__\":{\"format\":\"pt\"},\"\":{", 36);
    ksk_free(bytes);
    ksk_free(path);
}

/* With a note, whole multiples of 64 bytes come first, each at such a multiple. */
static void test_notes(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    const ksk_tensor *tensors[] = {
        numbers(KSK_F32, 1, (int64_t[]){3}, 1), numbers(KSK_I8, 3, (int64_t[]){2, 4, 16}, 2),
        numbers(KSK_I8, 1, (int64_t[]){5}, 3), numbers(KSK_BF16, 2, (int64_t[]){3, 32}, 4)};
    char *path = ksk_path(directory, "file.safetensors");
    assert_true(ksk_safetensors_write_noted(path, "kaskad.sort", "of 16", 4, names, tensors, NULL));
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", NULL);
    assert_string_equal(ksk_safetensors_note(file, "kaskad.sort"), "of 16");
    assert_null(ksk_safetensors_note(file, "kaskad.other"));
    for (int i = 0; i < 4; i++) {
        ksk_tensor *tensor = ksk_safetensors_get(file, names[i], NULL);
        assert_true(ksk_tensor_equal(tensor, tensors[i]));
        if (ksk_tensor_bytes(tensor) % 64 == 0)
            assert_int_equal((uintptr_t)ksk_tensor_data(tensor) % 64, 0);
        ksk_tensor_release(tensor);
        ksk_tensor_release(tensors[i]);
    }
    ksk_safetensors_free(file);
    ksk_free(path);
}

/* Other programs' metadata are read over; kaskad's are kept, and may not say two things. */
static void test_read_notes(void **state)
{
    put_header("file.safetensors",
               "{\"__metadata__\":{\"format\":\"pt\",\"kaskad.a\":\"\\u00e9\",\"kaskad.b\":\"\"}}",
               -1, 0);
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", NULL);
    assert_string_equal(ksk_safetensors_note(file, "kaskad.a"), "é");
    assert_string_equal(ksk_safetensors_note(file, "kaskad.b"), "");
    assert_null(ksk_safetensors_note(file, "format"));
    ksk_safetensors_free(file);
    char header[1024] = "{\"__metadata__\":{";
    for (int i = 0; i < 17; i++) {
        const size_t length = strlen(header);
        snprintf(header + length, sizeof header - length, "%s\"kaskad.%d\":\"\"", i ? "," : "", i);
    }
    strcat(header, "}}");
    put_header("file.safetensors", header, -1, 0);
    ksk_error err = {0};
    assert_null(ksk_safetensors_open(directory, "file.safetensors", &err));
    assert_non_null(strstr(err.message, "too many notes"));
}

static void test_writes_a_file_without_tensors(void **state)
{
    char *path = ksk_path(directory, "file.safetensors");
    assert_true(ksk_safetensors_write(path, 0, NULL, NULL, NULL));
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", NULL);
    assert_int_equal(ksk_safetensors_count(file), 0);
    assert_false(ksk_safetensors_has(file, "a"));
    ksk_safetensors_free(file);
    ksk_free(path);
}

static void test_refuses_to_write_bad_names(void **state)
{
    static const char *const names[][2] = {{"a", "a"}, {"__metadata__", "a"}, {"a", "\xC3"}};
    static const char *const messages[] = {"the tensor name \"a\" is used twice",
                                           "the tensor name \"__metadata__\" is reserved",
                                           "the tensor name \"\xC3\" is not UTF-8"};
    ksk_tensor *tensor = numbers(KSK_F32, 0, NULL, 1);
    for (size_t i = 0; i < 3; i++) {
        ksk_error err = {0};
        assert_false(ksk_safetensors_write("/nonexistent/file", 2, names[i],
                                           (const ksk_tensor *[]){tensor, tensor}, &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
        assert_string_equal(err.message, messages[i]);
    }
    ksk_tensor_release(tensor);
}

/* --- what must be refused -------------------------------------------------------------------- */

/* The message must end as given; the file's name comes before. */
static void expect_bad(const char *name, const char *message)
{
    ksk_error err = {0};
    char *path = ksk_path(directory, name);
    assert_null(ksk_safetensors_open(directory, name, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_memory_equal(err.message, path, strlen(path));
    assert_string_equal(err.message + strlen(path), message);
    ksk_free(path);
}

typedef struct bad_header {
    const char *header;
    size_t data;
    const char *message;
} bad_header;

#define ENTRY(name, dtype, shape, offsets)                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const bad_header bad_headers[] = {
    {"", 0, ": header, byte 0: '{' expected"},
    {" {}", 0, ": header, byte 0: '{' expected"},
    {"[]", 0, ": header, byte 0: '{' expected"},
    {"{}", 1, ": header, byte 2: the data is longer than the tensors"},
    {"{}x", 0, ": header, byte 2: something follows the header's end"},
    {"{", 0, ": header, byte 1: '\"' expected"},
    {"{\"a", 0, ": header, byte 2: a string does not end"},
    {"{\"a\\", 0, ": header, byte 2: a string does not end"},
    {"{\"a\"}", 0, ": header, byte 4: ':' expected"},
    {"{\"a\\x\":{}}", 0, ": header, byte 5: a bad escape within a string"},
    {"{\"\\ud800\":{}}", 0, ": header, byte 8: a bad escape within a string"},
    {"{\"\\ud800\\u0041\":{}}", 0, ": header, byte 14: a bad escape within a string"},
    {"{\"\\u0000\":{}}", 0, ": header, byte 8: a bad escape within a string"},
    {"{\"a\n\":{}}", 0, ": header, byte 4: a control character within a string"},
    {"{\"\xC3\":{}}", 0, ": header, byte 4: a string is not UTF-8"},
    {"{\"\xED\xA0\x80\":{}}", 0, ": header, byte 6: a string is not UTF-8"},
    {"{\"\xC0\xAF\":{}}", 0, ": header, byte 5: a string is not UTF-8"},
    {"{\"__metadata__\":{\"a\":1}}", 0, ": header, byte 21: '\"' expected"},
    {"{\"__metadata__\":{\"kaskad.a\":1}}", 0, ": header, byte 28: '\"' expected"},
    {"{\"__metadata__\":{\"kaskad.a\":\"b\",\"kaskad.a\":\"b\"}}", 0,
     ": header, byte 42: a key of __metadata__ is used twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, ": header, byte 34: two fields __metadata__"},
    {"{\"a\":1}", 0, ": tensor \"a\": '{' expected"},
    {"{\"a\":{}}", 0, ": tensor \"a\": '\"' expected"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, ": tensor \"a\": no field shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, ": tensor \"a\": no field data_offsets"},
    {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, ": tensor \"a\": no field dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, ": tensor \"a\": two fields dtype"},
    {"{\"a\":{\"size\":3}}", 0, ": tensor \"a\": a field other than dtype, shape and data_offsets"},
    {"{" ENTRY("a", "F33", "[]", "[0,4]") "}", 4, ": tensor \"a\": unknown dtype F33"},
    {"{" ENTRY("a", "", "[]", "[0,4]") "}", 4, ": tensor \"a\": unknown dtype "},
    {"{" ENTRY("a", "F32", "[1.5]", "[0,4]") "}", 4, ": tensor \"a\": ']' expected"},
    {"{" ENTRY("a", "F32", "[-1]", "[0,4]") "}", 4,
     ": tensor \"a\": an integer from 0 to 18446744073709551615 expected"},
    {"{" ENTRY("a", "F32", "[01]", "[0,4]") "}", 4,
     ": tensor \"a\": an integer from 0 to 18446744073709551615 expected"},
    {"{" ENTRY("a", "F32", "[]", "[0,18446744073709551616]") "}", 4,
     ": tensor \"a\": an integer from 0 to 18446744073709551615 expected"},
    {"{" ENTRY("a", "F32", "[9223372036854775808]", "[0,4]") "}", 4,
     ": tensor \"a\": the shape's sizes multiply to more than 64 bits hold"},
    {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0,
     ": tensor \"a\": the shape's sizes multiply to more than 64 bits hold"},
    {"{" ENTRY("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0,
     ": tensor \"a\": the shape and dtype need more than 64 bits hold"},
    {"{" ENTRY("a", "F32", "[2,3]", "[0,20]") "}", 20,
     ": tensor \"a\": data_offsets disagree with shape and dtype"},
    {"{" ENTRY("a", "F4", "[3]", "[0,1]") "}", 1,
     ": tensor \"a\": data_offsets disagree with shape and dtype"},
    {"{" ENTRY("a", "F32", "[]", "[4,0]") "}", 4,
     ": tensor \"a\": data_offsets end before they begin"},
    {"{" ENTRY("a", "F32", "[]", "[0,4,8]") "}", 4, ": tensor \"a\": ']' expected"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 7,
     ": tensor \"a\": data_offsets reach past the end of the file"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 9,
     ": header, byte 54: the data is longer than the tensors"},
    {"{" ENTRY("a", "F32", "[]", "[4,8]") "}", 8,
     ": tensor \"a\": data_offsets leave a hole before it"},
    {"{" ENTRY("b", "F32", "[]", "[0,4]") "," ENTRY("a", "F32", "[]", "[8,12]") "}", 12,
     ": tensor \"a\": data_offsets leave a hole before it"},
    {"{" ENTRY("b", "F32", "[2]", "[0,8]") "," ENTRY("a", "F32", "[]", "[4,8]") "}", 8,
     ": tensor \"a\": data_offsets overlap another tensor's"},
    {"{" ENTRY("a", "F32", "[]", "[0,4]") "," ENTRY("a", "F32", "[]", "[4,8]") "}", 8,
     ": tensor \"a\": the name is used twice"},
    {"{" ENTRY("a", "F32", "[]", "[0,4]") "," ENTRY("\\u0061", "F32", "[]", "[4,8]") "}", 8,
     ": tensor \"a\": the name is used twice"},
    {"{" ENTRY("a", "F32", "[]", "[0,4]") ",}", 4, ": header, byte 53: '\"' expected"},
    {"{" ENTRY("a", "F32", "[]", "[0,4]"), 4, ": header, byte 52: '}' expected"},
};

static void test_bad_headers(void **state)
{
    for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++) {
        put_header("file.safetensors", bad_headers[i].header, -1, bad_headers[i].data);
        expect_bad("file.safetensors", bad_headers[i].message);
    }
}

static void test_bad_lengths(void **state)
{
    put_header("file.safetensors", "{}", 100000001, 0);
    expect_bad("file.safetensors", ": the header's length says 100000001 bytes, over the limit of "
                                   "100000000; is it a safetensors file?");
    put_header("file.safetensors", "{}", INT64_MAX, 0);
    expect_bad("file.safetensors", ": the header's length says 9223372036854775807 bytes, over the "
                                   "limit of 100000000; is it a safetensors file?");
    put_header("file.safetensors", "{}", 3, 0);
    expect_bad("file.safetensors",
               ": the header's length says 3 bytes, but 2 follow; the file is cut");
    put_file("file.safetensors", "\2\0\0\0\0\0\0", 7);
    expect_bad("file.safetensors",
               ": not a safetensors file: it is too short for a header's length");
    put_file("file.safetensors", "", 0);
    expect_bad("file.safetensors",
               ": not a safetensors file: it is too short for a header's length");
    ksk_error err = {0};
    assert_null(ksk_safetensors_open(directory, "none.safetensors", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "none.safetensors: No such file or directory"));
    assert_null(ksk_safetensors_open(directory, ".", &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
}

static void test_odd_but_good_headers(void **state)
{
    static const char *const good[] = {
        "{ \"__metadata__\" : { } , " ENTRY("a", "F32", "[ ]", "[ 0 , 4 ]") " }  \n",
        "{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("z", "F32", "[0]", "[0,0]") "}",
        "{" ENTRY("z", "F32", "[3,0]", "[4,4]") "," ENTRY("\\u0061", "F32", "[1]", "[0,4]") "}",
        "{" ENTRY("a", "I8", "[4]", "[0,4]") "," ENTRY("\\ud83d\\ude00", "U8", "[0]", "[4,4]") "}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ksk_error err = {0};
        put_header("file.safetensors", good[i], -1, 4);
        ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", &err);
        assert_string_equal(err.message, "");
        ksk_tensor *tensor = ksk_safetensors_get(file, "a", &err);
        assert_int_equal(ksk_tensor_bytes(tensor), 4);
        assert_true(i < 3 || ksk_safetensors_has(file, "\xF0\x9F\x98\x80"));
        ksk_tensor_release(tensor);
        ksk_safetensors_free(file);
    }
}

/* Offsets and the header's length may leave a tensor unaligned; it is then copied. */
static void test_unaligned_data(void **state)
{
    const char header[] =
        "{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("b", "F32", "[1]", "[1,5]") "}";
    const float number = 0.3f;
    for (size_t pad = 0; pad < 4; pad++) {
        const uint64_t length = sizeof header - 1 + pad;
        char bytes[200];
        memset(bytes, ' ', sizeof bytes);
        memcpy(bytes, &length, 8);
        memcpy(bytes + 8, header, sizeof header - 1);
        memcpy(bytes + 8 + length + 1, &number, sizeof number);
        put_file("file.safetensors", bytes, 8 + length + 5);
        ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", NULL);
        ksk_tensor *tensor = ksk_safetensors_get(file, "b", NULL);
        ksk_safetensors_free(file);
        assert_int_equal((uintptr_t)ksk_tensor_data(tensor) % sizeof number, 0);
        assert_true(ksk_tensor_f32(tensor)[0] == number);
        ksk_tensor_release(tensor);
    }
}

/* --- damage ---------------------------------------------------------------------------------- */

/* A damaged file is refused with a message, or holds sane tensors that can be read to their end. */
static bool survives(const char *bytes, size_t size)
{
    put_file("file.safetensors", bytes, size);
    ksk_error err = {0};
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", &err);
    if (!file) {
        assert_int_equal(err.status, KSK_BAD_FORMAT);
        assert_non_null(strstr(err.message, "file.safetensors"));
        return false;
    }
    for (int i = 0; i < ksk_safetensors_count(file); i++) {
        ksk_tensor *tensor = ksk_safetensors_get(file, ksk_safetensors_name(file, i), &err);
        assert_true(tensor || err.status == KSK_UNSUPPORTED);
        unsigned sum = 0;
        for (size_t j = 0; tensor && j < ksk_tensor_bytes(tensor); j++)
            sum += ((const uint8_t *)ksk_tensor_data(tensor))[j];
        assert_true(sum <= 255 * size);
        ksk_tensor_release(tensor);
    }
    ksk_safetensors_free(file);
    return true;
}

static char *small_file(size_t *size)
{
    static const char *const names[] = {"encoder.weight", "encoder.bias", "ids"};
    const ksk_tensor *tensors[] = {numbers(KSK_F32, 2, (int64_t[]){2, 3}, 1),
                                   numbers(KSK_BF16, 1, (int64_t[]){3}, 2),
                                   numbers(KSK_I32, 1, (int64_t[]){5}, 3)};
    char *path = ksk_path(directory, "file.safetensors");
    assert_true(ksk_safetensors_write(path, 3, names, tensors, NULL));
    char *bytes = ksk_file_read(path, 4096, size, NULL);
    for (int i = 0; i < 3; i++)
        ksk_tensor_release(tensors[i]);
    ksk_free(path);
    return bytes;
}

static void test_cut_anywhere(void **state)
{
    size_t size;
    char *bytes = small_file(&size);
    assert_true(survives(bytes, size));
    for (size_t cut = 0; cut < size; cut++)
        assert_false(survives(bytes, cut));
    ksk_free(bytes);
}

static void test_every_byte_and_bit_of_the_header(void **state)
{
    size_t size;
    char *bytes = small_file(&size);
    uint64_t length;
    memcpy(&length, bytes, 8);
    int refused = 0;
    for (size_t at = 0; at < 8 + length; at++) {
        const char before = bytes[at];
        for (int bit = 0; bit <= 8; bit++) {
            bytes[at] = (char)(bit < 8 ? before ^ 1 << bit : ~before);
            refused += !survives(bytes, size);
        }
        bytes[at] = before;
    }
    assert_true(refused > (int)length * 4);
    ksk_free(bytes);
}

static void test_random_damage(void **state)
{
    size_t size;
    char *bytes = small_file(&size), *damaged = ksk_malloc(size);
    const ksk_key key = ksk_key_from_seed(17);
    uint64_t draw = 0;
    for (int round = 0; round < 3000; round++) {
        memcpy(damaged, bytes, size);
        for (uint32_t flips = 1 + ksk_random_bits(key, draw++) % 8; flips; flips--) {
            const uint32_t bits = ksk_random_bits(key, draw++);
            damaged[(bits >> 3) % size] ^= (char)(1 << (bits & 7));
        }
        survives(damaged, size);
    }
    ksk_free(damaged);
    ksk_free(bytes);
}

/* --- bad indices ----------------------------------------------------------------------------- */

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

static void expect_bad_index(const char *index, const char *message)
{
    ksk_error err = {0};
    put_text("file.safetensors.index.json", index);
    assert_null(ksk_safetensors_open(directory, "file.safetensors", &err));
    assert_non_null(strstr(err.message, message));
}

static void test_bad_indices(void **state)
{
    remove_file("file.safetensors");
    put_header("one.safetensors", "{" ENTRY("a", "F32", "[]", "[0,4]") "}", -1, 4);
    put_header("two.safetensors",
               "{" ENTRY("a", "F32", "[]", "[0,4]") "," ENTRY("b", "F32", "[]", "[4,8]") "}", -1,
               8);
    expect_bad_index("{}", "file.safetensors.index.json: no object weight_map");
    expect_bad_index("{\"weight_map\":{\"a\":3}}",
                     "index.json: tensor \"a\": the name of a file in the same directory expected");
    expect_bad_index("{\"weight_map\":{\"a\":\"../x/one.safetensors\"}}",
                     "index.json: tensor \"a\": the name of a file in the same directory expected");
    expect_bad_index("{\"weight_map\":{\"a\":\"none\"}}", "none: No such file or directory");
    expect_bad_index("{\"weight_map\":{\"b\":\"one.safetensors\"}}",
                     "index.json: tensor \"b\" is not in one.safetensors");
    expect_bad_index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}",
                     "two.safetensors: tensor \"a\": the name is used twice");
    expect_bad_index("{\"weight_map\":", "index.json: line 1, column 14: ");
    put_text("file.safetensors.index.json", "{\"weight_map\":{\"a\":\"one.safetensors\"}}");
    ksk_safetensors *file = ksk_safetensors_open(directory, "file.safetensors", NULL);
    assert_int_equal(ksk_safetensors_count(file), 1);
    ksk_safetensors_free(file);
}

/* --- every allocation failing in turn -------------------------------------------------------- */

static bool write_open_get(void *context, ksk_error *err)
{
    static const char *const names[] = {"b", "a"};
    const ksk_tensor *const *tensors = context;
    char *path = ksk_path(directory, "file.safetensors");
    ksk_safetensors *file = NULL;
    ksk_tensor *tensor = NULL;
    bool well = path ? ksk_safetensors_write(path, 2, names, tensors, err) : ksk_fail_memory(err);
    ksk_free(path);
    if (well)
        file = ksk_safetensors_open(directory, "file.safetensors", err);
    if (file)
        tensor = ksk_safetensors_get(file, "a", err);
    ksk_safetensors_free(file);
    well = tensor != NULL;
    ksk_tensor_release(tensor);
    return well;
}

static bool open_sharded(void *context, ksk_error *err)
{
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "model.safetensors", err);
    ksk_safetensors_free(file);
    return file != NULL;
}

static void test_memory_runs_out(void **state)
{
    ksk_tensor *tensor = numbers(KSK_F32, 2, (int64_t[]){2, 3}, 1);
    const ksk_tensor *tensors[] = {tensor, tensor};
    assert_true(fault_sweep(write_open_get, tensors) > 10);
    assert_true(fault_sweep(open_sharded, NULL) > 10);
    ksk_tensor_release(tensor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_reference),
        cmocka_unit_test(test_types_that_the_library_lacks),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_tensors_outlive_the_file),
        cmocka_unit_test(test_writes_and_reads_back),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_read_notes),
        cmocka_unit_test(test_writes_a_file_without_tensors),
        cmocka_unit_test(test_refuses_to_write_bad_names),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_odd_but_good_headers),
        cmocka_unit_test(test_unaligned_data),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_every_byte_and_bit_of_the_header),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_bad_indices),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
