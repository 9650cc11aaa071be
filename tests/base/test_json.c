/* JSON of a file: how deep it may be, and what is said of what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static json_t *parse(const char *text, ksk_error *err)
{
    *err = (ksk_error){0};
    return ksk_json_parse("some.json", text, strlen(text), 0, err);
}

/* {"a": [[[…]]]} with `depth` levels in all. */
static const char *nested(int depth)
{
    static char text[2000];
    strcpy(text, "{\"a\": ");
    for (int i = 1; i < depth; i++)
        strcat(text, "[");
    for (int i = 1; i < depth; i++)
        strcat(text, "]");
    return strcat(text, "}");
}

static void test_depth(void **state)
{
    ksk_error err;
    json_t *value = parse(nested(KSK_JSON_DEPTH), &err);
    assert_non_null(value);
    json_decref(value);
    assert_null(parse(nested(KSK_JSON_DEPTH + 1), &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_string_equal(err.message,
                        "some.json: line 1, column 106: nested deeper than 100 levels");
    value = parse("{\"[[[\": \"\\\"[[[[\"}", &err); /* brackets in strings are no levels */
    assert_non_null(value);
    json_decref(value);
}

static void test_what_is_wrong(void **state)
{
    ksk_error err;
    assert_null(parse("{\"a\":\n 1 \x01}", &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "some.json: line 2, column "));
    assert_null(strchr(err.message, '\x01'));
    assert_null(parse("[1]", &err));
    assert_non_null(strstr(err.message, "an object expected"));
    assert_null(parse("{} {}", &err));
    assert_null(parse("", &err));
    assert_null(parse("{\"a\": NaN}", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
