/* Translating with the shipped model: the same bits in any company, and what becomes of lines that
 * are empty, long, cut into sentences or no text. KASKAD_QUICK=1 shortens it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/lines.h"

static ksk_model *model;
static const char *const *lines;

static int load(void **state)
{
    model = load_model(SHIPPED_MODEL, KSK_PRECISION_F32);
    lines = lines_load();
    return 0;
}

static int unload(void **state)
{
    ksk_model_free(model);
    return 0;
}

static ksk_translate_options greedily(void)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decode.beams = 1;
    return options;
}

/* --- company -----------------------------------------------------------------------------------
 */

/* Every line alone on one thread, then in batches and on two threads. */
static void compare_batches(const ksk_model *of, const ksk_translate_options *asked, int count)
{
    static const int sizes[] = {1, 2, 17, 32};
    ksk_translate_options options = *asked;
    options.batch_size = options.threads = 1;
    ksk_translation *alone = translate_lines(of, &options, count, lines);
    for (options.threads = 1; options.threads <= 2; options.threads++)
        for (int i = options.threads == 1 ? 1 : 0; i < 4; i++) {
            if (lines_quick() && options.threads != 1 + i % 2)
                continue;
            options.batch_size = sizes[i];
            ksk_translation *together = translate_lines(of, &options, count, lines);
            assert_same_translations(together, alone, count);
            clear_translations(together, count);
        }
    clear_translations(alone, count);
}

static void test_batches(void **state)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    const int count = lines_quick() ? 18 : 34;
    options.decode.beams = options.decode.n_best = 3;
    compare_batches(model, &options, count);
    options = greedily();
    options.batch_tokens = 50;
    compare_batches(model, &options, count);
}

static void test_narrow_batches(void **state)
{
    static const ksk_precision precisions[] = {KSK_PRECISION_BF16, KSK_PRECISION_INT8};
    for (int i = 0; i < 2; i++) {
        ksk_model *narrow = load_model(SHIPPED_MODEL, precisions[i]);
        ksk_translate_options options = ksk_translate_defaults(narrow);
        options.decode.beams = 2;
        compare_batches(narrow, &options, lines_quick() ? 18 : 34);
        ksk_model_free(narrow);
    }
}

static void test_samples(void **state)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = "sample";
    options.decode.beams = 1;
    options.decode.n_best = 2;
    options.decode.temperature = 0.8F;
    options.decode.top_p = 0.95F;
    options.decode.top_k = 500;
    options.decode.max_length = 24;
    options.decode.seed = 99;
    const int count = lines_quick() ? 18 : 34;
    compare_batches(model, &options, count);
    ksk_translation *first = translate_lines(model, &options, count, lines);
    options.decode.seed = 100;
    ksk_translation *second = translate_lines(model, &options, count, lines);
    int differ = 0;
    for (int i = 0; i < count; i++)
        differ += strcmp(first[i].text, second[i].text) != 0;
    assert_true(differ > count / 2); /* another seed, other samples */
    clear_translations(first, count);
    clear_translations(second, count);
}

/* Lines are numbered through a translator's life: one call or several draw the same. */
static void test_samples_over_calls(void **state)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = "sample";
    options.decode.beams = 1;
    options.decode.max_length = 24;
    ksk_translation *whole = translate_lines(model, &options, 9, lines), parts[9] = {{0}};
    ksk_translator *translator = ksk_translator_new(model, &options, NULL);
    assert_true(ksk_translate(translator, 4, lines, parts, NULL));
    assert_true(ksk_translate(translator, 5, lines + 4, parts + 4, NULL));
    assert_same_translations(whole, parts, 9);
    for (int i = 0; i < 9; i++)
        ksk_translation_clear(&parts[i]);
    ksk_translator_free(translator);
    clear_translations(whole, 9);
}

/* --- hypotheses --------------------------------------------------------------------------------
 */

static void test_n_best(void **state)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decode.beams = options.decode.n_best = 5;
    ksk_translation *five = translate_lines(model, &options, 12, lines);
    options.decode.n_best = 1;
    ksk_translation *one = translate_lines(model, &options, 12, lines);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(five[i].count, 5);
        assert_int_equal(one[i].count, 1);
        assert_ptr_equal(five[i].text, five[i].alternatives[0].text);
        assert_string_equal(five[i].text, one[i].text);
        for (int k = 1; k < 5; k++)
            assert_true(five[i].alternatives[k].score <= five[i].alternatives[k - 1].score);
    }
    clear_translations(five, 12);
    clear_translations(one, 12);
}

/* What beam search says of its own output is what scoring says of it, whenever the text leads back
 * to the same ids. */
