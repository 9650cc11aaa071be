#include "rows.h"

#include "kaskad/memory.h"
#include "text/utf8.h"

#define FFFD "\xEF\xBF\xBD"

static void expect_repair(const char *text, size_t length, const char *expected, int bad)
{
    ksk_bytes out = {0};
    int replaced = -1;
    assert_true(ksk_utf8_repair(text, length, &out, &replaced));
    assert_int_equal(replaced, bad);
    char *got = ksk_bytes_text(&out);
    assert_string_equal(got, expected);
    ksk_free(got);
}

/* Expected texts as Python 3.11 has them: bytes.decode("utf-8", "replace"). */
static void each_maximal_subpart_is_one_replacement(void **state)
{
    (void)state;
    expect_repair("", 0, "", 0);
    expect_repair("Größe 東京 \U0001F600", 18 + 2, "Größe 東京 \U0001F600", 0);
    expect_repair("a\xFFz", 3, "a" FFFD "z", 1);
    expect_repair("\x80\xBF", 2, FFFD FFFD, 2);
    expect_repair("\xC0\xAF", 2, FFFD FFFD, 2);                   /* overlong */
    expect_repair("\xE0\x80\x80", 3, FFFD FFFD FFFD, 3);          /* overlong */
    expect_repair("\xED\xA0\x80", 3, FFFD FFFD FFFD, 3);          /* surrogate */
    expect_repair("\xF4\x90\x80\x80", 4, FFFD FFFD FFFD FFFD, 4); /* over U+10FFFF */
    expect_repair("\xE2\x82", 2, FFFD, 1);                        /* cut off */
    expect_repair("\xF0\x9F\x98z", 4, FFFD "z", 1);
    expect_repair("\xF0\x9F\xC3\xA9", 4, FFFD "é", 1);
    expect_repair("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                  "A",
                  9, FFFD FFFD FFFD FFFD "A", 4); /* Unicode, table 3-8 */
}

static void white_space_is_cut_from_the_ends(void **state)
{
    (void)state;
    const char *text = "\t\xC2\xA0\xE3\x80\x80 a b \xE2\x80\xA8\x1F";
    size_t length = strlen(text);
    ksk_utf8_strip_right(&text, &length);
    ksk_utf8_strip_left(&text, &length);
    assert_int_equal(length, 3);
    assert_memory_equal(text, "a b", 3);
    text = "\xE2\x80\x8B"; /* zero width space is none */
    length = 3;
    ksk_utf8_strip_right(&text, &length);
    assert_int_equal(length, 3);
    text = "  ";
    length = 2;
    ksk_utf8_strip_right(&text, &length);
    assert_int_equal(length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_maximal_subpart_is_one_replacement),
        cmocka_unit_test(white_space_is_cut_from_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
