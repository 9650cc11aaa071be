/* What the library has to say reaches the program's sink, cut where it is too long, or nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/sink.h"

typedef struct heard {
    int count;
    ksk_level level;
    char last[1000];
} heard;

static void hear(void *context, ksk_level level, const char *message)
{
    heard *h = context;
    h->count++;
    h->level = level;
    strcpy(h->last, message);
}

static void test_messages_arrive(void **state)
{
    heard h = {0};
    ksk_say(KSK_WARNING, "before there is %s", "anyone");
    ksk_sink_set(&(ksk_sink){hear, &h});
    ksk_say(KSK_WARNING, "line %d: %s", 7, "cut");
    assert_string_equal(h.last, "line 7: cut");
    assert_int_equal(h.level, KSK_WARNING);
    ksk_say(KSK_INFO, "done");
    assert_int_equal(h.level, KSK_INFO);
    assert_int_equal(h.count, 2);
    ksk_sink_set(NULL);
    ksk_say(KSK_INFO, "after");
    assert_int_equal(h.count, 2);
}

static void test_long_messages_are_cut(void **state)
{
    heard h = {0};
    char text[900];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ksk_sink_set(&(ksk_sink){hear, &h});
    ksk_say(KSK_INFO, "%s", text);
    ksk_sink_set(NULL);
    assert_int_equal(strlen(h.last), 499);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_arrive),
        cmocka_unit_test(test_long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
