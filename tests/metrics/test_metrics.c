/* BLEU and chrF against sacreBLEU's values (fixtures/make_metrics.py). */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/kaskad.h"
#include "metrics/tokenize_13a.h"
#include "text/utf8.h"

enum { MOST_LINES = 200, MOST_REFERENCES = 4 };

typedef bool (*metric_function)(int, const char *const *, int, const char *const *const *,
                                const ksk_metric_options *, ksk_metric_result *, ksk_error *);

static json_t *fixture;

static int load(void **state)
{
    json_error_t error;
    fixture = json_load_file(KSK_FIXTURES "/metrics/metrics.json", 0, &error);
    return fixture ? 0 : -1;
}

static int unload(void **state)
{
    json_decref(fixture);
    return 0;
}

static void assert_near(double found, double expected, const char *what, const char *name)
{
    if (!(fabs(found - expected) <= 1e-6))
        fail_msg("%s of %s: %.9f instead of %.9f", what, name, found, expected);
}

static int strings(const json_t *array, const char **out)
{
    const int count = (int)json_array_size(array);
    assert_true(count <= MOST_LINES);
    for (int i = 0; i < count; i++)
        out[i] = json_string_value(json_array_get(array, (size_t)i));
    return count;
}

static ksk_metric_options read_options(const json_t *given)
{
    ksk_metric_options options = ksk_metric_defaults();
    options.lowercase = json_is_true(json_object_get(given, "lowercase"));
    options.effective_order = json_is_true(json_object_get(given, "effective_order"));
    const char *tokenizer = json_string_value(json_object_get(given, "tokenize"));
    const char *smoothing = json_string_value(json_object_get(given, "smooth_method"));
    options.tokenizer = tokenizer ? tokenizer : options.tokenizer;
    options.smoothing = smoothing ? smoothing : options.smoothing;
    const json_t *number = json_object_get(given, "word_order");
    options.word_order = number ? (int)json_integer_value(number) : options.word_order;
    number = json_object_get(given, "char_order");
    options.character_order = number ? (int)json_integer_value(number) : options.character_order;
    number = json_object_get(given, "beta");
    options.beta = number ? (int)json_integer_value(number) : options.beta;
    return options;
}

static void check_bleu_parts(const json_t *expected, const ksk_metric_result *result,
                             const char *name)
{
    const json_t *precisions = json_object_get(expected, "precisions");
    for (size_t n = 0; n < 4; n++)
        assert_near(result->precisions[n], json_number_value(json_array_get(precisions, n)),
                    "a precision", name);
    assert_near(result->brevity_penalty, json_number_value(json_object_get(expected, "bp")),
                "brevity penalty", name);
    assert_int_equal(result->hypothesis_length,
                     json_integer_value(json_object_get(expected, "hypothesis_length")));
    assert_int_equal(result->reference_length,
                     json_integer_value(json_object_get(expected, "reference_length")));
}

static void check_entry(const json_t *expected, const char *name, int count,
                        const char *const *hypotheses, int reference_count,
                        const char *const *const *references)
{
    const bool is_bleu = !strcmp(json_string_value(json_object_get(expected, "metric")), "bleu");
    const metric_function metric = is_bleu ? ksk_metric_bleu : ksk_metric_chrf;
    const ksk_metric_options options = read_options(json_object_get(expected, "options"));
    ksk_metric_result result;
    ksk_error err;
    assert_true(metric(count, hypotheses, reference_count, references, &options, &result, &err));
    assert_string_equal(result.signature,
                        json_string_value(json_object_get(expected, "signature")));
    assert_near(result.score, json_number_value(json_object_get(expected, "score")), "score", name);
    if (is_bleu)
        check_bleu_parts(expected, &result, name);

    const json_t *sentences = json_object_get(expected, "sentences");
    for (int i = 0; i < count; i++) {
        const char *const *at[MOST_REFERENCES];
        for (int r = 0; r < reference_count; r++)
            at[r] = &references[r][i];
        assert_true(metric(1, &hypotheses[i], reference_count, at, &options, &result, &err));
        assert_near(result.score, json_number_value(json_array_get(sentences, (size_t)i)),
                    hypotheses[i], name);
    }
}

static void equals_sacrebleu(void **state)
{
    size_t c, s, r;
    json_t *one, *entry, *lines;
    json_array_foreach(json_object_get(fixture, "cases"), c, one)
    {
        const char *hypotheses[MOST_LINES], *lists[MOST_REFERENCES][MOST_LINES];
        const char *const *references[MOST_REFERENCES];
        const json_t *given = json_object_get(one, "references");
        const int count = strings(json_object_get(one, "hypotheses"), hypotheses);
        assert_true(json_array_size(given) <= MOST_REFERENCES);
        json_array_foreach(given, r, lines)
        {
            assert_int_equal(strings(lines, lists[r]), count);
            references[r] = lists[r];
        }
        json_array_foreach(json_object_get(one, "scores"), s, entry)
            check_entry(entry, json_string_value(json_object_get(one, "name")), count, hypotheses,
                        (int)json_array_size(given), references);
    }
}

