#include <math.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/directory.h"

static ksk_config *load(const char *text)
{
    ksk_error err = {0};
    put_file("config.json", text, strlen(text));
    ksk_config *config = ksk_config_load(directory, "config.json", &err);
    assert_string_equal(err.message, "");
    return config;
}

/* --- reading --------------------------------------------------------------------------------- */

static const char marian[] = "{\n"
                             "  \"d_model\": 48, \"dropout\": 0.1, \"scale_embedding\": true,\n"
                             "  \"activation_function\": \"swish\", \"eos_token_id\": 0,\n"
                             "  \"bad_words_ids\": null, \"decoder_start_token_id\": [7, 9]\n"
                             "}\n";

static void test_reads(void **state)
{
    ksk_config *config = load(marian);
    assert_int_equal(ksk_config_int(config, "d_model", 512, 1, 48), 48);
    assert_int_equal(ksk_config_int(config, "heads", 8, 1, 4), 8);
    assert_true(ksk_config_number(config, "dropout", 0.5) == 0.1);
    assert_true(ksk_config_number(config, "d_model", 0.5) == 48);
    assert_true(ksk_config_number(config, "epsilon", 1e-5) == 1e-5);
    assert_true(ksk_config_bool(config, "scale_embedding", false));
    assert_true(ksk_config_bool(config, "tied", true));
    assert_string_equal(ksk_config_string(config, "activation_function", "gelu"), "swish");
    assert_null(ksk_config_string(config, "model_type", NULL));
    int32_t ids[2] = {-1, -1};
    assert_int_equal(ksk_config_ints(config, "eos_token_id", ids, 2), 1);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ksk_config_ints(config, "decoder_start_token_id", ids, 2), 2);
    assert_int_equal(ids[0], 7);
    assert_int_equal(ids[1], 9);
    assert_int_equal(ksk_config_ints(config, "bad_words_ids", ids, 2), 0);
    assert_true(ksk_config_has(config, "d_model"));
    assert_false(ksk_config_has(config, "bad_words_ids"));
    assert_false(ksk_config_has(config, "nothing"));
    assert_true(ksk_config_ok(config, NULL));
    ksk_config_free(config);
}

typedef void read_wrongly(ksk_config *config);

static void as_int(ksk_config *config)
{
    assert_int_equal(ksk_config_int(config, "k", 7, 1, 99), 7);
}

static void as_number(ksk_config *config)
{
    assert_true(ksk_config_number(config, "k", 7) == 7);
}

static void as_bool(ksk_config *config)
{
    assert_true(ksk_config_bool(config, "k", true));
}

static void as_string(ksk_config *config)
{
    assert_string_equal(ksk_config_string(config, "k", "seven"), "seven");
}

static void as_ints(ksk_config *config)
{
    int32_t ids[3];
    assert_int_equal(ksk_config_ints(config, "k", ids, 3), 0);
}

