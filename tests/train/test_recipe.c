#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "io/directory.h"
#include "train/recipe.h"

static char *path_of(const char *name)
{
    char *path = ksk_path(directory, name);
    assert_non_null(path);
    return path;
}

static ksk_recipe *load(const char *text, ksk_error *err)
{
    put_file("r.yaml", text, strlen(text));
    char *path = path_of("r.yaml");
    ksk_recipe *recipe = ksk_recipe_load(path, err);
    ksk_free(path);
    return recipe;
}

static void assert_refused(const char *text, const char *part)
{
    ksk_error err = {0};
    assert_null(load(text, &err));
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void test_reads(void **state)
{
    ksk_error err = {0};
    put_file("pairs.tsv", "a\tb\n", 4);
    ksk_recipe *recipe = load("# a comment\n"
                              "train: pairs.tsv\ndev: \"pairs.tsv\"\n"
                              "d_model: 48   # width\nheads: 3\ndropout: 0.25\n"
                              "learning_rate: 7e-4\nschedule: cosine\nlossless: no\n"
                              "source_language: deu\ntarget_language:\nweights: bf16\n",
                              &err);
    assert_string_equal(err.message, "");
    char *pairs = path_of("pairs.tsv");
    assert_string_equal(recipe->train, pairs);
    assert_string_equal(recipe->dev, pairs);
    assert_int_equal(recipe->d_model, 48);
    assert_int_equal(recipe->heads, 3);
    assert_true(recipe->dropout == 0.25);
    assert_true(recipe->learning_rate == 7e-4);
    assert_int_equal(recipe->schedule, KSK_SCHEDULE_COSINE);
    assert_int_equal(recipe->weights, KSK_WEIGHTS_BF16);
    assert_false(recipe->lossless);
    assert_string_equal(recipe->source_language, "deu");
    assert_null(recipe->target_language);
    assert_int_equal(recipe->ffn, 1024);
    assert_string_equal(recipe->optimiser, "adam");
    ksk_free(pairs);
    ksk_recipe_free(recipe);
}

static void test_variables(void **state)
{
    ksk_error err = {0};
    setenv("KSK_TEST_DATA", "/somewhere", 1);
    unsetenv("KSK_TEST_NOTHING");
    ksk_recipe *recipe = load("train: $KSK_TEST_DATA/a.tsv\ndev: ${KSK_TEST_DATA}s/b.tsv\n", &err);
    assert_non_null(recipe);
    assert_string_equal(recipe->train, "/somewhere/a.tsv");
    assert_string_equal(recipe->dev, "/somewheres/b.tsv");
    ksk_recipe_free(recipe);
    assert_refused("train: $KSK_TEST_NOTHING/a.tsv\n", "KSK_TEST_NOTHING, which is not set");
}

/* Every key is printed, and what is printed reads as the same recipe. */
static void test_prints_what_it_reads(void **state)
{
    ksk_error err = {0};
    ksk_recipe *recipe = ksk_recipe_new(&err);
    assert_true(ksk_recipe_set(recipe, "train", "/no\\where/\"pairs\" é.tsv", &err));
    assert_true(ksk_recipe_set(recipe, "learning_rate", "0.1234567890123", &err));
    assert_true(ksk_recipe_set(recipe, "seed", "1234567890123", &err));
    char *text = ksk_recipe_print(recipe);
    ksk_recipe *again = load(text, &err);
    assert_string_equal(err.message, "");
    char *text_again = ksk_recipe_print(again);
    assert_string_equal(text, text_again);
    assert_string_equal(again->train, "/no\\where/\"pairs\" é.tsv");
    assert_true(again->learning_rate == 0.1234567890123);
    assert_int_equal(again->seed, 1234567890123);
    for (int i = 0; ksk_recipe_key_at(i); i++)
        assert_non_null(strstr(text, ksk_recipe_key_at(i)->name));
    ksk_free(text);
    ksk_free(text_again);
    ksk_recipe_free(recipe);
    ksk_recipe_free(again);
}

/* --- refusing -----------------------------------------------------------------------------------
 */

static void test_refuses(void **state)
{
    assert_refused("d_model: 64\nbatch_token: 9\n",
                   "r.yaml:2: there is no key 'batch_token'; the nearest is 'batch_tokens'");
    assert_refused("heads: four\n",
                   "r.yaml:1: heads is a whole number from 1 to 16384, not 'four'");
    assert_refused("heads: 2.5\n", "whole number");
    assert_refused("heads: 0\n", "not '0'");
    assert_refused("dropout: nan\n", "not 'nan'");
    assert_refused("dropout: 0x1\n", "not '0x1'");
    assert_refused("dropout: 1\n", "from 0 to 0.99");
    assert_refused("schedule: step\n", "inverse_sqrt|cosine|linear, not 'step'");
    assert_refused("lossless: maybe\n", "yes or no, not 'maybe'");
    assert_refused("heads: 2\nheads: 2\n", "r.yaml:2: 'heads' is set a second time");
    assert_refused("heads: [2]\n", "r.yaml:1: a key has one plain value");
    assert_refused("heads: {a: 2}\n", "one plain value");
    assert_refused("- heads\n", "a mapping of keys to values");
    assert_refused("just text\n", "a mapping of keys to values");
    assert_refused("heads: \"2\n", "r.yaml:");
    assert_refused("[heads]: 2\n", "a mapping of keys to values");
}

static void assert_unfit(const char *text, const char *part)
{
    ksk_error err = {0};
    ksk_recipe *recipe = load(text, &err);
    assert_string_equal(err.message, "");
    assert_false(ksk_recipe_check(recipe, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
    ksk_recipe_free(recipe);
}

static void test_checks(void **state)
{
    assert_unfit("max_updates: 5\n", "needs either train, or both train_source and train_target");
    assert_unfit("train: a\ndev_source: b\nmax_updates: 5\n", "either dev, or both");
    assert_unfit("train: a\ntrain_target: c\ndev: b\nmax_updates: 5\n", "either train, or both");
    assert_unfit("train: a\ndev: b\n", "nothing would end this run");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nd_model: 50\n", "not a multiple of heads");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nmax_length: 600\n", "over max_positions");
    assert_unfit("train: a\ndev: b\nmax_minutes: 5\nschedule: linear\n", "ends at max_updates");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nbleu_tokenizer: zh\n", "13a or none");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nmodel: rnn\n",
                 "there is no model 'rnn'; known: marian, kaskad-markov");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nloss: cross_entropy=2\n", "takes no argument");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nloss: hinge=2\n",
                 "no loss 'hinge=2'; known: cross_entropy");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\noptimiser: lbfgs\n",
                 "no optimiser 'lbfgs'; known: sgd, adam, adamw");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nmodel_options: a=1,rest\n",
                 "model_options is NAME=VALUE");
    assert_unfit("train: a\ndev: b\nmax_updates: 5\nmodel_options: '=1'\n", "not '=1'");
}

