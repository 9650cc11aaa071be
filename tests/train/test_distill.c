/* Files that grow in chunks; distilling when memory runs out. That it can be killed is tested by
 * the script of the command. */
#include <math.h>
#include <string.h>

#include "io/directory.h"
#include "io/json.h"
#include "kaskad/distill.h"
#include "train/partial.h"

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

static void assert_content(const char *name, const char *text)
{
    size_t size;
    char *path = ksk_path(directory, name), *content = ksk_file_read(path, 1 << 20, &size, NULL);
    if (text)
        assert_string_equal(content, text);
    else
        assert_null(content);
    ksk_free(content);
    ksk_free(path);
}

/* --- files that grow ----------------------------------------------------------------------------
 */

static bool is_whole(const char *path)
{
    bool whole;
    assert_true(ksk_partial_whole(path, &whole, NULL));
    return whole;
}

static ksk_partial *open_partial(int beam, bool resume, ksk_error *err)
{
    char *path = ksk_path(directory, "out");
    json_t *settings = json_pack("{s:i}", "beam", beam);
    ksk_partial *partial = ksk_partial_open(path, settings, resume, err);
    json_decref(settings);
    ksk_free(path);
    return partial;
}

static bool add(ksk_partial *partial, const char *text, int lines)
{
    return ksk_partial_add(partial, text, strlen(text), json_pack("{s:i}", "lines", lines), NULL);
}

