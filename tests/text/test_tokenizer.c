/* Ids and decoded text equal the reference's (tests/fixtures/make_tokenizer.py). */
#include "rows.h"

#include "kaskad/memory.h"
#include "text/tokenizer.h"

#define MODEL KSK_FIXTURES "/tokenizer/nmt"
#define TWO   KSK_FIXTURES "/tokenizer/two"

static ksk_tokenizer *load(const char *directory)
{
    ksk_error err = {0};
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(directory, &err);
    if (!tokenizer)
        fail_msg("%s", err.message);
    return tokenizer;
}

typedef bool (*encode_function)(const ksk_tokenizer *, const char *, size_t, ksk_ids *, int *,
                                ksk_error *);

/* Encodes and compares with ids in base 36. */
static ksk_ids expect_ids(const ksk_tokenizer *tokenizer, encode_function encode, const char *text,
                          size_t length, const char *expected)
{
    ksk_ids ids = {0};
    int replaced = -1;
    assert_true(encode(tokenizer, text, length, &ids, &replaced, NULL));
    assert_int_equal(replaced, 0);
    for (size_t i = 0; i < ids.count; i++) {
        char *end;
        const long id = strtol(expected, &end, 36);
        if (end == expected || id != ids.ids[i])
            fail_msg("\"%s\": id %zu is %d, not %ld", text, i, (int)ids.ids[i], id);
        expected = end;
    }
    if (*expected)
        fail_msg("\"%s\": ids missing: %s", text, expected);
    return ids;
}

static void expect_text(const ksk_tokenizer *tokenizer, const ksk_ids *ids, const char *expected)
{
    ksk_error err = {0};
    char *text = ksk_tokenizer_decode(tokenizer, ids->ids, ids->count, &err);
    if (!text)
        fail_msg("%s", err.message);
    assert_string_equal(text, expected);
    ksk_free(text);
}

static void check_hard(void *context, const json_t *row)
{
    size_t length, ignored;
    const char *text = cell(row, 0, &length), *decoded = cell(row, 2, &ignored);
    ksk_ids ids =
        expect_ids(context, ksk_tokenizer_encode_source, text, length, cell(row, 1, &ignored));
    expect_text(context, &ids, decoded ? decoded : text);
    ksk_free(ids.ids);
}

static void hard_lines_equal_the_reference(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(MODEL);
    assert_int_equal(each_row("tokenizer/hard.jsonl", check_hard, tokenizer), 2400);
    ksk_tokenizer_free(tokenizer);
}

static void check_two(void *context, const json_t *row)
{
    size_t length, ignored;
    const char *text = cell(row, 0, &length);
    ksk_ids source =
        expect_ids(context, ksk_tokenizer_encode_source, text, length, cell(row, 1, &ignored));
    ksk_ids target =
        expect_ids(context, ksk_tokenizer_encode_target, text, length, cell(row, 2, &ignored));
    expect_text(context, &target, cell(row, 3, &ignored));
    ksk_free(source.ids);
    ksk_free(target.ids);
}

static void separate_vocabularies_equal_the_reference(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(TWO);
    assert_int_equal(each_row("tokenizer/two.jsonl", check_two, tokenizer), 300);
    ksk_tokenizer_free(tokenizer);
}

static void special_ids_come_from_the_files(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(MODEL);
    assert_int_equal(ksk_tokenizer_size(tokenizer), 8000);
    assert_int_equal(ksk_tokenizer_end_id(tokenizer), 2);
    assert_int_equal(ksk_tokenizer_pad_id(tokenizer), 3);
    assert_int_equal(ksk_tokenizer_unknown_id(tokenizer), 0);
    ksk_tokenizer_free(tokenizer);
    tokenizer = load(TWO);
    assert_int_equal(ksk_tokenizer_end_id(tokenizer), 0);
    assert_int_equal(ksk_tokenizer_pad_id(tokenizer), 4);
    assert_int_equal(ksk_tokenizer_unknown_id(tokenizer), 1);
    ksk_tokenizer_free(tokenizer);
}

static void invalid_bytes_read_as_replacement_characters(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(MODEL);
    const char bad[] = "Tom \xFF ist \xE2\x82 hier.";
    const char good[] = "Tom \xEF\xBF\xBD ist \xEF\xBF\xBD hier.";
    ksk_ids a = {0}, b = {0};
    int replaced = 0;
    assert_true(ksk_tokenizer_encode_source(tokenizer, bad, sizeof bad - 1, &a, &replaced, NULL));
    assert_int_equal(replaced, 2);
    assert_true(ksk_tokenizer_encode_source(tokenizer, good, sizeof good - 1, &b, NULL, NULL));
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.ids, b.ids, a.count * sizeof *a.ids);
    ksk_free(a.ids);
    ksk_free(b.ids);
    ksk_tokenizer_free(tokenizer);
}

static void encoding_appends(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(MODEL);
    ksk_ids ids = {0};
    assert_true(ksk_tokenizer_encode_target(tokenizer, "Tom", 3, &ids, NULL, NULL));
    assert_true(ksk_tokenizer_encode_target(tokenizer, "", 0, &ids, NULL, NULL));
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.ids[0], 5);
    assert_int_equal(ids.ids[1], 2);
    assert_int_equal(ids.ids[2], 2);
    ksk_free(ids.ids);
    ksk_tokenizer_free(tokenizer);
}

static void ids_out_of_range(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(MODEL);
    ksk_error err = {0};
    assert_null(ksk_tokenizer_decode(tokenizer, (const int32_t[]){5, -1}, 2, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    expect_text(tokenizer, &(ksk_ids){.ids = (int32_t[]){5, 1 << 30, 8000}, .count = 3}, "Tom");
    expect_text(tokenizer, &(ksk_ids){0}, "");
    ksk_tokenizer_free(tokenizer);
}

static void missing_files_are_named(void **state)
{
    (void)state;
    ksk_error err = {0};
    assert_null(ksk_tokenizer_load(KSK_FIXTURES, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "vocab.json"));
}

static void fingerprints_tell_apart(void **state)
{
    static const char *const directories[] = {MODEL, TWO, KSK_FIXTURES "/tokenizer/lossless",
                                              KSK_FIXTURES "/marian/split",
                                              KSK_FIXTURES "/marian/opus"};
    enum { count = sizeof directories / sizeof *directories };
    uint64_t found[count];
    (void)state;
    for (int i = 0; i < count; i++) {
        ksk_tokenizer *first = load(directories[i]), *second = load(directories[i]);
        found[i] = ksk_tokenizer_fingerprint(first);
        assert_true(found[i] == ksk_tokenizer_fingerprint(second));
        assert_int_equal(ksk_tokenizer_is_joint(first), i != 1 && i != 3);
        for (int k = 0; k < i; k++)
            assert_true(found[k] != found[i]);
        ksk_tokenizer_free(first);
        ksk_tokenizer_free(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hard_lines_equal_the_reference),
        cmocka_unit_test(separate_vocabularies_equal_the_reference),
        cmocka_unit_test(special_ids_come_from_the_files),
        cmocka_unit_test(invalid_bytes_read_as_replacement_characters),
        cmocka_unit_test(fingerprints_tell_apart),
        cmocka_unit_test(encoding_appends),
        cmocka_unit_test(ids_out_of_range),
        cmocka_unit_test(missing_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
