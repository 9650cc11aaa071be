/* Markov Transformers made of the small random checkpoints: the scorers agree with each other, the
 * cascade runs on text, and checkpoints that are not what they should be are refused. */
#include <math.h>

#include "api/model.h"
#include "checkpoint.h"
#include "fault.h"
#include "kaskad/random.h"
#include "scorer/markov.h"

enum { most_sentences = 6, most_tokens = 14, most_rows = 128 };

/* The fixture's checkpoint with the settings of a Markov Transformer. */
static void make_checkpoint(const char *name, const char *order)
{
    char from[200];
    snprintf(from, sizeof from, "%s/marian/%s", KSK_FIXTURES, name);
    checkpoint_copy(from);
    checkpoint_set("model_type", "\"kaskad-markov\"");
    checkpoint_set("markov_order", order);
    checkpoint_set("length_a", "1.1");
    checkpoint_set("length_b", "0.7");
}

static ksk_model *load(const ksk_load_options *options)
{
    ksk_error err = {0};
    ksk_model *model = ksk_model_load(checkpoint_directory, options, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

static ksk_model *make_model(const char *name, const char *order)
{
    make_checkpoint(name, order);
    return load(NULL);
}

typedef struct sentences {
    int32_t ids[most_sentences][most_tokens];
    const int32_t *pointers[most_sentences];
    int lengths[most_sentences];
} sentences;

static void make_sentences(sentences *s, uint64_t seed, int vocabulary)
{
    for (int i = 0; i < most_sentences; i++) {
        const ksk_key key = ksk_key_split(ksk_key_from_seed(seed), (uint64_t)i);
        s->lengths[i] = 1 + (int)(ksk_random_bits(key, 0) % most_tokens);
        for (int j = 0; j < s->lengths[i]; j++)
            s->ids[i][j] = (int32_t)(ksk_random_bits(key, (uint64_t)j + 1) % (uint32_t)vocabulary);
        s->pointers[i] = s->ids[i];
    }
}

static const ksk_seq2seq_plans *plans_of(const ksk_model *model, ksk_purpose purpose)
{
    ksk_error err = {0};
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, purpose, &err);
    if (!plans)
        fail_msg("%s", err.message);
    return plans;
}

/* --- the scorers ---------------------------------------------------------------------------------
 */

typedef float table[most_sentences][most_tokens];

static void score_targets(const ksk_model *model, const sentences *sources,
                          const sentences *targets, table log_probs)
{
    float all[most_sentences * most_tokens], *next = all;
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    assert_true(ksk_seq2seq_score(plans_of(model, KSK_TO_SCORE), &model->rules, workspace,
                                  most_sentences, sources->pointers, sources->lengths,
                                  targets->pointers, targets->lengths, all, NULL));
    for (int i = 0; i < most_sentences; i++)
        for (int t = 0; t < targets->lengths[i]; t++)
            log_probs[i][t] = *next++;
    ksk_workspace_free(workspace);
}

/* A token whose context grows until it is as long as the order allows. */
typedef struct growing {
    int sentence, token, begin, row;
} growing;

/* One round of the rows whose context is to have `order` tokens or more. */
static int grow_round(ksk_markov *scorer, growing *rows, int count, int order,
                      const sentences *targets, table log_probs)
{
    int32_t parents[most_rows], tokens[most_rows], positions[most_rows], wanted[most_rows],
        spans[most_rows][2];
    int kept = 0;
    for (int i = 0; i < count; i++) {
        const growing g = rows[i];
        if (g.token - g.begin < order)
            continue;
        parents[kept] = order ? g.row : -1 - g.sentence;
        tokens[kept] = order ? targets->ids[g.sentence][g.begin + order - 1] : -7;
        positions[kept] = order ? -7 : g.begin;
        wanted[kept] = targets->ids[g.sentence][g.token];
        spans[kept][0] = kept;
        spans[kept][1] = 1;
        rows[kept] = g;
        rows[kept].row = kept;
        kept++;
    }
    const ksk_contexts contexts = {
        kept, parents, tokens, positions, order ? wanted : NULL, (const int32_t(*)[2])spans,
        NULL, NULL};
    ksk_error err = {0};
    float *values;
    if (!scorer->score(scorer, &contexts, &values, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < kept; i++)
        if (rows[i].token - rows[i].begin == order)
            log_probs[rows[i].sentence][rows[i].token] =
                order ? values[i]
                      : values[(size_t)i * (size_t)scorer->vocabulary + (size_t)wanted[i]];
    return kept;
}

/* The same numbers for sentences [first, first + n) from a Markov scorer. */
static void score_rounds(ksk_markov *scorer, const sentences *sources, const sentences *targets,
                         int first, int n, table log_probs)
{
    growing rows[most_rows];
    sentences own = *targets;
    table scores;
    int count = 0;
    assert_true(
        scorer->start(scorer, n, sources->pointers + first, sources->lengths + first, NULL));
    for (int i = 0; i < n; i++) {
        memcpy(own.ids[i], targets->ids[first + i], sizeof own.ids[i]);
        for (int t = 0; t < targets->lengths[first + i]; t++)
            rows[count++] = (growing){i, t, t < scorer->order ? 0 : t - scorer->order, 0};
    }
    for (int order = 0; order <= scorer->order && count > 0; order++)
        count = grow_round(scorer, rows, count, order, &own, scores);
    memcpy(log_probs[first], scores, (size_t)n * sizeof *scores);
}

static void assert_near(const sentences *targets, table a, table b)
{
    for (int i = 0; i < most_sentences; i++)
        for (int t = 0; t < targets->lengths[i]; t++)
            if (!(fabsf(a[i][t] - b[i][t]) <= 1e-5F))
                fail_msg("sentence %d, token %d: %.7f and %.7f", i, t, (double)a[i][t],
                         (double)b[i][t]);
}

static void compare_scorers(const ksk_model *model, int threads)
{
    sentences sources, targets;
    table whole, rounds;
    make_sentences(&sources, 1, model->rules.source_vocabulary);
    make_sentences(&targets, 2, model->rules.vocabulary);
    score_targets(model, &sources, &targets, whole);
    ksk_markov *scorer =
        ksk_markov_scorer_new(plans_of(model, KSK_TO_CASCADE), &model->rules, threads, NULL);
    score_rounds(scorer, &sources, &targets, 0, most_sentences, rounds);
    assert_near(&targets, whole, rounds);
    scorer->free(scorer);
}

static void test_rounds_and_whole_targets(void **state)
{
    static const char *const names[] = {"opus", "split", "tiny"};
    static const char *const orders[] = {"1", "3", "4"};
    for (int i = 0; i < 3; i++) {
        ksk_model *model = make_model(names[i], orders[i]);
        assert_int_equal(model->rules.block, orders[i][0] - '0' + 1);
        compare_scorers(model, 1 + i % 2);
        ksk_model_free(model);
    }
}

static void compare_company(const ksk_load_options *options)
{
    make_checkpoint("split", "3");
    ksk_model *model = load(options);
    sentences sources, targets;
    table together, alone;
    make_sentences(&sources, 3, model->rules.source_vocabulary);
    make_sentences(&targets, 4, model->rules.vocabulary);
    ksk_markov *scorer =
        ksk_markov_scorer_new(plans_of(model, KSK_TO_CASCADE), &model->rules, 2, NULL);
    score_rounds(scorer, &sources, &targets, 0, most_sentences, together);
    for (int i = 0; i < most_sentences; i++) {
        score_rounds(scorer, &sources, &targets, i, 1, alone);
        assert_memory_equal(together[i], alone[i], (size_t)targets.lengths[i] * sizeof **alone);
    }
    scorer->free(scorer);
    ksk_model_free(model);
}

static void test_rows_in_any_company(void **state)
{
    compare_company(&(ksk_load_options){.precision = KSK_PRECISION_F32});
    compare_company(&(ksk_load_options){.precision = KSK_PRECISION_BF16});
    compare_company(&(ksk_load_options){.precision = KSK_PRECISION_INT8});
}

/* Log-probability of an id from logits. */
static float log_probability(const float *logits, int vocabulary, int32_t id)
{
    double sum = 0;
    for (int i = 0; i < vocabulary; i++)
        sum += exp((double)logits[i] - (double)logits[0]);
    return (float)((double)logits[id] - (double)logits[0] - log(sum));
}

static void compare_left_to_right(const ksk_model *model)
{
    sentences sources, targets;
    table whole, steps;
    make_sentences(&sources, 5, model->rules.source_vocabulary);
    make_sentences(&targets, 6, model->rules.vocabulary);
    score_targets(model, &sources, &targets, whole);
    ksk_l2r *scorer =
        ksk_seq2seq_scorer_new(plans_of(model, KSK_TO_GENERATE), &model->rules, 1, NULL);
    assert_true(scorer->start(scorer, most_sentences, sources.pointers, sources.lengths, NULL));
    for (int t = 0; t < most_tokens; t++) {
        int32_t parents[most_sentences], tokens[most_sentences];
        float *logits;
        for (int i = 0; i < most_sentences; i++) { /* what lies behind a target is fed, too */
            parents[i] = t ? i : -1 - i;
            tokens[i] =
                t ? targets.ids[i][t - 1 < targets.lengths[i] ? t - 1 : 0] : scorer->start_id;
        }
        assert_true(scorer->step(scorer, most_sentences, parents, tokens, &logits, NULL));
        for (int i = 0; i < most_sentences; i++, logits += scorer->vocabulary)
            if (t < targets.lengths[i])
                steps[i][t] = log_probability(logits, scorer->vocabulary, targets.ids[i][t]);
    }
    assert_near(&targets, whole, steps);
    scorer->free(scorer);
}

static void test_left_to_right(void **state)
{
    static const char *const orders[] = {"0", "1", "3"};
    for (int i = 0; i < 3; i++) {
        ksk_model *model = make_model("opus", orders[i]);
        compare_left_to_right(model);
        ksk_model_free(model);
    }
}

/* An order that no target exceeds: the plain Transformer. */
static void test_long_order_is_marian(void **state)
{
    sentences sources, targets;
    table markov, marian;
    ksk_model *model = make_model("split", "20");
    make_sentences(&sources, 7, model->rules.source_vocabulary);
    make_sentences(&targets, 8, model->rules.vocabulary);
    score_targets(model, &sources, &targets, markov);
    ksk_model_free(model);
    checkpoint_copy(KSK_FIXTURES "/marian/split");
    model = load(&(ksk_load_options){.precision = KSK_PRECISION_F32});
    score_targets(model, &sources, &targets, marian);
    ksk_model_free(model);
    for (int i = 0; i < most_sentences; i++)
        assert_memory_equal(markov[i], marian[i], (size_t)targets.lengths[i] * sizeof **marian);
}

/* --- text ----------------------------------------------------------------------------------------
 */

static const char *const lines[] = {"Tom is here.", "I do not know what to do about that.",
                                    "She bought a red car.", "", "Why?"};
enum { line_count = 5 };

static ksk_translator *new_translator(const ksk_model *model, int batch_size, int threads)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    ksk_error err = {0};
    options.batch_size = batch_size;
    options.threads = threads;
    options.decode.cascade.topk = 7;
    ksk_translator *translator = ksk_translator_new(model, &options, &err);
    if (!translator)
        fail_msg("%s", err.message);
    return translator;
}

/* The score of the output is what scoring it gives. */
static void check_score(const ksk_model *model, const ksk_translation *t)
{
    const int32_t *source = t->source_ids, *target = t->alternatives[0].ids;
    const int target_length = t->alternatives[0].id_count;
    float log_probs[64];
    double sum = 0;
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    assert_in_range(target_length, 1, 64);
    assert_true(ksk_seq2seq_score(plans_of(model, KSK_TO_SCORE), &model->rules, workspace, 1,
                                  &source, &t->source_id_count, &target, &target_length, log_probs,
                                  NULL));
    for (int i = 0; i < target_length; i++)
        sum += (double)log_probs[i];
    assert_true(fabs(sum - t->alternatives[0].score) < 1e-4);
    ksk_workspace_free(workspace);
}

static void check_text(const char *name, const char *order)
{
    ksk_model *model = make_model(name, order);
    ksk_translation together[line_count] = {{0}}, alone[line_count] = {{0}};
    ksk_translator *many = new_translator(model, 8, 2), *one = new_translator(model, 1, 1);
    ksk_error err = {0};
    if (!ksk_translate(many, line_count, lines, together, &err))
        fail_msg("%s", err.message);
    assert_true(ksk_translate(one, line_count, lines, alone, NULL));
    for (int i = 0; i < line_count; i++) {
        assert_string_equal(together[i].text, alone[i].text);
        assert_true(together[i].alternatives[0].score == alone[i].alternatives[0].score);
        if (*lines[i])
            check_score(model, &together[i]);
        ksk_translation_clear(&together[i]);
        ksk_translation_clear(&alone[i]);
    }
    ksk_translator_free(many);
    ksk_translator_free(one);
    ksk_model_free(model);
}

static void test_text(void **state)
{
    check_text("opus", "4");
    check_text("split", "2");
    check_text("tiny", "1");
}

static void test_save_and_verify(void **state)
{
    ksk_error err = {0};
    int checked = 0;
    ksk_model *model = make_model("tiny", "2");
    if (!ksk_model_save(model, checkpoint_directory, &err))
        fail_msg("%s", err.message);
    ksk_model_free(model);
    model = load(NULL);
    assert_int_equal(model->rules.block, 3);
    assert_true(model->rules.length_a == 1.1 && model->rules.length_b == 0.7);
    if (!ksk_model_verify(model, &checked, &err))
        fail_msg("%s", err.message);
    assert_in_range(checked, 1, 100);
    ksk_model_free(model);
}

/* --- refusals ------------------------------------------------------------------------------------
 */

static void refuse_checkpoint(const char *key, const char *value, const char *part)
{
    ksk_error err = {0};
    make_checkpoint("opus", "3");
    checkpoint_set(key, value);
    assert_null(ksk_model_load(checkpoint_directory, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_settings(void **state)
{
    refuse_checkpoint("markov_order", NULL, "no Markov Transformer");
    refuse_checkpoint("markov_order", "-1", "markov_order");
    refuse_checkpoint("markov_order", "65", "markov_order");
    refuse_checkpoint("markov_order", "\"3\"", "markov_order");
    refuse_checkpoint("length_a", "\"one\"", "length_a");
    refuse_checkpoint("length_b", "[]", "length_b");
    refuse_checkpoint("d_model", "25", "d_model");
    refuse_checkpoint("cascade_topk", "0", "cascade_topk");
}

static void test_defaults(void **state)
{
    make_checkpoint("tiny", "2");
    checkpoint_set("cascade_topk", "9");
    checkpoint_set("cascade_keep", "4");
    checkpoint_set("cascade_rounds", "2");
    checkpoint_set("cascade_delta", "1");
    checkpoint_set("cascade_support", "12");
    checkpoint_set("cascade_threshold", "2.5");
    ksk_model *model = load(NULL);
    const ksk_cascade_options cascade = ksk_translate_defaults(model).decode.cascade;
    assert_true(cascade.topk == 9 && cascade.keep == 4 && cascade.rounds == 2);
    assert_true(cascade.delta == 1 && cascade.support == 12 && cascade.threshold == 2.5);
    ksk_model_free(model);
}

static void refuse_decoder(const ksk_model *model, ksk_translate_options options, const char *part)
{
    ksk_error err = {0};
    assert_null(ksk_translator_new(model, &options, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_decoders(void **state)
{
    checkpoint_copy(KSK_FIXTURES "/marian/opus");
    ksk_model *model = load(NULL);
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = "cascade";
    refuse_decoder(model, options, "needs a Markov Transformer");
    refuse_decoder(model, options, "'marian'");
    ksk_model_free(model);
    model = make_model("opus", "3");
    options = ksk_translate_defaults(model);
    options.decode.cascade.rounds = 5;
    refuse_decoder(model, options, "rounds is 5, but the model's order 3 allows 4");
    ksk_model_free(model);
}

static void refuse_rows(ksk_markov *scorer, const ksk_contexts *contexts, const char *part)
{
    ksk_error err = {0};
    float *values;
    assert_false(scorer->score(scorer, contexts, &values, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void test_wrong_rows(void **state)
{
    ksk_model *model = make_model("tiny", "1");
    ksk_markov *scorer =
        ksk_markov_scorer_new(plans_of(model, KSK_TO_CASCADE), &model->rules, 1, NULL);
    const int32_t ids[] = {5, 2}, *source = ids;
    const int length = 2, zero = 0, one = 1;
    const int32_t begin = -1, second = -2, token = 4, big = 1 << 20, minus = -1;
    const int32_t span[][2] = {{0, 1}}, shifted[][2] = {{1, 1}};
    float *values;
    assert_true(scorer->start(scorer, 1, &source, &length, NULL));
    refuse_rows(scorer, &(ksk_contexts){1, &second, &token, &zero, NULL, NULL, NULL, NULL},
                "sentence 1 of 1");
    refuse_rows(scorer, &(ksk_contexts){1, &begin, &token, &minus, NULL, NULL, NULL, NULL},
                "position -1");
    refuse_rows(scorer, &(ksk_contexts){1, &begin, &token, &big, NULL, NULL, NULL, NULL},
                "position 1048576");
    refuse_rows(scorer, &(ksk_contexts){1, &begin, &token, &zero, &big, span, NULL, NULL},
                "candidate 1048576");
    refuse_rows(scorer, &(ksk_contexts){1, &begin, &token, &zero, &token, shifted, NULL, NULL},
                "candidates");
    refuse_rows(scorer, &(ksk_contexts){1, &zero, &token, &zero, NULL, NULL, NULL, NULL},
                "row 0 of 0");
    const ksk_contexts first = {1, &begin, &token, &one, NULL, NULL, NULL, NULL},
                       next = {1, &zero, &token, &zero, &token, span, NULL, NULL};
    assert_true(scorer->score(scorer, &first, &values, NULL));
    assert_true(scorer->score(scorer, &next, &values, NULL));
    refuse_rows(scorer, &next, "a context of 2 tokens; the order is 1");
    scorer->free(scorer);
    ksk_model_free(model);
}

/* Shares among a support are those of the whole vocabulary, over their sum. */
static void test_support(void **state)
{
    ksk_model *model = make_model("tiny", "1");
    ksk_markov *scorer =
        ksk_markov_scorer_new(plans_of(model, KSK_TO_CASCADE), &model->rules, 1, NULL);
    const int32_t one[] = {5, 7, 2}, other[] = {9, 2}, *const sources[] = {one, other};
    const int lengths[] = {3, 2}, V = scorer->vocabulary;
    const int32_t begin[] = {-1, -1, -2}, positions[] = {0, 1, 1};
    const int32_t support[] = {4, 11, 6, 3, 8}, supports[][2] = {{0, 3}, {3, 2}};
    const int32_t asked[] = {6, 4, 11, 8}, spans[][2] = {{0, 1}, {1, 2}, {3, 1}};
    const int sentence[] = {0, 0, 0, 1}, row[] = {0, 1, 1, 2};
    const ksk_contexts all = {3, begin, begin, positions, NULL, NULL, NULL, NULL};
    const ksk_contexts within = {3, begin, begin, positions, asked, spans, support, supports};
    float *values, *shares;
    assert_true(scorer->start(scorer, 2, sources, lengths, NULL));
    assert_true(scorer->score(scorer, &all, &values, NULL));
    assert_true(scorer->score(scorer, &within, &shares, NULL));
    for (int i = 0; i < 4; i++) {
        const float *const log_probs = values + (size_t)row[i] * (size_t)V;
        double sum = 0;
        for (int j = 0; j < supports[sentence[i]][1]; j++)
            sum += exp((double)log_probs[support[supports[sentence[i]][0] + j]]);
        assert_float_equal(shares[i], (double)log_probs[asked[i]] - log(sum), 1e-5);
    }
    const int32_t outside[] = {7, 4, 11, 8};
    ksk_contexts wrong = within;
    wrong.candidates = outside;
    refuse_rows(scorer, &wrong, "candidate 7 is not in the support");
    wrong = all;
    wrong.support = support;
    refuse_rows(scorer, &wrong, "a support without candidates");
    scorer->free(scorer);
    ksk_model_free(model);
}

/* --- memory --------------------------------------------------------------------------------------
 */

typedef struct attempt {
    const ksk_model *model;
    const ksk_seq2seq_plans *rounds, *whole;
} attempt;

static bool cascade_once(void *context, ksk_error *err)
{
    const attempt *a = context;
    const int32_t ids[] = {5, 7, 2}, *source = ids;
    const int length = 3;
    const uint64_t number = 0;
    ksk_nbest result = {0};
    ksk_decode_options options = ksk_decode_defaults();
    options.cascade.topk = 3;
    ksk_markov *scorer = ksk_markov_scorer_new(a->rounds, &a->model->rules, 1, err);
    const bool ok = scorer && ksk_decoder_find("cascade")->decode_markov(
                                  scorer, 1, &source, &length, &options, &number, &result, err);
    ksk_nbest_clear(&result);
    if (scorer)
        scorer->free(scorer);
    return ok;
}

static bool score_once(void *context, ksk_error *err)
{
    const attempt *a = context;
    const int32_t ids[] = {5, 7, 9, 11, 2}, *sentence = ids;
    const int length = 5;
    float log_probs[5];
    ksk_workspace *workspace = ksk_workspace_new(1, err);
    const bool ok =
        workspace && ksk_seq2seq_score(a->whole, &a->model->rules, workspace, 1, &sentence, &length,
                                       &sentence, &length, log_probs, err);
    ksk_workspace_free(workspace);
    return ok;
}

static void test_memory(void **state)
{
    ksk_model *model = make_model("tiny", "2");
    attempt a = {model, plans_of(model, KSK_TO_CASCADE), plans_of(model, KSK_TO_SCORE)};
    assert_true(fault_sweep(cascade_once, &a) > 30);
    assert_true(fault_sweep(score_once, &a) > 15);
    ksk_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_and_whole_targets),
        cmocka_unit_test(test_rows_in_any_company),
        cmocka_unit_test(test_left_to_right),
        cmocka_unit_test(test_long_order_is_marian),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_save_and_verify),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_decoders),
        cmocka_unit_test(test_wrong_rows),
        cmocka_unit_test(test_support),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
