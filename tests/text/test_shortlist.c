/* Shortlists: what is selected, what a file may say, and what it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "text/shortlist.h"

/* Five source tokens, the second without candidates; ids on both sides of a word's 64 bits. */
enum { sources = 5 };
static const uint32_t offsets[sources + 1] = {0, 3, 3, 4, 8, 10};
static const int32_t always[] = {2, 64, 128};
static const int32_t candidates[] = {0, 63, 64, 129, 1, 2, 65, 127, 62, 129};

static ksk_shortlist_lists lists_for(int target_size)
{
    return (ksk_shortlist_lists){.scope = {sources, target_size, 0x123456789ABCDEFu},
                                 .always = always,
                                 .always_count = 3,
                                 .offsets = offsets,
                                 .candidates = candidates};
}

/* What select should give, from the lists as they are. */
static size_t expected(const ksk_shortlist_lists *lists, const int32_t *ids, size_t count,
                       int32_t *found)
{
    size_t n = 0;
    for (int32_t id = 0; id < lists->scope.target_size; id++) {
        bool in = false;
        for (size_t i = 0; i < lists->always_count; i++)
            in = in || lists->always[i] == id;
        for (size_t i = 0; i < count; i++)
            for (uint32_t k = lists->offsets[ids[i]]; k < lists->offsets[ids[i] + 1]; k++)
                in = in || lists->candidates[k] == id;
        if (in)
            found[n++] = id;
    }
    return n;
}

static void check_selection(const ksk_shortlist *s, const ksk_shortlist_lists *lists,
                            ksk_selection *selection)
{
    static const int32_t sentences[][4] = {{0, 1, 2, 3}, {4, 4, 1, 0}, {1, 3, 4, 2}};
    static int32_t want[1 << 17];
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        for (size_t length = 0; length <= 4; length++) {
            ksk_error err = {0};
            const size_t n = expected(lists, sentences[i], length, want);
            assert_true(ksk_shortlist_select(s, sentences[i], length, selection, &err));
            assert_int_equal(selection->count, n);
            assert_memory_equal(selection->ids, want, n * sizeof *want);
        }
}

/* A vocabulary that just needs two bytes an id, one that needs four, and one of few words. */
static void test_selects(void **state)
{
    static const int sizes[] = {130, 65536, 65537, 70000};
    ksk_selection selection = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const ksk_shortlist_lists lists = lists_for(sizes[i]);
        ksk_error err = {0};
        ksk_shortlist *s = ksk_shortlist_new(&lists, &err);
        assert_non_null(s);
        assert_int_equal(ksk_shortlist_size(s), 32 + 4 * 6 + 13 * (sizes[i] > 65536 ? 4 : 2));
        check_selection(s, &lists, &selection);
        ksk_shortlist_free(s);
    }
    ksk_selection_clear(&selection);
}

static void test_include(void **state)
{
    const ksk_shortlist_lists lists = lists_for(130);
    ksk_shortlist *s = ksk_shortlist_new(&lists, NULL);
    ksk_selection selection = {0};
    assert_true(ksk_shortlist_select(s, (const int32_t[]){2}, 1, &selection, NULL));
    const int32_t before[] = {2, 64, 128, 129};
    assert_int_equal(selection.count, 4);
    assert_memory_equal(selection.ids, before, sizeof before);
    assert_false(ksk_selection_has(&selection, 63));
    static const int32_t added[] = {63, 0, 129, 63};
    for (size_t i = 0; i < 4; i++) {
        ksk_selection_include(&selection, added[i]);
        assert_true(ksk_selection_has(&selection, added[i]));
    }
    const int32_t after[] = {0, 2, 63, 64, 128, 129};
    assert_int_equal(selection.count, 6);
    assert_memory_equal(selection.ids, after, sizeof after);
    ksk_selection_clear(&selection);
    ksk_shortlist_free(s);
}

