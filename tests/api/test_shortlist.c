/* Translating with a shortlist: one of the whole vocabulary changes nothing, whatever the decoder
 * and its constraints; one of few tokens lets only those out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/lines.h"
#include "api/model.h"
#include "text/shortlist.h"

enum { line_count = 12, stride = 3 };

static ksk_model *model;
static const char *const *lines;
static char whole[] = "/tmp/kaskad-shortlist-XXXXXX", few[] = "/tmp/kaskad-shortlist-XXXXXX";

/* Every `step`-th token, for all sources. */
static void save_shortlist(char *path, int step)
{
    const int size = model->rules.vocabulary;
    int32_t *always = calloc((size_t)size, sizeof *always);
    uint32_t *offsets = calloc((size_t)model->rules.source_vocabulary + 1, sizeof *offsets);
    ksk_shortlist_lists lists = {.scope = {model->rules.source_vocabulary, size,
                                           ksk_tokenizer_fingerprint(model->tokenizer)},
                                 .always = always,
                                 .offsets = offsets,
                                 .candidates = always};
    for (int i = 0; i < size; i += step)
        always[lists.always_count++] = i;
    close(mkstemp(path));
    ksk_shortlist *shortlist = ksk_shortlist_new(&lists, NULL);
    assert_non_null(shortlist);
    assert_true(ksk_shortlist_save(shortlist, path, NULL));
    ksk_shortlist_free(shortlist);
    free(always);
    free(offsets);
}

static int load(void **state)
{
    model = load_model(SHIPPED_MODEL, KSK_PRECISION_F32);
    lines = lines_load();
    save_shortlist(whole, 1);
    save_shortlist(few, stride);
    return 0;
}

static int unload(void **state)
{
    unlink(whole);
    unlink(few);
    ksk_model_free(model);
    return 0;
}

static void compare(ksk_translate_options options)
{
    options.batch_size = 5;
    options.threads = 2;
    ksk_translation *all = translate_lines(model, &options, line_count, lines);
    options.shortlist = whole;
    ksk_translation *selected = translate_lines(model, &options, line_count, lines);
    assert_same_translations(selected, all, line_count);
    clear_translations(all, line_count);
    clear_translations(selected, line_count);
}

static void test_whole_vocabulary(void **state)
{
    const int32_t prefix[] = {57, 113}, banned[] = {3, 40, 41, 42};
    ksk_translate_options options = ksk_translate_defaults(model);
    compare(options);
    options.decode.prefix = prefix;
    options.decode.prefix_length = 2;
    options.decode.banned = banned;
    options.decode.banned_count = 4;
    options.decode.repetition_penalty = 1.2F;
    options.decode.no_repeat_ngram = 2;
    compare(options);
    options = ksk_translate_defaults(model);
    options.decoder = "sample";
    options.decode.seed = 5;
    options.decode.forced_first = 77;
    compare(options);
    options.decoder = "greedy";
    options.decode.min_length = 6;
    compare(options);
}

static void test_few_tokens(void **state)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.shortlist = few;
    ksk_translation *translations = translate_lines(model, &options, line_count, lines);
    for (int i = 0; i < line_count; i++)
        for (int j = 0; j < translations[i].alternatives[0].id_count; j++) {
            const int32_t id = translations[i].alternatives[0].ids[j];
            assert_true(id % stride == 0 || id == model->rules.end_id);
        }
    clear_translations(translations, line_count);
}

typedef struct collected {
    int count;
    int32_t ids[200];
} collected;

static bool collect(void *context, const ksk_token *token)
{
    collected *const of = (collected *)context + token->line;
    of->ids[of->count++] = token->id;
    return of->count < 200;
}

/* Whoever watches is told the model's ids, not places in the list. */
static void test_tokens_as_they_come(void **state)
{
    static collected seen[line_count];
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = "greedy";
    options.shortlist = few;
    options.threads = 1;
    options.decode.max_length =
        100; /* with a third of its tokens the model may repeat one for ever */
    options.on_token = collect;
    options.context = seen;
    ksk_translation *translations = translate_lines(model, &options, line_count, lines);
    for (int i = 0; i < line_count; i++) {
        const ksk_alternative *const found = &translations[i].alternatives[0];
        assert_int_equal(seen[i].count, found->id_count);
        assert_memory_equal(seen[i].ids, found->ids, (size_t)found->id_count * sizeof *found->ids);
    }
    clear_translations(translations, line_count);
}

static void leave_alone(const void *settings, ksk_scores *scores)
{
    (void)settings, (void)scores;
}

static void refuse(const ksk_translate_options *options, const char *part)
{
    ksk_error err = {0};
    assert_null(ksk_translator_new(model, options, &err));
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_refused(void **state)
{
    const ksk_processor processor = {"nothing", leave_alone, NULL};
    ksk_translate_options options = ksk_translate_defaults(model);
    options.shortlist = "/nowhere/shortlist.bin";
    refuse(&options, "/nowhere/shortlist.bin");
    options.shortlist = whole;
    options.decode.processors = &processor;
    options.decode.processor_count = 1;
    refuse(&options, "processors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_vocabulary),
        cmocka_unit_test(test_few_tokens),
        cmocka_unit_test(test_tokens_as_they_come),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