static void test_scores_of_own_output(void **state)
{
    enum { count = 40 };
    const ksk_translate_options options = ksk_translate_defaults(model);
    ksk_translation *found = translate_lines(model, &options, count, lines);
    ksk_translator *translator = ksk_translator_new(model, &options, NULL);
    const char *targets[count];
    double log_probs[count], alone;
    int tokens[count], compared = 0;
    for (int i = 0; i < count; i++)
        targets[i] = found[i].text;
    assert_true(ksk_score(translator, count, lines, targets, log_probs, tokens, NULL));
    for (int i = 0; i < count; i++) {
        const ksk_alternative *best = &found[i].alternatives[0];
        assert_true(ksk_score(translator, 1, lines + i, targets + i, &alone, NULL, NULL));
        assert_memory_equal(&alone, &log_probs[i], sizeof alone);
        if (tokens[i] != best->id_count)
            continue;
        compared++;
        if (!(fabs(log_probs[i] - best->log_prob) <= 1e-4))
            fail_msg("line %d: %.6f by scoring, %.6f by searching", i + 1, log_probs[i],
                     best->log_prob);
    }
    assert_true(compared > count * 3 / 4);
    ksk_translator_free(translator);
    clear_translations(found, count);
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void test_empty_lines(void **state)
{
    static const char *const texts[] = {"", "Hallo!", " \t ", "", "Hallo!"};
    const ksk_translate_options options = greedily();
    ksk_translation *found = translate_lines(model, &options, 5, texts);
    static const int empty[] = {0, 2, 3};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(found[empty[i]].text, "");
        assert_int_equal(found[empty[i]].count, 1);
        assert_int_equal(found[empty[i]].alternatives[0].id_count, 0);
        assert_true(found[empty[i]].alternatives[0].finished);
    }
    assert_string_equal(found[1].text, found[4].text);
    assert_true(strlen(found[1].text) > 2);
    clear_translations(found, 5);
    clear_translations(translate_lines(model, &options, 0, texts), 0);
}

/* `sentence` again and again with spaces between. Caller frees. */
static char *repeat(const char *sentence, int times)
{
    char *text = malloc((strlen(sentence) + 1) * (size_t)times + 1);
    assert_non_null(text);
    char *end = text;
    for (int i = 0; i < times; i++)
        end = stpcpy(stpcpy(end, i ? " " : ""), sentence);
    return text;
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void test_long_lines(void **state)
{
    char *text = repeat("Tom ging gestern nach Boston.", 90);
    const char *const texts[] = {"Hallo!", text};
    ksk_translate_options options = greedily();
    options.decode.max_length = 100;
    ksk_translation *found = translate_lines(model, &options, 2, texts);
    assert_true(found[1].source_id_count > 512); /* over the model's positions, so in pieces */
    assert_true(occurrences(found[1].text, "Boston") >= 3);
    clear_translations(found, 2);
    free(text);
}

static void test_long_lines_refused(void **state)
{
    char *text = repeat("Tom ging gestern nach Boston.", 90);
    const char *const texts[] = {"Hallo!", text};
    ksk_translate_options options = greedily();
    ksk_translation found[2] = {{0}};
    ksk_error err = {0};
    options.long_lines = KSK_LONG_ERROR;
    ksk_translator *translator = ksk_translator_new(model, &options, &err);
    assert_false(ksk_translate(translator, 2, texts, found, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "line 2 of the batch has"));
    assert_null(found[0].alternatives);
    assert_true(ksk_translate(translator, 1, texts, found, &err)); /* it goes on */
    ksk_translation_clear(&found[0]);
    ksk_translator_free(translator);
    free(text);
}

/* A paragraph gives what its sentences give, with the white space between them kept. */
static void test_paragraphs(void **state)
{
    static const char *const paragraph = "Guten Morgen!  Wo ist Tom? Er schläft.";
    static const char *const sentences[] = {"Guten Morgen!", "Wo ist Tom?", "Er schläft."};
    ksk_translate_options options = greedily();
    ksk_translation *parts = translate_lines(model, &options, 3, sentences);
    options.split_sentences = true;
    ksk_translation *whole = translate_lines(model, &options, 1, &paragraph);
    char expected[400];
    snprintf(expected, sizeof expected, "%s  %s %s", parts[0].text, parts[1].text, parts[2].text);
    assert_string_equal(whole->text, expected);
    double log_prob = 0;
    int ids = 0;
    for (int i = 0; i < 3; i++) {
        log_prob += parts[i].alternatives[0].log_prob;
        ids += parts[i].alternatives[0].id_count;
    }
    assert_true(fabs(whole->alternatives[0].log_prob - log_prob) < 1e-12);
    assert_int_equal(whole->alternatives[0].id_count, ids);
    clear_translations(parts, 3);
    clear_translations(whole, 1);
}

static void test_bytes_that_are_no_text(void **state)
{
    static const char *const texts[] = {"Guten \xff Morgen!", "Guten \xef\xbf\xbd Morgen!", "\xc3",
                                        "Guten Morgen!"};
    static const int replaced[] = {1, 0, 1, 0};
    const ksk_translate_options options = greedily();
    ksk_translation *found = translate_lines(model, &options, 4, texts);
    for (int i = 0; i < 4; i++)
        assert_int_equal(found[i].replaced_bytes, replaced[i]);
    assert_same_translations(&found[0], &found[1], 1);
    clear_translations(found, 4);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void refuse(const ksk_translate_options *options, const char *part)
{
    ksk_error err = {0};
    ksk_translation found = {0};
    ksk_translator *translator = ksk_translator_new(model, options, &err);
    const bool ok = translator && ksk_translate(translator, 1, lines, &found, &err);
    assert_false(ok);
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, part));
    ksk_translator_free(translator);
}

static void test_refusals(void **state)
{
    ksk_translate_options options = greedily();
    options.batch_size = 0;
    refuse(&options, "batch_size 0");
    options = greedily();
    options.batch_tokens = -1;
    refuse(&options, "batch_tokens -1");
    options = greedily();
    options.threads = -1;
    refuse(&options, "threads");
    options = greedily();
    options.decoder = "oracle";
    refuse(&options, "no decoder 'oracle'; known are: greedy, beam, sample");
    options = greedily();
    options.decode.max_length = 100000;
    refuse(&options, "max_length is 100000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_narrow_batches),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_samples_over_calls),
        cmocka_unit_test(test_n_best),
        cmocka_unit_test(test_scores_of_own_output),
        cmocka_unit_test(test_empty_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_lines_refused),
        cmocka_unit_test(test_paragraphs),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
