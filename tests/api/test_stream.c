/* Tokens as they are chosen: every token of every line, piece and sample, in order and once,
 * whatever decodes beside it; a watcher that stops; decoders that cannot be watched. What the
 * library says of lines that it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "api/lines.h"

enum { line_count = 7, most_pieces = 3, most_samples = 3, most_tokens = 64 };

static const char *const lines[line_count] = {"Der Tag war lang.",
                                              "Wir sind da. Wo bist du? Tom ist hier.",
                                              "",
                                              "Tom ist hier",
                                              "Wo warst du in der Nacht?",
                                              "a",
                                              "Ja. Nein."};

/* What was seen of one hypothesis. */
typedef struct seen {
    int count;
    int32_t ids[most_tokens];
    bool ended;
} seen;

typedef struct watch {
    pthread_mutex_t mutex;
    seen of[line_count][most_pieces][most_samples];
    int calls;
    int stop_at; /* 0: never */
    pthread_t caller;
    bool others; /* another thread than the caller's called */
    bool wrong;  /* a token behind the last */
} watch;

static bool see(void *context, const ksk_token *token)
{
    watch *w = context;
    pthread_mutex_lock(&w->mutex);
    seen *s = &w->of[token->line][token->piece][token->sample];
    w->wrong |= s->ended || s->count == most_tokens;
    if (!w->wrong)
        s->ids[s->count++] = token->id;
    s->ended = token->last;
    w->others |= !pthread_equal(pthread_self(), w->caller);
    const bool go_on = ++w->calls != w->stop_at;
    pthread_mutex_unlock(&w->mutex);
    return go_on;
}

static void watch_begin(watch *w)
{
    *w = (watch){.caller = pthread_self()};
    pthread_mutex_init(&w->mutex, NULL);
}

/* All that was seen of a line's sample, its pieces one behind the other, is what it became. */
static void assert_seen(const watch *w, const ksk_translation *translations)
{
    assert_false(w->wrong);
    for (int line = 0; line < line_count; line++)
        for (int k = 0; k < translations[line].count; k++) {
            const ksk_alternative *const found = &translations[line].alternatives[k];
            int at = 0;
            for (int piece = 0; piece < most_pieces; piece++) {
                const seen *const s = &w->of[line][piece][k];
                assert_true(s->ended || s->count == 0);
                assert_true(at + s->count <= found->id_count);
                if (s->count)
                    assert_memory_equal(s->ids, found->ids + at, (size_t)s->count * sizeof *s->ids);
                at += s->count;
            }
            assert_int_equal(at, found->id_count);
        }
}

static void assert_watched(const ksk_model *model, ksk_translate_options options)
{
    static watch w;
    ksk_translation *plain = translate_lines(model, &options, line_count, lines);
    watch_begin(&w);
    options.on_token = see;
    options.context = &w;
    ksk_translation *watched = translate_lines(model, &options, line_count, lines);
    assert_same_translations(watched, plain, line_count);
    assert_seen(&w, watched);
    assert_true(w.calls > 2 * line_count);
    if (options.threads == 1)
        assert_false(w.others);
    clear_translations(plain, line_count);
    clear_translations(watched, line_count);
}

static ksk_translate_options briefly(const ksk_model *model, const char *decoder)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = decoder;
    options.decode.max_length = 20; /* this model was never trained to end */
    options.batch_size = 3;
    options.threads = 1;
    return options;
}

static void test_every_token_is_seen(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translate_options options = briefly(model, "greedy");
    assert_watched(model, options);
    options.split_sentences = true;
    assert_watched(model, options);
    options.threads = 2;
    options.batch_size = 1;
    assert_watched(model, options);
    options.decoder = "sample";
    options.decode.seed = 11;
    options.decode.n_best = 3;
    assert_watched(model, options);
    ksk_model_free(model);
}

/* Lines are numbered within a call. */
static void test_later_calls(void **state)
{
    static watch w;
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translate_options options = briefly(model, "greedy");
    options.on_token = see;
    options.context = &w;
    ksk_translator *translator = ksk_translator_new(model, &options, NULL);
    assert_non_null(translator);
    for (int i = 0; i < 3; i++) {
        ksk_translation out[line_count] = {{0}};
        watch_begin(&w);
        assert_true(ksk_translate(translator, line_count, lines, out, NULL));
        assert_seen(&w, out);
        for (int j = 0; j < line_count; j++)
            ksk_translation_clear(&out[j]);
    }
    ksk_translator_free(translator);
    ksk_model_free(model);
}

static void test_stopping(void **state)
{
    static watch w;
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translate_options options = briefly(model, "greedy");
    options.on_token = see;
    options.context = &w;
    ksk_translator *translator = ksk_translator_new(model, &options, NULL);
    assert_non_null(translator);
    ksk_translation out[line_count] = {{0}};
    ksk_error err = {0};
    watch_begin(&w);
    w.stop_at = 4;
    assert_false(ksk_translate(translator, line_count, lines, out, &err));
    assert_int_equal(err.status, KSK_INTERRUPTED);
    assert_int_equal(w.calls, 4);
    for (int i = 0; i < line_count; i++)
        assert_null(out[i].alternatives);
    watch_begin(&w); /* and it can be used again */
    assert_true(ksk_translate(translator, line_count, lines, out, &err));
    assert_seen(&w, out);
    for (int i = 0; i < line_count; i++)
        ksk_translation_clear(&out[i]);
    ksk_translator_free(translator);
    ksk_model_free(model);
}

static void test_decoders_that_do_not_stream(void **state)
{
    static watch w;
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translate_options options = briefly(model, "beam");
    options.decode.beams = 2;
    options.on_token = see;
    options.context = &w;
    ksk_error err = {0};
    assert_null(ksk_translator_new(model, &options, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "on_token: the decoder 'beam'"));
    ksk_model_free(model);
}

/* --- the sink ----------------------------------------------------------------------------------
 */

typedef struct heard {
    int notes, warnings;
    char last[500];
} heard;

static void hear(void *context, ksk_level level, const char *message)
{
    heard *h = context;
    h->notes += level == KSK_INFO;
    h->warnings += level == KSK_WARNING;
    strcpy(h->last, message);
}

static void test_what_is_said(void **state)
{
    heard h = {0};
    ksk_sink_set(&(ksk_sink){hear, &h});
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    assert_int_equal(h.notes, 1);
    assert_non_null(strstr(h.last, "/marian/tiny: marian, "));
    ksk_translate_options options = briefly(model, "greedy");
    const char *const bad = "Tom\xff ist\xfe hier";
    ksk_translation *out = translate_lines(model, &options, 1, &bad);
    assert_int_equal(out->replaced_bytes, 2);
    assert_string_equal(h.last, "line 1 has 2 bytes that are not UTF-8; each is read as U+FFFD");
    clear_translations(out, 1);
    char text[6000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 4 == 3 ? ' ' : "abc"[i % 4];
    text[sizeof text - 1] = '\0';
    const char *const both[] = {"Tom", text};
    out = translate_lines(model, &options, 2, both);
    assert_non_null(strstr(h.last, "line 2 has "));
    assert_non_null(strstr(h.last, "it is cut into "));
    assert_int_equal(h.warnings, 2);
    clear_translations(out, 2);
    ksk_model_free(model);
    ksk_sink_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_token_is_seen),
        cmocka_unit_test(test_later_calls),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_decoders_that_do_not_stream),
        cmocka_unit_test(test_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