static void refuse_partial(int beam, bool resume, ksk_status status, const char *message)
{
    ksk_error err = {0};
    assert_null(open_partial(beam, resume, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void test_grows(void **state)
{
    char *path = ksk_path(directory, "out");
    ksk_partial *partial = open_partial(5, false, NULL);
    assert_null(ksk_partial_position(partial));
    assert_false(is_whole(path));
    refuse_partial(5, false, KSK_BAD_FILE, "another process");
    assert_true(add(partial, "one\n", 1) && add(partial, "two\n", 2));
    ksk_partial_close(partial);
    assert_content("out.part", "one\ntwo\n");

    /* What came behind the last chunk is cut off. */
    put_text("out.part", "one\ntwo\nthr");
    refuse_partial(5, false, KSK_BAD_ARGUMENT, "is unfinished");
    refuse_partial(4, true, KSK_BAD_ARGUMENT, "another \"beam\"");
    partial = open_partial(5, true, NULL);
    assert_int_equal(json_integer_value(json_object_get(ksk_partial_position(partial), "lines")),
                     2);
    assert_true(add(partial, "", 3) && add(partial, "three\n", 4));
    assert_true(ksk_partial_finish(partial, NULL));
    ksk_partial_close(partial);
    assert_content("out", "one\ntwo\nthree\n");
    assert_content("out.part", NULL);
    assert_content("out.part.json", NULL);
    assert_true(is_whole(path));
    ksk_free(path);
}

static void test_damaged(void **state)
{
    remove_file("out");
    ksk_partial_close(open_partial(5, true, NULL)); /* nothing came of it */
    assert_content("out.part", NULL);
    ksk_partial *partial = open_partial(5, false, NULL);
    assert_true(add(partial, "one\n", 1));
    ksk_partial_close(partial);
    put_text("out.part", "one");
    refuse_partial(5, true, KSK_BAD_FORMAT, "has 3 bytes, fewer than the 4");
    put_text("out.part.json", "{\"settings\": {\"beam\": 5}, \"bytes\": -1}");
    refuse_partial(5, true, KSK_BAD_FORMAT, "does not say where");
    put_text("out.part.json", "{");
    refuse_partial(5, true, KSK_BAD_FORMAT, "out.part.json: line 1");
    remove_file("out.part.json");
    partial = open_partial(5, false, NULL); /* without its position it begins again */
    assert_true(add(partial, "two\n", 1));
    ksk_partial_close(partial);
    assert_content("out.part", "two\n");
    remove_file("out.part");
    partial = open_partial(5, false, NULL); /* and so it does when only that is there */
    assert_null(ksk_partial_position(partial));
    ksk_partial_close(partial);
    remove_file("out.part.json");
}

/* --- distilling ---------------------------------------------------------------------------------
 */

typedef struct distilling {
    const ksk_model *teacher;
    char *data, *out;
    int chunks; /* asked to stop after so many; 0: never */
} distilling;

static bool watch(void *context, const ksk_distill_progress *progress)
{
    distilling *const d = context;
    assert_int_equal(progress->lines, 4);
    return d->chunks == 0 || --d->chunks > 0;
}

static bool distill(void *context, ksk_error *err)
{
    distilling *const d = context;
    ksk_translate_options translate = ksk_translate_defaults(d->teacher);
    ksk_distill_options options = ksk_distill_defaults();
    ksk_distill_result result;
    translate.threads = 1;
    translate.decode.max_length = 30;
    options.data = d->data;
    options.chunk = 2;
    options.resume = true;
    options.watch = watch;
    options.context = d;
    const bool ok = ksk_distill(d->teacher, &translate, &options, d->out, &result, err);
    if (ok) {
        assert_int_equal(result.lines, 4);
        assert_true(result.translated == 3 || result.whole);
    }
    return ok;
}

static ksk_model *begin(distilling *d)
{
    ksk_model *teacher = ksk_model_load(KSK_FIXTURES "/marian/tiny", NULL, NULL);
    put_text("data.tsv", "Ja.\tYes.\nTom ist da.\tTom is there.\nJa.\tYep.\nNein.\tNo.\n");
    *d = (distilling){.teacher = teacher,
                      .data = ksk_path(directory, "data.tsv"),
                      .out = ksk_path(directory, "distilled.tsv")};
    return teacher;
}

static void end(distilling *d, ksk_model *teacher)
{
    ksk_free(d->data);
    ksk_free(d->out);
    ksk_model_free(teacher);
    for (int i = 0; i < 4; i++)
        remove_file((const char *[]){"data.tsv", "distilled.tsv", "distilled.tsv.json",
                                     "distilled.tsv.part"}[i]);
    remove_file("distilled.tsv.part.json");
}

static void test_stopped(void **state)
{
    distilling d;
    ksk_error err = {0};
    ksk_model *teacher = begin(&d);
    d.chunks = 2; /* the first call is before the first chunk */
    assert_false(distill(&d, &err));
    assert_int_equal(err.status, KSK_INTERRUPTED);
    assert_non_null(strstr(err.message, "after 2 of 4 lines"));
    assert_false(is_whole(d.out));
    d.chunks = 0;
    assert_true(distill(&d, &err));
    assert_true(is_whole(d.out));
    assert_true(distill(&d, &err)); /* whole already */
    end(&d, teacher);
}

/* Each failure leaves something that the next run goes on with. */
static void test_memory(void **state)
{
    distilling d;
    ksk_model *teacher = begin(&d);
    assert_true(distill(&d, NULL)); /* compiles the teacher's plans, which stay */
    remove_file("distilled.tsv");
    assert_true(fault_sweep(distill, &d) > 40);
    end(&d, teacher);
}

static void test_length_line(void **state)
{
    ksk_error err = {0};
    put_text("config.json", "{\"model_type\": \"kaskad-markov\", \"markov_order\": 2}");
    assert_true(ksk_length_line_write(directory, (ksk_length_line){0.75, -1.5}, &err));
    char *file;
    json_t *config = ksk_json_read(directory, "config.json", &file, &err);
    assert_true(json_number_value(json_object_get(config, "length_a")) == 0.75);
    assert_true(json_number_value(json_object_get(config, "length_b")) == -1.5);
    json_decref(config);
    ksk_free(file);
    assert_false(ksk_length_line_write(directory, (ksk_length_line){NAN, 0}, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    put_text("config.json", "{\"model_type\": \"marian\"}");
    assert_false(ksk_length_line_write(directory, (ksk_length_line){1, 0}, &err));
    assert_non_null(strstr(err.message, "is no Markov Transformer"));
    remove_file("config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),       cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_stopped),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_length_line),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
