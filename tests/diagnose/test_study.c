/* The study against scipy's integrals (fixtures/make_diagnose.py), and what can be counted by hand.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diagnose/dirichlet.h"
#include "diagnose/lengths.h"
#include "fault.h"
#include "kaskad/diagnose.h"
#include "reference.h"

enum { MOST = 20, GROUPS = 3 };

static json_t *fixture;

static int load(void **state)
{
    fixture = reference_load(KSK_FIXTURES "/diagnose/diagnose.json");
    return 0;
}

static int unload(void **state)
{
    json_decref(fixture);
    return 0;
}

static void assert_near(double found, double expected, double relative, const char *what)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("%s: %.9g instead of %.9g", what, found, expected);
}

static ksk_study *open_study(ksk_error *err)
{
    const char *lines[MOST];
    size_t g;
    json_t *group;
    ksk_study *study = ksk_study_new(
        reference_strings(json_object_get(fixture, "training"), MOST, lines), lines, err);
    json_array_foreach(json_object_get(fixture, "groups"), g, group)
    {
        if (study && ksk_study_add(study, reference_strings(group, MOST, lines), lines, err) < 0) {
            ksk_study_free(study);
            study = NULL;
        }
    }
    return study;
}

/* Mean and interval; a grid of 256 points gives the ends to a few thousandths. */
static void check(const ksk_posterior *found, const json_t *expected)
{
    assert_near(found->mean, json_number_value(json_array_get(expected, 0)), 1e-3, "mean");
    assert_near(found->low, json_number_value(json_array_get(expected, 1)), 5e-3, "low");
    assert_near(found->high, json_number_value(json_array_get(expected, 2)), 5e-3, "high");
    double mass = 0;
    for (int i = 1; i < KSK_POSTERIOR_POINTS; i++) {
        assert_true(found->at[i] > found->at[i - 1]);
        mass += (found->at[i] - found->at[i - 1]) * (found->density[i] + found->density[i - 1]) / 2;
    }
    assert_near(mass, 1, 0.01, "all of the density");
}

static void equals_integrals(void **state)
{
    ksk_error err = {0};
    ksk_posterior posteriors[GROUPS];
    ksk_study *const study = open_study(&err);
    assert_non_null(study);
    for (size_t kind = 0; kind < KSK_GRAMS; kind++) {
        assert_true(ksk_study_agreement(study, (ksk_gram)kind, posteriors, &err));
        const json_t *const expected = json_array_get(json_object_get(fixture, "agreement"), kind);
        for (size_t g = 0; g < GROUPS; g++)
            check(&posteriors[g], json_array_get(expected, g));
        const json_t *const apart = json_array_get(json_object_get(fixture, "divergence"), kind);
        for (int g = 1; g < GROUPS; g++)
            assert_near(ksk_study_divergence(study, (ksk_gram)kind, 0, g),
                        json_number_value(json_array_get(apart, (size_t)g - 1)), 1e-12,
                        "divergence");
        assert_true(ksk_study_divergence(study, (ksk_gram)kind, 2, 2) < 1e-15);
    }
    assert_true(ksk_study_lengths(study, posteriors, &err));
    for (size_t g = 0; g < GROUPS; g++)
        check(&posteriors[g], json_array_get(json_object_get(fixture, "lengths"), g));
    ksk_study_free(study);
}

/* The specification's own numbers. */
static void equals_by_hand(void **state)
{
    const ksk_cell cells[] = {{3, .5, 1}, {1, .3, 1}};
    assert_near(exp(ksk_dirichlet_multinomial(cells, 2, 2)), 0.12, 1e-12, "Dirichlet-multinomial");
    assert_near(exp(ksk_negative_binomial(3, 2, .5)), 0.131687, 1e-5, "negative binomial");
    ksk_cell equal[] = {{1, .2, 1}, {2, .1, 1}, {1, .2, 1}, {1, .1, 1}};
    assert_int_equal(ksk_cells_join(equal, 4), 3);
    assert_true(equal[1].times == 2 && equal[1].count == 1 && equal[1].share == .2);
    /* So many that log gamma takes over from the product. */
    const ksk_cell many[] = {{30, .5, 1}, {26, .5, 1}};
    const double joint = lgamma(57) - lgamma(31) - lgamma(27) + lgamma(4) - lgamma(60) +
                         lgamma(32) + lgamma(28) - 2 * lgamma(2);
    assert_near(ksk_dirichlet_multinomial(many, 2, 4), joint, 1e-9, "many");
}

