/* The memory that translating is said to need is the memory that it takes: never more than is said,
 * and at least half as much when batches are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/lines.h"

/* One way to translate. */
typedef struct way {
    ksk_precision precision;
    const char *decoder;
    int batch, copies, length, threads;
    bool full; /* such lines fill all that was reckoned with */
} way;

typedef struct outcome {
    ksk_memory_need need;
    int64_t peak;
    bool ok;
} outcome;

enum { most_lines = 64, line_room = 6000 };

static int64_t peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

/* Lines of more tokens than the model takes, so that full pieces are cut from each. */
static void make_line(char *line)
{
    static const char words[] = "Das ist ein Haus und ";
    line[0] = '\0';
    for (size_t at = 0; at + sizeof words < line_room / 2; at += sizeof words - 1)
        strcpy(line + at, words);
}

static bool translate(const way *w, outcome *found)
{
    static char line[line_room];
    const char *lines[most_lines];
    ksk_translation translations[most_lines] = {{0}};
    const ksk_load_options load = {.precision = w->precision};
    ksk_model *model = ksk_model_load(KSK_SOURCE "/models/tatoeba-deu-eng", &load, NULL);
    if (!model)
        return false;
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = w->decoder;
    options.batch_size = w->batch;
    options.threads = w->threads;
    options.line_limit = line_room;
    options.decode.beams = options.decode.n_best = w->copies;
    options.decode.max_length = options.decode.min_length = w->length;
    ksk_translator *translator = ksk_translator_new(model, &options, NULL);
    bool ok = translator;
    make_line(line);
    const int count = w->batch * w->threads;
    for (int i = 0; i < count; i++)
        lines[i] = line;
    if (ok) {
        ksk_translator_need(translator, &found->need);
        ok = ksk_translate(translator, count, lines, translations, NULL);
    }
    for (int i = 0; i < count; i++)
        ksk_translation_clear(&translations[i]);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return ok;
}

/* In a process of its own, whose peak is its own. */
static outcome measure(const way *w)
{
    outcome found = {.ok = false};
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        found.ok = translate(w, &found);
        found.peak = peak_bytes();
        _exit(write(ends[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &found, sizeof found), sizeof found);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(found.ok);
    return found;
}

static void compare(const way *w)
{
    const outcome o = measure(w);
    const ksk_memory_need *n = &o.need;
    const long long mega = 1 << 20;
    char text[300];
    snprintf(text, sizeof text,
             "%s, %s, %d lines, %d copies, %d tokens, %d threads: peak %lld MiB, need %lld = %lld "
             "program, %lld weights, %lld caches, %lld layers, %lld search",
             ksk_precision_name(w->precision), w->decoder, w->batch, w->copies, w->length,
             w->threads, o.peak / mega, n->total / mega, n->program / mega, n->weights / mega,
             n->caches / mega, n->layers / mega, n->search / mega);
    print_message("%s\n", text);
    assert_int_equal(n->total, n->program + n->weights + n->caches + n->layers + n->search);
    if (o.peak > n->total || (w->full && o.peak * 2 < n->total))
        fail_msg("%s", text);
}

/* A sanitizer's memory is not reckoned with. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool can_measure = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
static const bool can_measure = false;
#else
static const bool can_measure = true;
#endif
#else
static const bool can_measure = true;
#endif

static void test_estimates(void **state)
{
    static const way ways[] = {
        {KSK_PRECISION_F32, "greedy", 1, 1, 24, 1, true},
        {KSK_PRECISION_BF16, "greedy", 1, 1, 24, 1, true},
        {KSK_PRECISION_INT8, "greedy", 1, 1, 24, 1, true},
        {KSK_PRECISION_F32, "sample", 6, 3, 30, 1, true},
        {KSK_PRECISION_BF16, "sample", 6, 3, 30, 1, true},
        {KSK_PRECISION_INT8, "sample", 6, 3, 30, 1, true},
        {KSK_PRECISION_INT8, "greedy", 5, 1, 20, 2, true},
        {KSK_PRECISION_INT8, "beam", 7, 4, 25, 1, false},
        {KSK_PRECISION_F32, "greedy", 24, 1, 90, 1, true},
        {KSK_PRECISION_BF16, "greedy", 24, 1, 90, 1, true},
        {KSK_PRECISION_INT8, "greedy", 24, 1, 90, 1, true},
    };
    const int count = sizeof ways / sizeof *ways, quick = 8;
    if (!can_measure)
        skip();
    for (int i = 0; i < (lines_quick() ? quick : count); i++)
        compare(&ways[i]);
}

/* --- limits -------------------------------------------------------------------------------------
 */

static void test_model_over_the_limit(void **state)
{
    ksk_error err = {0};
    const ksk_load_options load = {.precision = KSK_PRECISION_F32, .memory_limit = 20 << 20};
    assert_null(ksk_model_load(KSK_SOURCE "/models/tatoeba-deu-eng", &load, &err));
    assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "the memory limit is 20 MiB"));
    assert_non_null(strstr(err.message, "int8"));
}

