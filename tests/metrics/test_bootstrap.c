/* Paired bootstrap against sacreBLEU's (fixtures/make_metrics.py): to the digit when it is given
 * our draws of lines, and to what draws make of it with its own. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "kaskad/kaskad.h"
#include "reference.h"

enum { most_lines = 100, most_references = 2 };

static json_t *fixture;

static int load(void **state)
{
    fixture = reference_load(KSK_FIXTURES "/metrics/metrics.json");
    return 0;
}

static int unload(void **state)
{
    json_decref(fixture);
    return 0;
}

static void assert_near(double found, double expected, double tolerance, const char *what)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %.9f instead of %.9f", what, found, expected);
}

static void check_estimate(const ksk_estimate *found, const json_t *expected, double tolerance,
                           double noise)
{
    const double score = json_number_value(json_array_get(expected, 0));
    assert_near(found->score, score, tolerance, "score");
    assert_near(found->mean, json_number_value(json_array_get(expected, 1)), noise, "mean");
    assert_near(found->interval, json_number_value(json_array_get(expected, 2)), noise, "interval");
}

static void check(const ksk_comparison *found, const json_t *entry, const char *whose,
                  double tolerance, double noise, double p_noise)
{
    const json_t *const expected = json_object_get(entry, whose);
    check_estimate(&found->system, json_object_get(expected, "system"), tolerance, noise);
    check_estimate(&found->baseline, json_object_get(expected, "baseline"), tolerance, noise);
    assert_near(found->p_value, json_number_value(json_object_get(expected, "p_value")), p_noise,
                "p-value");
}

static ksk_metric_options read_scoring(const json_t *given)
{
    ksk_metric_options options = ksk_metric_defaults();
    const char *const smoothing = json_string_value(json_object_get(given, "smooth_method"));
    options.lowercase = json_is_true(json_object_get(given, "lowercase"));
    options.smoothing = smoothing ? smoothing : options.smoothing;
    options.word_order = (int)json_integer_value(json_object_get(given, "word_order"));
    return options;
}

static void equals_sacrebleu(void **state)
{
    size_t i, r;
    json_t *entry, *lines;
    json_array_foreach(json_object_get(fixture, "comparisons"), i, entry)
    {
        const char *system[most_lines], *baseline[most_lines], *lists[most_references][most_lines];
        const char *const *references[most_references];
        const int count = reference_strings(json_object_get(entry, "system"), most_lines, system);
        assert_int_equal(
            reference_strings(json_object_get(entry, "baseline"), most_lines, baseline), count);
        json_array_foreach(json_object_get(entry, "references"), r, lines)
        {
            assert_true(r < most_references);
            assert_int_equal(reference_strings(lines, most_lines, lists[r]), count);
            references[r] = lists[r];
        }
        const ksk_metric_options scoring = read_scoring(json_object_get(entry, "options"));
        ksk_compare_options options = ksk_compare_defaults();
        const bool chrf = !strcmp(json_string_value(json_object_get(entry, "metric")), "chrf");
        options.metric = chrf ? "chrf" : "bleu";
        options.scoring = &scoring;
        options.seed = (uint64_t)json_integer_value(json_object_get(entry, "seed"));
        ksk_comparison found;
        assert_true(ksk_metric_compare(count, system, baseline,
                                       (int)json_array_size(json_object_get(entry, "references")),
                                       references, &options, &found, NULL));
        check(&found, entry, "ours", 1e-6, 2e-5, 1e-9); /* it adds in single precision */
        check(&found, entry, "theirs", 1e-6, 1, 0.05);
        const double difference = found.system.score - found.baseline.score;
        assert_true(found.low <= difference && difference <= found.high);
    }
}

static void same_seed_same_draws(void **state)
{
    const char *const a[] = {"a b c d", "e f g h", "i j k", "l m n o p"}, *const b[] = {
                                                                              "a b c x", "e f g h",
                                                                              "i y k", "l m n o z"};
    const char *const *references[] = {a};
    ksk_compare_options options = ksk_compare_defaults();
    ksk_comparison first, again, other;
    assert_true(ksk_metric_compare(4, b, a, 1, references, NULL, &first, NULL));
    assert_true(ksk_metric_compare(4, b, a, 1, references, &options, &again, NULL));
    options.seed = 9;
    assert_true(ksk_metric_compare(4, b, a, 1, references, &options, &other, NULL));
    assert_true(first.system.mean == again.system.mean && first.p_value == again.p_value);
    assert_true(first.system.mean != other.system.mean);
    assert_true(first.baseline.score > 99.9 && first.high <= 0);
}

static void refuses_bad_arguments(void **state)
{
    const char *const line[] = {"a b c d"}, *const missing[] = {NULL};
    const char *const *references[] = {line};
    ksk_compare_options options = ksk_compare_defaults();
    ksk_comparison result;
    ksk_error err = {0};
    options.resamples = 39;
    assert_false(ksk_metric_compare(1, line, line, 1, references, &options, &result, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "39"));
    assert_false(ksk_metric_compare(1, line, missing, 1, references, NULL, &result, &err));
    assert_false(ksk_metric_compare(0, line, line, 1, references, NULL, &result, &err));
    ksk_metric_options scoring = ksk_metric_defaults();
    scoring.tokenizer = "zh";
    options = ksk_compare_defaults();
    options.scoring = &scoring;
    assert_false(ksk_metric_compare(1, line, line, 1, references, &options, &result, &err));
    assert_non_null(strstr(err.message, "'zh'"));
}

static bool compare_two(void *context, ksk_error *err)
{
    const char *const a[] = {"a b, c d", "E f g h"}, *const b[] = {"a b c x", "e f g h"};
    const char *const *references[] = {a};
    ksk_comparison result;
    return ksk_metric_compare(2, b, a, 1, references, context, &result, err);
}

static void survives_every_failed_allocation(void **state)
{
    ksk_compare_options options = ksk_compare_defaults();
    options.resamples = 41;
    assert_true(fault_sweep(compare_two, &options) > 7);
    options.metric = "chrf";
    assert_true(fault_sweep(compare_two, &options) > 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_sacrebleu),
        cmocka_unit_test(same_seed_same_draws),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