static void test_no_allocation(void **state)
{
    const ksk_shortlist_lists lists = lists_for(130);
    ksk_shortlist *s = ksk_shortlist_new(&lists, NULL);
    ksk_selection selection = {0};
    assert_true(ksk_shortlist_select(s, (const int32_t[]){2}, 1, &selection, NULL));
    fault_state counter = {0};
    ksk_allocator_set(&(ksk_allocator){fault_allocate, fault_release, &counter});
    for (int32_t i = 0; i < sources; i++)
        assert_true(ksk_shortlist_select(s, &i, 1, &selection, NULL));
    ksk_allocator_set(NULL);
    assert_int_equal(counter.calls, 0);
    ksk_selection_clear(&selection);
    ksk_shortlist_free(s);
}

static void test_foreign_id(void **state)
{
    const ksk_shortlist_lists lists = lists_for(130);
    ksk_shortlist *s = ksk_shortlist_new(&lists, NULL);
    ksk_selection selection = {0};
    static const int32_t wrong[] = {-1, sources, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        ksk_error err = {0};
        assert_false(ksk_shortlist_select(s, (const int32_t[]){0, wrong[i]}, 2, &selection, &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    }
    ksk_selection_clear(&selection);
    ksk_shortlist_free(s);
}

/* Lists that break each rule. */
static void test_refuses_lists(void **state)
{
    static const int32_t descending[] = {64, 2, 128}, twice[] = {2, 2, 128},
                         beyond[] = {2, 64, 130}, negative[] = {-1, 2, 64};
    static const uint32_t falling[] = {0, 3, 2, 4, 8, 10}, late[] = {1, 3, 3, 4, 8, 10};
    const ksk_shortlist_lists good = lists_for(130);
    ksk_shortlist_lists bad[] = {good, good, good, good, good, good, good, good};
    bad[0].always = descending;
    bad[1].always = twice;
    bad[2].always = beyond;
    bad[3].always = negative;
    bad[4].offsets = falling;
    bad[5].offsets = late;
    bad[6].scope.target_size = 129; /* 129 is a candidate */
    bad[7].scope.source_size = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ksk_error err = {0};
        assert_null(ksk_shortlist_new(&bad[i], &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
        assert_true(err.message[0]);
    }
}

/* --- files --- */

static char path[] = "/tmp/kaskad-shortlist-XXXXXX";

static int make_path(void **state)
{
    const int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int remove_path(void **state)
{
    return unlink(path);
}

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static size_t save(const ksk_shortlist_lists *lists, char *bytes, size_t room)
{
    ksk_shortlist *s = ksk_shortlist_new(lists, NULL);
    assert_true(ksk_shortlist_save(s, path, NULL));
    assert_int_equal(read_file(bytes, room), ksk_shortlist_size(s));
    const size_t size = ksk_shortlist_size(s);
    ksk_shortlist_free(s);
    return size;
}

static void test_file(void **state)
{
    static const int sizes[] = {130, 66000};
    char bytes[200];
    ksk_selection selection = {0};
    for (size_t i = 0; i < 2; i++) {
        const ksk_shortlist_lists lists = lists_for(sizes[i]);
        ksk_error err = {0};
        save(&lists, bytes, sizeof bytes);
        ksk_shortlist *s = ksk_shortlist_load(path, &lists.scope, &err);
        assert_non_null(s);
        check_selection(s, &lists, &selection);
        ksk_shortlist_free(s);
    }
    ksk_selection_clear(&selection);
}

/* Files written before stay readable: the format does not change under its version. */
static void test_format(void **state)
{
    static const char *const names[] = {"narrow.bin", "wide.bin"};
    static const int sizes[] = {130, 66000};
    char bytes[200], golden[200], name[200];
    for (size_t i = 0; i < 2; i++) {
        const ksk_shortlist_lists lists = lists_for(sizes[i]);
        const size_t size = save(&lists, bytes, sizeof bytes);
        snprintf(name, sizeof name, "%s/tests/fuzz/corpus/shortlist/%s", KSK_SOURCE, names[i]);
        FILE *file = fopen(name, "rb");
        assert_non_null(file);
        assert_int_equal(fread(golden, 1, sizeof golden, file), size);
        fclose(file);
        assert_memory_equal(bytes, golden, size);
    }
}

static void refused(const ksk_shortlist_scope *scope, ksk_status status, const char *part)
{
    ksk_error err = {0};
    assert_null(ksk_shortlist_load(path, scope, &err));
    assert_int_equal(err.status, status);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, part));
}

static void test_other_model(void **state)
{
    const ksk_shortlist_lists lists = lists_for(130);
    char bytes[200];
    save(&lists, bytes, sizeof bytes);
    ksk_shortlist_scope scope = lists.scope;
    scope.source_size++;
    refused(&scope, KSK_BAD_FORMAT, "vocabularies of 5 and 130 tokens, this one has 6 and 130");
    scope = lists.scope;
    scope.target_size--;
    refused(&scope, KSK_BAD_FORMAT, "this one has 5 and 129");
    scope = lists.scope;
    scope.tokenizer ^= 1;
    refused(&scope, KSK_BAD_FORMAT, "another tokenizer");
    bytes[8] = 2;
    write_file(bytes, 32);
    refused(&lists.scope, KSK_UNSUPPORTED, "version 2");
    ksk_error err = {0};
    assert_null(ksk_shortlist_load("/nowhere/shortlist.bin", &lists.scope, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
}

/* A damaged file is refused, or is another file of the same rules: then it must be safe to use. */
static void test_damage(void **state)
{
    static const int sizes[] = {130, 66000};
    char good[200], bad[201];
    ksk_selection selection = {0};
    for (size_t t = 0; t < 2; t++) {
        const ksk_shortlist_lists lists = lists_for(sizes[t]);
        const size_t size = save(&lists, good, sizeof good);
        memcpy(bad, good, size);
        bad[size] = 0;
        write_file(bad, size + 1);
        refused(&lists.scope, KSK_BAD_FORMAT, "not as long as it says");
        for (size_t cut = 0; cut < size; cut++) {
            write_file(good, cut);
            refused(&lists.scope, KSK_BAD_FORMAT, "");
        }
        for (size_t at = 0; at < size; at++)
            for (int bit = 0; bit < 8; bit++) {
                memcpy(bad, good, size);
                bad[at] ^= (char)(1 << bit);
                write_file(bad, size);
                ksk_error err = {0};
                ksk_shortlist *s = ksk_shortlist_load(path, &lists.scope, &err);
                assert_true(s ? at >= 32 : err.message[0]);
                for (int32_t i = 0; s && i < sources; i++)
                    assert_true(ksk_shortlist_select(s, &i, 1, &selection, NULL) &&
                                selection.ids[selection.count - 1] < sizes[t]);
                ksk_shortlist_free(s);
            }
    }
    ksk_selection_clear(&selection);
}

static bool work(void *context, ksk_error *err)
{
    const ksk_shortlist_lists lists = lists_for(130);
    ksk_selection selection = {0};
    ksk_shortlist *s = ksk_shortlist_new(&lists, err);
    bool ok = s && ksk_shortlist_save(s, path, err);
    ksk_shortlist_free(s);
    s = ok ? ksk_shortlist_load(path, &lists.scope, err) : NULL;
    ok = s && ksk_shortlist_select(s, (const int32_t[]){3, 0}, 2, &selection, err);
    ksk_selection_clear(&selection);
    ksk_shortlist_free(s);
    return ok;
}

static void test_memory(void **state)
{
    assert_true(fault_sweep(work, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selects),       cmocka_unit_test(test_include),
        cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_foreign_id),
        cmocka_unit_test(test_refuses_lists), cmocka_unit_test(test_file),
        cmocka_unit_test(test_other_model),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_format),        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