static void test_names(void **state)
{
    ksk_error err = {0};
    ksk_recipe *recipe =
        load("markov_order: 2\nmodel_options: a=1.5,deep=true,name=x-y,n=3\n", &err);
    assert_string_equal(ksk_recipe_model(recipe)->name, "kaskad-markov");
    assert_string_equal(ksk_recipe_loss(recipe)->name, "cross_entropy");
    assert_string_equal(ksk_recipe_loss_argument(recipe), "");
    json_t *options = ksk_recipe_model_options(recipe, &err);
    double a;
    int deep, n;
    const char *name;
    assert_int_equal(json_unpack(options, "{s:f, s:b, s:s, s:i}", "a", &a, "deep", &deep, "name",
                                 &name, "n", &n),
                     0);
    assert_true(a == 1.5 && deep && n == 3);
    assert_string_equal(name, "x-y");
    json_decref(options);
    assert_true(ksk_recipe_set(recipe, "markov_order", "0", &err));
    assert_string_equal(ksk_recipe_model(recipe)->name, "marian");
    assert_true(ksk_recipe_set(recipe, "loss", "cross_entropy=a=b", &err));
    assert_string_equal(ksk_recipe_loss_argument(recipe), "a=b");
    ksk_recipe_free(recipe);
}

static void test_continues(void **state)
{
    ksk_error err = {0};
    ksk_recipe *before = ksk_recipe_new(&err), *now = ksk_recipe_new(&err);
    assert_true(ksk_recipe_continues(now, before, &err));
    assert_true(ksk_recipe_set(now, "threads", "3", &err));
    assert_true(ksk_recipe_set(now, "max_updates", "70", &err));
    assert_true(ksk_recipe_continues(now, before, &err));
    assert_true(ksk_recipe_set(now, "heads", "8", &err));
    assert_false(ksk_recipe_continues(now, before, &err));
    assert_non_null(strstr(err.message, "begun with heads 4, not 8"));
    ksk_recipe_free(before);
    ksk_recipe_free(now);
}

/* The cosine's length is part of every update. */
static void test_longer_schedule(void **state)
{
    ksk_error err = {0};
    ksk_recipe *before = ksk_recipe_new(&err), *now = ksk_recipe_new(&err);
    assert_true(ksk_recipe_set(before, "schedule", "cosine", &err));
    assert_true(ksk_recipe_set(now, "schedule", "cosine", &err));
    assert_true(ksk_recipe_set(now, "max_updates", "70", &err));
    assert_false(ksk_recipe_continues(now, before, &err));
    ksk_recipe_free(before);
    ksk_recipe_free(now);
}

/* --- the recipes that ship ----------------------------------------------------------------------
 */

static void test_shipped(void **state)
{
    static const char *const shipped[] = {"smoke", "tatoeba-deu-eng", "multi30k-eng-deu-tiny"};
    setenv("KASKAD_DATA", "/data", 1);
    for (int i = 0; i < 3; i++) {
        char path[4096];
        ksk_error err = {0};
        snprintf(path, sizeof path, "%s/recipes/%s.yaml", KSK_SOURCE, shipped[i]);
        ksk_recipe *recipe = ksk_recipe_load(path, &err);
        assert_string_equal(err.message, "");
        assert_true(ksk_recipe_check(recipe, &err));
        ksk_recipe_free(recipe);
    }
}

/* --- memory -------------------------------------------------------------------------------------
 */

static bool load_and_print(void *context, ksk_error *err)
{
    ksk_recipe *recipe = ksk_recipe_load(context, err);
    char *text = recipe ? ksk_recipe_print(recipe) : NULL;
    const bool ok = recipe && (text || ksk_fail_memory(err));
    ksk_free(text);
    ksk_recipe_free(recipe);
    return ok;
}

static void test_memory_runs_out(void **state)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/recipes/smoke.yaml", KSK_SOURCE);
    assert_true(fault_sweep(load_and_print, path) > 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_prints_what_it_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_continues),
        cmocka_unit_test(test_longer_schedule),
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
