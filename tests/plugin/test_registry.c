/* The registry: what is refused and why, what is found, and readers beside a writer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/extend.h"

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    return ksk_fail(err, KSK_UNSUPPORTED, "only registered");
}

static void *open_nothing(const char *argument, const ksk_model *model, ksk_error *err)
{
    return NULL;
}

static void process_nothing(const void *settings, ksk_scores *scores)
{
}

static void close_nothing(void *settings)
{
}

static ksk_sym trace_nothing(ksk_loss_input *input)
{
    return input->targets;
}

static void update_nothing(const ksk_leaf_update *leaf, const float *numbers, int64_t begin,
                           int64_t end)
{
}

static bool add_nothing(void *space, const char *hypothesis, int reference_count,
                        const char *const *references, const ksk_metric_options *options,
                        int64_t *sums)
{
    return true;
}

static void *open_space(void)
{
    return NULL;
}

static void score_nothing(const int64_t *sums, const ksk_metric_options *options,
                          ksk_metric_result *result)
{
}

static void assert_refused(const ksk_plugin *plugin, ksk_status status, const char *part)
{
    ksk_error err = {0};
    assert_false(ksk_plugin_register(plugin, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
}

static void test_kaskad_itself(void **state)
{
    assert_string_equal(ksk_plugin_at(0)->name, "kaskad");
    assert_ptr_equal(ksk_plugin_at(0)->decoders[0], ksk_decoder_at(0));
    assert_ptr_equal(ksk_plugin_at(0)->models[0], ksk_model_type_find("marian"));
    assert_null(ksk_plugin_at(-1));
    assert_null(ksk_processor_find("glossary"));
    assert_non_null(ksk_loss_find("cross_entropy"));
    assert_null(ksk_loss_find("adam"));
    assert_int_equal(ksk_optimiser_find("adamw")->moments, 2);
    assert_string_equal(ksk_optimiser_at(0)->name, "sgd");
    assert_string_equal(ksk_metric_at(1)->name, "chrf");
    assert_null(ksk_metric_at(2));
}

/* Everything is listed once, and only operations have no citation. */
static void test_items(void **state)
{
    ksk_item item;
    int items = 0, losses = 0, cited = 0, operations = 0;
    for (; ksk_plugin_item(ksk_plugin_at(0), items, &item); items++) {
        losses += !strcmp(item.kind, "loss") && !strcmp(item.name, "cross_entropy");
        operations += !strcmp(item.kind, "operation");
        cited += item.citation != NULL;
    }
    assert_int_equal(losses, 1);
    assert_int_equal(cited + operations, items);
    assert_true(operations > 10);
    assert_false(ksk_plugin_item(ksk_plugin_at(0), -1, &item));
    assert_false(ksk_plugin_item(ksk_plugin_at(0), items, &item));
}

/* Losses, optimisers and metrics that lack something. */
static void test_refused_kinds(void **state)
{
    const ksk_loss untraced = {.name = "untraced"},
                   taken = {.name = "cross_entropy", .trace = trace_nothing};
    const ksk_loss *const losses[] = {&untraced, &taken};
    const char *const wrong_losses[] = {"`trace`", "loss 'cross_entropy' is already there"};
    for (int i = 0; i < 2; i++)
        assert_refused(&(ksk_plugin){KSK_EXTEND_VERSION, "p",
                                     .losses = (const ksk_loss *const[]){losses[i], NULL}},
                       KSK_BAD_ARGUMENT, wrong_losses[i]);
    const ksk_optimiser_type still = {.name = "still"},
                             many = {.name = "many", .moments = 3, .update = update_nothing};
    const ksk_optimiser_type *const optimisers[] = {&still, &many};
    const char *const wrong_optimisers[] = {"`update`", "`moments`"};
    for (int i = 0; i < 2; i++)
        assert_refused(
            &(ksk_plugin){KSK_EXTEND_VERSION, "p",
                          .optimisers = (const ksk_optimiser_type *const[]){optimisers[i], NULL}},
            KSK_BAD_ARGUMENT, wrong_optimisers[i]);
    const ksk_metric metrics[] = {
        {.name = "m", .add = add_nothing, .score = score_nothing},
        {.name = "m", .numbers = 1, .score = score_nothing},
        {.name = "m", .numbers = 1, .add = add_nothing},
        {.name = "m", .numbers = 1, .add = add_nothing, .score = score_nothing, .open = open_space},
        {.name = "bleu", .numbers = 1, .add = add_nothing, .score = score_nothing}};
    const char *const wrong_metrics[] = {"`numbers`", "`add`", "`score`", "`close`",
                                         "metric 'bleu' is already there"};
    for (int i = 0; i < 5; i++)
        assert_refused(&(ksk_plugin){KSK_EXTEND_VERSION, "p",
                                     .metrics = (const ksk_metric *const[]){&metrics[i], NULL}},
                       KSK_BAD_ARGUMENT, wrong_metrics[i]);
    assert_null(ksk_loss_find("untraced"));
    assert_null(ksk_metric_find("m"));
}