static void test_wrong_types_are_remembered(void **state)
{
    static const struct {
        const char *text;
        read_wrongly *read;
        const char *message;
    } wrong[] = {
        {"{\"k\": 100}", as_int, "an integer from 1 to 99 expected"},
        {"{\"k\": 0}", as_int, "an integer from 1 to 99 expected"},
        {"{\"k\": 4294967297}", as_int, "an integer from 1 to 99 expected"},
        {"{\"k\": 5.0}", as_int, "an integer from 1 to 99 expected"},
        {"{\"k\": \"5\"}", as_int, "an integer from 1 to 99 expected"},
        {"{\"k\": \"5\"}", as_number, "a number expected"},
        {"{\"k\": 1}", as_bool, "true or false expected"},
        {"{\"k\": 1}", as_string, "a string expected"},
        {"{\"k\": []}", as_ints, "an integer or a list of 1 to 3 integers expected"},
        {"{\"k\": [1, 2, 3, 4]}", as_ints, "an integer or a list of 1 to 3 integers expected"},
        {"{\"k\": [1, 2.5]}", as_ints, "an integer or a list of 1 to 3 integers expected"},
        {"{\"k\": 2147483648}", as_ints, "an integer or a list of 1 to 3 integers expected"},
        {"{\"k\": {}}", as_ints, "an integer or a list of 1 to 3 integers expected"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ksk_error err = {0};
        char message[200];
        ksk_config *config = load(wrong[i].text);
        wrong[i].read(config);
        assert_true(isnan(ksk_config_number(config, "later", NAN)));
        assert_false(ksk_config_ok(config, NULL));
        assert_false(ksk_config_ok(config, &err));
        assert_int_equal(err.status, KSK_BAD_FORMAT);
        snprintf(message, sizeof message, "%s/config.json: key \"k\": %s", directory,
                 wrong[i].message);
        assert_string_equal(err.message, message);
        ksk_config_free(config);
    }
    ksk_config *config = load("{\"a\": 1, \"b\": 2}");
    ksk_error err = {0};
    ksk_config_string(config, "b", NULL);
    ksk_config_string(config, "a", NULL); /* the first mistake stays */
    assert_false(ksk_config_ok(config, &err));
    assert_non_null(strstr(err.message, "key \"b\""));
    ksk_config_free(config);
}

/* --- bad files ------------------------------------------------------------------------------- */

static void expect_bad(const char *text, size_t size, const char *message)
{
    ksk_error err = {0};
    put_file("config.json", text, size);
    assert_null(ksk_config_load(directory, "config.json", &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "/config.json"));
    assert_non_null(strstr(err.message, message));
}

static void test_bad_files(void **state)
{
    static const char *const bad[][2] = {
        {"", ": line 1, column 0: "},
        {"[]", ": line 1, column 1: an object expected"},
        {"3", ": line 1, column 1: "},
        {"{\"a\": 1,\n \"a\": 2}", ": line 2, column 4: duplicate object key"},
        {"{\"a\": NaN}", ": line 1, column 9: invalid token near 'NaN'"},
        {"{\"a\": Infinity}", ": line 1, column 14: invalid token near 'Infinity'"},
        {"{\"a\": 1e999}", ": line 1, column 11: real number overflow"},
        {"{\"a\": 99999999999999999999}", ": line 1, column 26: too big integer"},
        {"{\"a\": 1} {", ": line 1, column 10: end of file expected"},
        {"{\"a\": 1", ": line 1, column 7: '}' expected"},
        {"{\"a\": \"\xC3\"}", ": line 1, column 7: unable to decode byte 0xc3"},
        {"{\"a\": \"\\u0000\"}", ": line 1, column 14: \\u0000 is not allowed"},
        {"{\"a\": \"x\ny\"}", ": line 1, column 8: unexpected newline"},
        {"{\"a\": 'x'}", ": line 1, column 7: invalid token near '''"},
        {"{\n\n\"a\" 1}", ": line 3, column 5: ':' expected near '1'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_bad(bad[i][0], strlen(bad[i][0]), bad[i][1]);
    ksk_error err = {0};
    assert_null(ksk_config_load(directory, "none.json", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "none.json: No such file or directory"));
}

static void test_nesting_and_size(void **state)
{
    enum { size = (1 << 24) + 2 };
    char *text = ksk_malloc(size);
    memset(text, '[', size);
    memcpy(text, "{\n\"a\":", 6);
    expect_bad(text, 100000, ": line 2, column 104: nested deeper than 100 levels");
    expect_bad(text, size - 1, " has more than 16777216 bytes");
    memset(text, ' ', size);
    memcpy(text, "{\"a\": \"[[[[[[[[[[[\\\"[[[[[\"}", 27);
    for (int i = 0; i < 99; i++) {
        text[100 + i] = '[';
        text[400 + i] = ']';
    }
    memcpy(text + 26, ",\"b\":", 5);
    text[600] = '}';
    put_file("config.json", text, 601);
    ksk_config *config = ksk_config_load(directory, "config.json", NULL);
    assert_non_null(config);
    assert_string_equal(ksk_config_string(config, "a", ""), "[[[[[[[[[[[\"[[[[[");
    ksk_config_free(config);
    ksk_free(text);
}

/* A damaged file is refused with a message, or reads as some other object. */
static void survives(const char *text, size_t size)
{
    ksk_error err = {0};
    put_file("config.json", text, size);
    ksk_config *config = ksk_config_load(directory, "config.json", &err);
    if (!config) {
        assert_int_equal(err.status, KSK_BAD_FORMAT);
        assert_non_null(strstr(err.message, "config.json: line "));
        return;
    }
    int32_t ids[2];
    const int width = ksk_config_int(config, "d_model", 3, 1, 99);
    assert_true(width >= 1 && width <= 99);
    const int count = ksk_config_ints(config, "decoder_start_token_id", ids, 2);
    assert_true(count >= 0 && count <= 2);
    char *print = ksk_config_print(config);
    assert_non_null(print);
    ksk_free(print);
    ksk_config_free(config);
}

static void test_damage(void **state)
{
    const size_t size = strlen(marian);
    char text[sizeof marian];
    for (size_t cut = 0; cut < size; cut++)
        survives(marian, cut);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit <= 8; bit++) {
            memcpy(text, marian, sizeof text);
            text[at] = (char)(bit < 8 ? text[at] ^ 1 << bit : ~text[at]);
            survives(text, size);
        }
}

/* --- writing --------------------------------------------------------------------------------- */

static void test_writes(void **state)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_new("new settings", &err);
    ksk_config_set_string(config, "model_type", "marian");
    ksk_config_set_int(config, "d_model", 48);
    ksk_config_set_int(config, "d_model", 80);
    ksk_config_set_number(config, "dropout", 0.1);
    ksk_config_set_number(config, "third", 0.5);
    ksk_config_set_bool(config, "tied", true);
    ksk_config_set_string(config, "odd", "é\"\n");
    char *print = ksk_config_print(config);
    assert_string_equal(print, "model_type: \"marian\"\n"
                               "d_model: 80\n"
                               "dropout: 0.1\n"
                               "third: 0.5\n"
                               "tied: true\n"
                               "odd: \"é\\\"\\n\"\n");
    ksk_free(print);
    assert_true(ksk_config_save(config, directory, "config.json", &err));
    ksk_config_free(config);

    char *path = ksk_path(directory, "config.json");
    size_t size;
    char *text = ksk_file_read(path, 1000, &size, &err);
    assert_string_equal(text, "{\n  \"model_type\": \"marian\",\n  \"d_model\": 80,\n"
                              "  \"dropout\": 0.1,\n  \"third\": 0.5,\n  \"tied\": true,\n"
                              "  \"odd\": \"é\\\"\\n\"\n}\n");
    ksk_free(text);
    ksk_free(path);
}

static void test_numbers_come_back(void **state)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_new("new settings", &err);
    ksk_config_set_number(config, "tenth", 0.1);
    ksk_config_set_number(config, "third", 1.0 / 3);
    assert_true(ksk_config_save(config, directory, "config.json", &err));
    ksk_config_free(config);
    config = ksk_config_load(directory, "config.json", &err);
    assert_true(ksk_config_number(config, "tenth", 0) == 0.1);
    assert_true(ksk_config_number(config, "third", 0) == 1.0 / 3);
    ksk_config_free(config);
}

