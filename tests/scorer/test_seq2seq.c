/* Scoring with the small random checkpoints: a step at a time and whole targets agree, and a row's
 * bits do not depend on the rows beside it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/model.h"
#include "fault.h"

enum { most_sentences = 9, most_tokens = 32, most_vocabulary = 128, most_rows = 24 };

static const char *const directories[] = {KSK_FIXTURES "/marian/opus", KSK_FIXTURES "/marian/split",
                                          KSK_FIXTURES "/marian/tiny"};
static ksk_model *models[3];

static int load_models(void **state)
{
    for (int i = 0; i < 3; i++) {
        ksk_error err = {0};
        models[i] = ksk_model_load(directories[i], NULL, &err);
        if (!models[i]) {
            print_error("%s\n", err.message);
            return -1;
        }
    }
    return 0;
}

static int free_models(void **state)
{
    for (int i = 0; i < 3; i++)
        ksk_model_free(models[i]);
    return 0;
}

/* --- made-up sentences -------------------------------------------------------------------------
 */

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

static ksk_seq2seq_plans *make_plans(const ksk_model *model, ksk_purpose purpose,
                                     const ksk_compile_options *options)
{
    ksk_error err = {0};
    ksk_seq2seq_plans *plans =
        ksk_seq2seq_plans_new(model->type, model->module, purpose, options, &err);
    if (!plans)
        fail_msg("%s", err.message);
    return plans;
}

static ksk_l2r *make_scorer(const ksk_model *model, const ksk_seq2seq_plans *plans, int threads)
{
    ksk_l2r *scorer = ksk_seq2seq_scorer_new(plans, &model->rules, threads, NULL);
    assert_non_null(scorer);
    return scorer;
}

/* --- steps and whole targets -------------------------------------------------------------------
 */

static double log_probability(const float *logits, int vocabulary, int32_t id)
{
    double top = logits[0], sum = 0;
    for (int i = 1; i < vocabulary; i++)
        top = fmax(top, (double)logits[i]);
    for (int i = 0; i < vocabulary; i++)
        sum += exp((double)logits[i] - top);
    return (double)logits[id] - top - log(sum);
}

/* Feeds every target; sentences whose target has ended drop out. */
static void score_by_steps(ksk_l2r *scorer, const sentences *sources, const sentences *targets,
                           double log_probs[most_sentences][most_tokens])
{
    int32_t before[most_sentences];
    assert_true(scorer->start(scorer, most_sentences, sources->pointers, sources->lengths, NULL));
    for (int step = 0, old = 0; step < most_tokens; step++) {
        int32_t parents[most_sentences], tokens[most_sentences], now[most_sentences];
        int rows = 0;
        for (int i = 0; i < most_sentences; i++)
            if (step < targets->lengths[i]) {
                int parent = 0;
                while (parent < old && before[parent] != i)
                    parent++;
                parents[rows] = step ? parent : -1 - i;
                tokens[rows] = step ? targets->ids[i][step - 1] : scorer->start_id;
                now[rows++] = i;
            }
        float *logits;
        assert_true(scorer->step(scorer, rows, parents, tokens, &logits, NULL));
        for (int r = 0; r < rows; r++)
            log_probs[now[r]][step] =
                log_probability(logits + (size_t)r * (size_t)scorer->vocabulary, scorer->vocabulary,
                                targets->ids[now[r]][step]);
        memcpy(before, now, sizeof before);
        old = rows;
    }
}

static void compare_ways(const ksk_model *model, const ksk_compile_options *options, int threads)
{
    sentences sources, targets;
    make_sentences(&sources, 5, model->rules.source_vocabulary);
    make_sentences(&targets, 6, model->rules.vocabulary);
    ksk_seq2seq_plans *steps = make_plans(model, KSK_TO_GENERATE, options);
    ksk_seq2seq_plans *whole = make_plans(model, KSK_TO_SCORE, options);
    ksk_l2r *scorer = make_scorer(model, steps, threads);
    ksk_workspace *workspace = ksk_workspace_new(threads, NULL);
    assert_non_null(workspace);
    double by_steps[most_sentences][most_tokens];
    float at_once[most_sentences * most_tokens];
    score_by_steps(scorer, &sources, &targets, by_steps);
    assert_true(ksk_seq2seq_score(whole, &model->rules, workspace, most_sentences, sources.pointers,
                                  sources.lengths, targets.pointers, targets.lengths, at_once,
                                  NULL));
    const float *next = at_once;
    for (int i = 0; i < most_sentences; i++)
        for (int j = 0; j < targets.lengths[i]; j++, next++)
            if (!(fabs((double)*next - by_steps[i][j]) <= 1e-5))
                fail_msg("sentence %d, token %d: %.7f at once, %.7f by steps", i, j, (double)*next,
                         by_steps[i][j]);
    ksk_workspace_free(workspace);
    scorer->free(scorer);
    ksk_seq2seq_plans_free(steps);
    ksk_seq2seq_plans_free(whole);
}