static void test_refusals(void **state)
{
    const ksk_decoder beam = {.name = "beam", .decode = decode};
    const ksk_decoder nameless = {.decode = decode}, spaced = {.name = "a b", .decode = decode};
    const ksk_decoder empty = {.name = "empty"}, twin = {.name = "twin", .decode = decode},
                      other = {.name = "twin", .decode = decode};
    const ksk_op op = {.name = "half"};
    const ksk_model_type model = {.name = "half"};
    const ksk_processor_type processor = {
        .name = "half", .open = open_nothing, .process = process_nothing};
    const int before = (int)(ksk_plugin_at(1) != NULL);

    assert_refused(&(ksk_plugin){.version = KSK_EXTEND_VERSION + 7, .name = "new"}, KSK_UNSUPPORTED,
                   "version 9");
    assert_refused(&(ksk_plugin){.version = KSK_EXTEND_VERSION + 7, .name = "new"}, KSK_UNSUPPORTED,
                   "version 2");
    assert_refused(&(ksk_plugin){.version = KSK_EXTEND_VERSION, .name = NULL}, KSK_BAD_ARGUMENT,
                   "no name");
    assert_refused(&(ksk_plugin){.version = KSK_EXTEND_VERSION, .name = "a\n"}, KSK_BAD_ARGUMENT,
                   "no name");
    assert_refused(&(ksk_plugin){.version = KSK_EXTEND_VERSION, .name = "kaskad"}, KSK_BAD_ARGUMENT,
                   "already");
    const struct {
        const ksk_decoder *decoders[3];
        const char *part;
    } bad[] = {{{&beam}, "decoder 'beam' is already there, from kaskad"},
               {{&nameless}, "decoder 1 has no name"},
               {{&twin, &spaced}, "decoder 2 has no name"},
               {{&empty}, "`decode`"},
               {{&twin, &other}, "'twin' is listed twice"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(&(ksk_plugin){KSK_EXTEND_VERSION, "p", .decoders = bad[i].decoders},
                       KSK_BAD_ARGUMENT, bad[i].part);
    assert_refused(
        &(ksk_plugin){KSK_EXTEND_VERSION, "p", .operations = (const ksk_op *const[]){&op, NULL}},
        KSK_BAD_ARGUMENT, "`shape`");
    assert_refused(&(ksk_plugin){KSK_EXTEND_VERSION, "p",
                                 .models = (const ksk_model_type *const[]){&model, NULL}},
                   KSK_BAD_ARGUMENT, "`declare`");
    assert_refused(
        &(ksk_plugin){KSK_EXTEND_VERSION, "p",
                      .processors = (const ksk_processor_type *const[]){&processor, NULL}},
        KSK_BAD_ARGUMENT, "`close`");
    assert_int_equal(ksk_plugin_at(1) != NULL, before);
    assert_null(ksk_decoder_find("twin"));
}

enum { MANY = 40 };

static char names[MANY][8];
static ksk_processor_type types[MANY];
static const ksk_processor_type *lists[MANY][2];
static ksk_plugin many[MANY];

static void *look(void *unused)
{
    for (int round = 0; round < 200; round++)
        for (int i = 0; i < MANY; i++) {
            const ksk_processor_type *const found = ksk_processor_find(names[i]);
            if (found && found != &types[i])
                return names[i];
        }
    return NULL;
}

static void test_look_while_registering(void **state)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        types[i] = (ksk_processor_type){.name = names[i],
                                        .open = open_nothing,
                                        .process = process_nothing,
                                        .close = close_nothing};
        lists[i][0] = &types[i];
        many[i] = (ksk_plugin){KSK_EXTEND_VERSION, names[i], .processors = lists[i]};
    }
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, look, NULL), 0);
    for (int i = 0; i < MANY; i++)
        assert_true(ksk_plugin_register(&many[i], NULL));
    for (int i = 0; i < 2; i++) {
        void *wrong;
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    for (int i = 0; i < MANY; i++) {
        assert_ptr_equal(ksk_plugin_at(1 + i), &many[i]);
        assert_ptr_equal(ksk_processor_at(i), &types[i]);
    }
    assert_null(ksk_processor_at(MANY));
    assert_refused(&many[3], KSK_BAD_ARGUMENT, "a plugin 'p3' is already there");
}

static void test_full(void **state)
{
    static char extra[300][8];
    static ksk_plugin plugins[300];
    int registered = 0;
    ksk_error err = {0};
    for (; registered < 300; registered++) {
        snprintf(extra[registered], sizeof extra[registered], "e%d", registered);
        plugins[registered] =
            (ksk_plugin){.version = KSK_EXTEND_VERSION, .name = extra[registered]};
        if (!ksk_plugin_register(&plugins[registered], &err))
            break;
    }
    assert_int_equal(registered, 255 - MANY);
    assert_non_null(strstr(err.message, "255 plugins"));
}

static void test_files(void **state)
{
    ksk_error err = {0};
    assert_null(ksk_plugin_load(KSK_FIXTURES "/no-such.so", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "no-such.so"));
    assert_null(ksk_plugin_load(KSK_FIXTURES "/README.md", &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "README.md: no plugin"));
    assert_false(ksk_plugins_load(KSK_FIXTURES "/nowhere", NULL, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_true(ksk_plugins_load(KSK_FIXTURES, NULL, NULL, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kaskad_itself), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_items),         cmocka_unit_test(test_refused_kinds),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_look_while_registering),
        cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