static void test_refuses_to_write(void **state)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_new("new settings", &err);
    ksk_config_set_number(config, "loss", NAN);
    assert_false(ksk_config_save(config, directory, "unwritten.json", &err));
    assert_string_equal(err.message, "new settings: key \"loss\": a finite number expected");
    ksk_config_free(config);
    config = ksk_config_new("new settings", &err);
    ksk_config_set_string(config, "name", "\xFF");
    assert_false(ksk_config_save(config, directory, "unwritten.json", &err));
    assert_string_equal(err.message, "new settings: key \"name\": UTF-8 expected");
    ksk_config_free(config);
    config = ksk_config_new("new settings", &err);
    assert_false(ksk_config_save(config, "/nonexistent", "config.json", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    ksk_config_free(config);
}

/* --- every allocation of ours failing in turn ------------------------------------------------ */

static bool make_save_load(void *context, ksk_error *err)
{
    ksk_config *config = ksk_config_new("new settings", err);
    if (!config)
        return false;
    ksk_config_set_int(config, "d_model", 80);
    bool well = ksk_config_save(config, directory, "config.json", err);
    ksk_config_free(config);
    config = well ? ksk_config_load(directory, "config.json", err) : NULL;
    char *print = config ? ksk_config_print(config) : NULL;
    if (config && !print)
        ksk_fail_memory(err);
    well = print != NULL;
    ksk_free(print);
    ksk_config_free(config);
    return well;
}

static void test_memory_runs_out(void **state)
{
    assert_true(fault_sweep(make_save_load, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_wrong_types_are_remembered),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_nesting_and_size),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_numbers_come_back),
        cmocka_unit_test(test_refuses_to_write),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