static void test_steps_and_whole_targets(void **state)
{
    for (int i = 0; i < 3; i++) {
        compare_ways(models[i], &(ksk_compile_options){.reference = true}, 1);
        compare_ways(models[i], &(ksk_compile_options){.reference = false}, 1);
        compare_ways(models[i], &(ksk_compile_options){.reference = false}, 2);
    }
}

/* --- company -----------------------------------------------------------------------------------
 */

/* What a row was fed, and for which sentence. */
typedef struct history {
    int sentence, length;
    int32_t tokens[most_tokens];
} history;

static int grow_histories(const history *old, int old_rows, history *now, ksk_key key,
                          const ksk_l2r *scorer, int32_t *parents, int32_t *tokens)
{
    const int rows = 1 + (int)(ksk_random_bits(key, 0) % most_rows);
    for (int i = 0; i < rows; i++) {
        const uint32_t bits = ksk_random_bits(key, (uint64_t)i + 1);
        const bool begins = old_rows == 0 || bits % 7 == 0;
        const int sentence = (int)(bits / 8 % most_sentences);
        parents[i] = begins ? -1 - sentence : (int32_t)(bits / 8 % (uint32_t)old_rows);
        now[i] = begins ? (history){.sentence = sentence} : old[parents[i]];
        tokens[i] =
            begins ? scorer->start_id : (int32_t)(bits / 512 % (uint32_t)scorer->vocabulary);
        now[i].tokens[now[i].length++] = tokens[i];
    }
    return rows;
}

/* The same hypothesis with nobody beside it. */
static void assert_same_alone(ksk_l2r *alone, const sentences *sources, const history *h,
                              const float *logits)
{
    float *own = NULL;
    assert_true(alone->start(alone, 1, &sources->pointers[h->sentence],
                             &sources->lengths[h->sentence], NULL));
    for (int i = 0; i < h->length; i++) {
        const int32_t parent = i ? 0 : -1;
        assert_true(alone->step(alone, 1, &parent, &h->tokens[i], &own, NULL));
    }
    assert_memory_equal(own, logits, (size_t)alone->vocabulary * sizeof *own);
}

static void compare_company(const ksk_model *model, ksk_precision precision, int threads)
{
    sentences sources;
    history old[most_rows], now[most_rows];
    make_sentences(&sources, 7, model->rules.source_vocabulary);
    ksk_seq2seq_plans *plans =
        make_plans(model, KSK_TO_GENERATE, &(ksk_compile_options){.precision = precision});
    ksk_l2r *together = make_scorer(model, plans, threads), *alone = make_scorer(model, plans, 1);
    assert_true(together->start(together, most_sentences, sources.pointers, sources.lengths, NULL));
    for (int step = 0, rows = 0; step < most_tokens; step++) {
        int32_t parents[most_rows], tokens[most_rows];
        const ksk_key key = ksk_key_split(ksk_key_from_seed(8), (uint64_t)step);
        const int count = grow_histories(old, rows, now, key, together, parents, tokens);
        float *logits;
        assert_true(together->step(together, count, parents, tokens, &logits, NULL));
        for (int i = step % 4; i < count; i += 4)
            assert_same_alone(alone, &sources, &now[i],
                              logits + (size_t)i * (size_t)together->vocabulary);
        memcpy(old, now, sizeof old);
        rows = count;
    }
    together->free(together);
    alone->free(alone);
    ksk_seq2seq_plans_free(plans);
}

static void test_rows_in_any_company(void **state)
{
    compare_company(models[0], KSK_PRECISION_F32, 1);
    compare_company(models[1], KSK_PRECISION_F32, 2);
    compare_company(models[2], KSK_PRECISION_F32, 3);
    compare_company(models[0], KSK_PRECISION_BF16, 2);
    compare_company(models[2], KSK_PRECISION_INT8, 2);
}

static void compare_scores(const ksk_model *model, ksk_precision precision)
{
    sentences sources, targets;
    make_sentences(&sources, 9, model->rules.source_vocabulary);
    make_sentences(&targets, 10, model->rules.vocabulary);
    ksk_seq2seq_plans *plans =
        make_plans(model, KSK_TO_SCORE, &(ksk_compile_options){.precision = precision});
    ksk_workspace *two = ksk_workspace_new(2, NULL), *one = ksk_workspace_new(1, NULL);
    float together[most_sentences * most_tokens], alone[most_tokens];
    const float *next = together;
    assert_true(two && one);
    assert_true(ksk_seq2seq_score(plans, &model->rules, two, most_sentences, sources.pointers,
                                  sources.lengths, targets.pointers, targets.lengths, together,
                                  NULL));
    for (int i = 0; i < most_sentences; next += targets.lengths[i++]) {
        assert_true(ksk_seq2seq_score(plans, &model->rules, one, 1, &sources.pointers[i],
                                      &sources.lengths[i], &targets.pointers[i],
                                      &targets.lengths[i], alone, NULL));
        assert_memory_equal(alone, next, (size_t)targets.lengths[i] * sizeof *alone);
    }
    ksk_workspace_free(two);
    ksk_workspace_free(one);
    ksk_seq2seq_plans_free(plans);
}