static void tokenizes_as_13a(void **state)
{
    size_t i, t;
    json_t *line, *token;
    ksk_codepoints text = {0}, expected = {0};
    json_array_foreach(json_object_get(fixture, "tokens"), i, line)
    {
        assert_true(ksk_codepoints_set(&text, json_string_value(json_object_get(line, "text"))));
        assert_true(ksk_tokenize_13a(&text));
        size_t at = 0;
        json_array_foreach(json_object_get(line, "tokens"), t, token)
        {
            assert_true(ksk_codepoints_set(&expected, json_string_value(token)));
            while (at < text.count && ksk_utf8_space(text.at[at]))
                at++;
            assert_true(text.count - at >= expected.count);
            assert_memory_equal(text.at + at, expected.at, expected.count * sizeof *text.at);
            at += expected.count;
            assert_true(at == text.count || ksk_utf8_space(text.at[at]));
        }
        while (at < text.count && ksk_utf8_space(text.at[at]))
            at++;
        assert_int_equal(at, text.count);
    }
    ksk_free(text.at);
    ksk_free(expected.at);
}

static void reads_invalid_utf8_as_replacement(void **state)
{
    const char *hypothesis = "a\xFF\xC3 b \xE2\x82 c d";
    const char *reference = "a\uFFFD\uFFFD b \uFFFD c d"; /* one for each maximal subpart */
    const char *const *references[] = {&reference};
    ksk_metric_result result;
    assert_true(ksk_metric_bleu(1, &hypothesis, 1, references, NULL, &result, NULL));
    assert_near(result.score, 100, "BLEU", "invalid UTF-8");
    assert_true(ksk_metric_chrf(1, &hypothesis, 1, references, NULL, &result, NULL));
    assert_near(result.score, 100, "chrF", "invalid UTF-8");
}

static void refuses_bad_arguments(void **state)
{
    const char *line = "a b c d", *missing = NULL;
    const char *const *references[] = {&line}, *const * none[] = {&missing};
    ksk_metric_result result;
    ksk_error err;
    ksk_metric_options options = ksk_metric_defaults();

    assert_false(ksk_metric_bleu(0, &line, 1, references, NULL, &result, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_false(ksk_metric_chrf(1, &line, 0, references, NULL, &result, &err));
    assert_false(ksk_metric_chrf(1, &line, 1, none, NULL, &result, &err));
    assert_non_null(strstr(err.message, "line 1 of the references"));

    options.tokenizer = "zh";
    assert_false(ksk_metric_bleu(1, &line, 1, references, &options, &result, &err));
    assert_non_null(strstr(err.message, "'zh'"));
    options = ksk_metric_defaults();
    options.smoothing = NULL;
    assert_false(ksk_metric_bleu(1, &line, 1, references, &options, &result, &err));
    options = ksk_metric_defaults();
    options.character_order = 21;
    assert_false(ksk_metric_chrf(1, &line, 1, references, &options, &result, &err));
    assert_non_null(strstr(err.message, "21"));
    options = ksk_metric_defaults();
    options.beta = 0;
    assert_false(ksk_metric_chrf(1, &line, 1, references, &options, &result, &err));
    options = ksk_metric_defaults();
    options.word_order = -1;
    assert_false(ksk_metric_chrf(1, &line, 1, references, &options, &result, &err));
}

/* An allocator that fails from the n-th request on and counts what is out. */
static int requests_left, blocks_out;

static void *scarce_allocate(void *context, size_t size)
{
    if (requests_left-- <= 0)
        return NULL;
    blocks_out++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void scarce_release(void *context, void *memory)
{
    blocks_out--;
    free(memory);
}

static void survives_every_failed_allocation(void **state)
{
    const ksk_allocator scarce = {scarce_allocate, scarce_release, NULL};
    const char *hypothesis = "The cat, sat on THE mat.", *reference = "A cat sat on the mat.";
    const char *const *references[] = {&reference};
    ksk_metric_options options = ksk_metric_defaults();
    options.lowercase = true;
    options.word_order = 2;
    ksk_allocator_set(&scarce);
    for (int k = 0; k < 2; k++) {
        const metric_function metric = k ? ksk_metric_bleu : ksk_metric_chrf;
        int failures = 0;
        for (bool ok = false; !ok; failures++) {
            ksk_metric_result result;
            ksk_error err = {0};
            requests_left = failures;
            ok = metric(1, &hypothesis, 1, references, &options, &result, &err);
            assert_int_equal(err.status, ok ? KSK_OK : KSK_OUT_OF_MEMORY);
            assert_int_equal(blocks_out, 0);
        }
        assert_true(failures > 5);
    }
    ksk_allocator_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_sacrebleu),
        cmocka_unit_test(tokenizes_as_13a),
        cmocka_unit_test(reads_invalid_utf8_as_replacement),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
