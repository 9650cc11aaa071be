#include <string.h>

#include "base/string.h"
#include "fault.h"
#include "kaskad/error.h"

static void test_fail(void **state)
{
    ksk_error err = {0};
    assert_int_equal(err.status, KSK_OK);
    assert_false(ksk_fail(&err, KSK_BAD_FILE, "cannot open %s: error %d", "x", 3));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_string_equal(err.message, "cannot open x: error 3");
    assert_false(ksk_fail_memory(&err));
    assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
    assert_string_equal(err.message, "out of memory");
    assert_false(ksk_fail(NULL, KSK_BAD_FILE, "nobody listens"));
    assert_false(ksk_fail_memory(NULL));
}

static void test_long_messages_are_cut(void **state)
{
    ksk_error err = {0};
    char text[1000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_false(ksk_fail(&err, KSK_BAD_FORMAT, "%s", text));
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

/* --- strings --------------------------------------------------------------------------------- */

static void test_strings_grow(void **state)
{
    ksk_string string = {0};
    for (int i = 0; i < 300; i++)
        assert_true(ksk_string_add(&string, "%d,", i));
    assert_int_equal(string.length, strlen(string.data));
    assert_memory_equal(string.data + string.length - 8, "298,299,", 9);
    ksk_string_cut(&string, 6);
    assert_string_equal(string.data, "0,1,2,");
    char *text = ksk_string_take(&string);
    assert_string_equal(text, "0,1,2,");
    assert_null(string.data);
    ksk_free(text);
    text = ksk_string_take(&string);
    assert_string_equal(text, "");
    ksk_free(text);
}

static bool build(void *context, ksk_error *err)
{
    ksk_string string = {0};
    for (int i = 0; i < 100; i++)
        ksk_string_add(&string, "%d,", i);
    char *text = ksk_string_take(&string);
    if (!text)
        return ksk_fail_memory(err);
    assert_int_equal(strlen(text), 290);
    ksk_free(text);
    return true;
}

static void test_strings_without_memory(void **state)
{
    assert_true(fault_sweep(build, NULL) > 3);
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "é",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "x\xC2\x80y"};
    static const char *const bad[] = {
        "\x80",         "\xC3",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF",
        "\xED\xA0\x80", "\xE2\x82",     "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF",         "\xE2\x28\xA1", "\xF0\x9F\x98",     "a\xC3z",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ksk_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ksk_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(ksk_utf8_valid("a\0b", 3));
}

static void test_printable(void **state)
{
    char out[8];
    assert_string_equal(ksk_printable("a\nb\x7F", out, sizeof out), "a?b?");
    assert_string_equal(ksk_printable("1234567", out, sizeof out), "1234567");
    assert_string_equal(ksk_printable("12345678", out, sizeof out), "1234...");
    assert_string_equal(ksk_printable("123é5678", out, sizeof out), "123...");
    assert_string_equal(ksk_printable("", out, sizeof out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail),         cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_strings_grow), cmocka_unit_test(test_strings_without_memory),
        cmocka_unit_test(test_utf8),         cmocka_unit_test(test_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