static void test_scores_in_any_company(void **state)
{
    compare_scores(models[0], KSK_PRECISION_F32);
    compare_scores(models[1], KSK_PRECISION_BF16);
    compare_scores(models[2], KSK_PRECISION_INT8);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
    const ksk_model *model = models[1];
    ksk_seq2seq_plans *plans = make_plans(model, KSK_TO_GENERATE, NULL);
    ksk_l2r *scorer = make_scorer(model, plans, 1);
    static const int32_t source[] = {5, 61}, beyond[] = {5, 62};
    const int32_t *const good[] = {source, source}, *const bad[] = {source, beyond};
    const int lengths[] = {2, 2};
    float *logits;
    ksk_error err = {0};
    assert_false(scorer->start(scorer, 2, bad, lengths, &err));
    assert_string_equal(err.message, "source 1: token 1 is 62, not in [0, 62)");
    assert_false(scorer->step(scorer, 1, (const int32_t[]){-1}, (const int32_t[]){2}, &logits,
                              &err)); /* nothing has been started */
    assert_true(scorer->start(scorer, 2, good, lengths, &err));
    assert_false(
        scorer->step(scorer, 1, (const int32_t[]){-3}, (const int32_t[]){2}, &logits, &err));
    assert_string_equal(err.message, "row 0 begins sentence 2 of 2");
    assert_false(scorer->step(scorer, 2, (const int32_t[]){-1, -2}, (const int32_t[]){71, 72},
                              &logits, &err));
    assert_string_equal(err.message, "row 1: token 72 is not in [0, 72)");
    assert_false(
        scorer->step(scorer, 1, (const int32_t[]){0}, (const int32_t[]){2}, &logits, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    int32_t parent = -1;
    for (int i = 0; i < scorer->max_target; i++, parent = 0)
        assert_true(scorer->step(scorer, 1, &parent, (const int32_t[]){71}, &logits, &err));
    assert_false(scorer->step(scorer, 1, &parent, (const int32_t[]){71}, &logits, &err));
    assert_string_equal(err.message, "a hypothesis is longer than the model's 50 positions");
    scorer->free(scorer);
    ksk_seq2seq_plans_free(plans);
}

static void test_wrong_targets(void **state)
{
    const ksk_model *model = models[0];
    ksk_seq2seq_plans *plans = make_plans(model, KSK_TO_SCORE, NULL);
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    static const int32_t fine[] = {3, 0}, beyond[] = {65};
    const int32_t *const source = fine, *const target = beyond;
    float log_probs[2];
    ksk_error err = {0};
    assert_false(ksk_seq2seq_score(plans, &model->rules, workspace, 1, &source, &(const int){2},
                                   &target, &(const int){1}, log_probs, &err));
    assert_string_equal(err.message, "target 0: token 0 is 65, not in [0, 65)");
    assert_false(ksk_seq2seq_score(plans, &model->rules, workspace, 1, &source, &(const int){2},
                                   &source, &(const int){0}, log_probs, &err));
    assert_string_equal(err.message, "target 0 has 0 tokens; the model takes 1 to 64");
    assert_true(ksk_seq2seq_score(plans, &model->rules, workspace, 0, NULL, NULL, NULL, NULL,
                                  log_probs, &err));
    ksk_workspace_free(workspace);
    ksk_seq2seq_plans_free(plans);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static bool compile_and_step(void *context, ksk_error *err)
{
    const ksk_model *model = context;
    static const int32_t ids[] = {5, 9, 0};
    const int32_t *const source = ids;
    float *logits;
    ksk_seq2seq_plans *plans =
        ksk_seq2seq_plans_new(model->type, model->module, KSK_TO_GENERATE, NULL, err);
    ksk_l2r *scorer = plans ? ksk_seq2seq_scorer_new(plans, &model->rules, 2, err) : NULL;
    const bool ok =
        scorer && scorer->start(scorer, 1, &source, &(const int){3}, err) &&
        scorer->step(scorer, 2, (const int32_t[]){-1, -1}, (const int32_t[]){1, 2}, &logits, err) &&
        scorer->step(scorer, 3, (const int32_t[]){0, 1, 0}, (const int32_t[]){1, 2, 3}, &logits,
                     err);
    if (scorer)
        scorer->free(scorer);
    ksk_seq2seq_plans_free(plans);
    return ok;
}

static void test_memory(void **state)
{
    assert_true(fault_sweep(compile_and_step, models[1]) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_and_whole_targets), cmocka_unit_test(test_rows_in_any_company),
        cmocka_unit_test(test_scores_in_any_company),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_wrong_targets),           cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, load_models, free_models);
}