static void counts_facts(void **state)
{
    ksk_error err = {0};
    ksk_study *const study = open_study(&err);
    const ksk_text_facts f = ksk_study_facts(study, 1);
    assert_int_equal(f.lines, 4);
    assert_int_equal(f.empty, 1);
    assert_int_equal(f.words, 18);
    assert_int_equal(f.longest, 8);
    assert_int_equal(f.types[KSK_GRAM_WORD], 6); /* the cat dog a man and */
    assert_int_equal(f.loops, 2);
    assert_near(f.distinct[KSK_GRAM_WORD], 6. / 18, 1e-12, "distinct");
    /* "the the" twice again; "the dog" three and "dog the" two times again; "a man" once. */
    assert_near(f.repeated, 8. / 15, 1e-12, "repeated");
    assert_int_equal(ksk_study_facts(study, -1).lines, 8);
    assert_int_equal(ksk_study_facts(study, GROUPS).lines, 0);
    ksk_study_free(study);
}

static void cuts_as_13a(void **state)
{
    const char *const line = "It's $37,000 (approx.) in 1998-2003.";
    ksk_study *const study = ksk_study_new(1, &line, NULL);
    assert_int_equal(ksk_study_facts(study, -1).words, 12);
    ksk_study_free(study);
}

static void covers_mass(void **state)
{
    const int same[] = {0, 1, 0, 3};
    const double log_probs[] = {log(.5), log(.25), log(.5), log(.125)};
    double mass[4];
    ksk_mass_covered(4, same, log_probs, mass);
    const double expected[] = {.5, .75, .75, .875};
    for (int i = 0; i < 4; i++)
        assert_near(mass[i], expected[i], 1e-12, "mass");
}

static void of_nothing(void **state)
{
    const char *const nothing[] = {"", " "}, *const some[] = {"a b", "c"};
    const char *const missing[] = {"a", NULL};
    ksk_error err = {0};
    ksk_posterior posterior;
    ksk_study *study = ksk_study_new(0, NULL, &err);
    assert_false(ksk_study_agreement(study, KSK_GRAM_WORD, &posterior, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_int_equal(ksk_study_add(study, 0, some, &err), -1);
    assert_int_equal(ksk_study_add(study, 2, some, &err), 0);
    assert_int_equal(ksk_study_add(study, 1, some, &err), -1);
    assert_int_equal(ksk_study_add(study, 2, missing, &err), -1);
    assert_int_equal(ksk_study_add(study, 2, nothing, &err), 1);
    assert_false(ksk_study_lengths(study, &posterior, &err));
    assert_true(ksk_study_divergence(study, KSK_GRAM_PAIR, 0, 1) == 1);
    ksk_study_free(study);
    /* Outputs without a word are believed to be anything, and short. */
    study = ksk_study_new(2, some, &err);
    assert_int_equal(ksk_study_add(study, 2, nothing, &err), 0);
    assert_true(ksk_study_agreement(study, KSK_GRAM_SKIP, &posterior, &err));
    assert_true(isfinite(posterior.mean) && posterior.low < posterior.high);
    assert_true(ksk_study_lengths(study, &posterior, &err));
    assert_true(posterior.mean > 0 && posterior.mean < 1);
    ksk_study_free(study);
}

static bool all_of_it(void *context, ksk_error *err)
{
    ksk_posterior posteriors[GROUPS];
    ksk_study *const study = open_study(err);
    const bool ok = study && ksk_study_agreement(study, KSK_GRAM_PAIR, posteriors, err) &&
                    ksk_study_lengths(study, posteriors, err);
    ksk_study_free(study);
    return ok;
}

static void survives_without_memory(void **state)
{
    fault_sweep(all_of_it, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_integrals),
        cmocka_unit_test(equals_by_hand),
        cmocka_unit_test(counts_facts),
        cmocka_unit_test(cuts_as_13a),
        cmocka_unit_test(covers_mass),
        cmocka_unit_test(of_nothing),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