static ksk_translator *try_limit(const ksk_model *model, int64_t limit, int batch, ksk_error *err)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.memory_limit = limit;
    options.batch_size = batch;
    options.line_limit = 1000;
    options.threads = 1;
    return ksk_translator_new(model, &options, err);
}

static void test_translator_over_the_limit(void **state)
{
    ksk_model *model = load_model(KSK_SOURCE "/models/tatoeba-deu-eng", KSK_PRECISION_INT8);
    ksk_error err = {0};
    ksk_memory_need one, many;
    ksk_translator *translator = try_limit(model, 0, 1, &err);
    assert_non_null(translator);
    ksk_translator_need(translator, &one);
    ksk_translator_free(translator);
    translator = try_limit(model, one.total, 1, &err);
    assert_non_null(translator);
    ksk_translator_free(translator);
    assert_null(try_limit(model, one.total - 1, 1, &err));
    assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
    assert_null(try_limit(model, one.total, 19, &err));
    assert_non_null(strstr(err.message, "the batch size (19)"));
    translator = try_limit(model, 0, 19, &err);
    ksk_translator_need(translator, &many);
    assert_true(many.total > one.total && many.weights == one.weights);
    ksk_translator_free(translator);
    assert_null(try_limit(model, -1, 1, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_model_free(model);
}

static void test_long_line(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translate_options options = ksk_translate_defaults(model);
    ksk_translation translations[2] = {{0}};
    ksk_error err = {0};
    const char *const lines[] = {"Der Tag war lang.", "Der Tag war lang.."};
    options.line_limit = 17;
    ksk_translator *translator = ksk_translator_new(model, &options, &err);
    assert_true(ksk_translate(translator, 1, lines, translations, &err));
    assert_false(ksk_translate(translator, 2, lines, translations, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_string_equal(err.message,
                        "line 2 has 18 bytes, the line limit is 17; raise it, or cut the line");
    ksk_translator_free(translator);
    ksk_model_free(model);
}

/* No time at all is over before the first step, and much is not. */
static void test_time(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    static const char *const decoders[] = {"greedy", "beam", "sample"};
    for (int i = 0; i < 3; i++) {
        ksk_translate_options options = ksk_translate_defaults(model);
        ksk_translation translation = {0};
        ksk_error err = {0};
        const char *const line = "Der Tag war lang.";
        options.decoder = decoders[i];
        options.time_limit = 1e-9;
        ksk_translator *translator = ksk_translator_new(model, &options, &err);
        assert_false(ksk_translate(translator, 1, &line, &translation, &err));
        assert_int_equal(err.status, KSK_INTERRUPTED);
        assert_non_null(strstr(err.message, "time limit"));
        ksk_translator_free(translator);
        options.time_limit = 1000;
        translator = ksk_translator_new(model, &options, &err);
        assert_true(ksk_translate(translator, 1, &line, &translation, &err));
        ksk_translation_clear(&translation);
        ksk_translator_free(translator);
    }
    ksk_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimates),
        cmocka_unit_test(test_model_over_the_limit),
        cmocka_unit_test(test_translator_over_the_limit),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
