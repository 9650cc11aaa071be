/* Three small Marian checkpoints with different dimensions throughout, against transformers:
 * encoder, logits, log-probabilities, and all that decoding makes of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "api/model.h"
#include "kaskad/random.h"
#include "reference.h"

enum { most_sources = 16 };

static const double tolerance = 1e-4;

/* A checkpoint, what is expected of it, and its compiled parts. */
typedef struct subject {
    const char *name;
    bool plain; /* with plain kernels and no fusion */
    ksk_model *model;
    json_t *expected;
    ksk_seq2seq_plans *steps, *whole;
    ksk_l2r *scorer;
    id_list sources[most_sources];
} subject;

static subject subjects[] = {{.name = KSK_FIXTURES "/marian/opus"},
                             {.name = KSK_FIXTURES "/marian/split"},
                             {.name = KSK_FIXTURES "/marian/tiny"},
                             {.name = KSK_FIXTURES "/marian/opus", .plain = true}};

enum { subject_count = sizeof subjects / sizeof *subjects };

static void prepare(subject *s)
{
    ksk_error err = {0};
    char path[4096];
    s->model = ksk_model_load(s->name, NULL, &err);
    if (!s->model)
        fail_msg("%s", err.message);
    const ksk_compile_options options = {.reference = s->plain};
    s->steps =
        ksk_seq2seq_plans_new(s->model->type, s->model->module, KSK_TO_GENERATE, &options, &err);
    s->whole =
        ksk_seq2seq_plans_new(s->model->type, s->model->module, KSK_TO_SCORE, &options, &err);
    assert_true(s->steps && s->whole);
    s->scorer = ksk_seq2seq_scorer_new(s->steps, &s->model->rules, 2, &err);
    assert_non_null(s->scorer);
    strcat(strcpy(path, s->name), "/expected.json");
    s->expected = reference_load(path);
    const json_t *sources = reference_get(s->expected, "sources");
    assert_in_range(json_array_size(sources), 1, most_sources);
    for (size_t i = 0; i < json_array_size(sources); i++)
        s->sources[i] = reference_ids(json_array_get(sources, i));
}

static int prepare_all(void **state)
{
    for (int i = 0; i < subject_count; i++)
        prepare(&subjects[i]);
    return 0;
}

static int clear_all(void **state)
{
    for (int i = 0; i < subject_count; i++) {
        subject *s = &subjects[i];
        s->scorer->free(s->scorer);
        ksk_seq2seq_plans_free(s->steps);
        ksk_seq2seq_plans_free(s->whole);
        ksk_model_free(s->model);
        json_decref(s->expected);
    }
    return 0;
}

static const id_list *source_of(const subject *s, const json_t *c)
{
    return &s->sources[reference_int(c, "source")];
}

static void assert_near(const subject *s, const char *what, size_t number, double found,
                        double expected)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s%s, %s %zu: %.6f, the reference has %.6f", s->name, s->plain ? " (plain)" : "",
                 what, number, found, expected);
}

/* --- text --------------------------------------------------------------------------------------
 */

static void check_text(const subject *s, const json_t *c)
{
    const char *source = reference_text(c, "source"), *target = reference_text(c, "target");
    const id_list source_ids = reference_ids(reference_get(c, "source_ids"));
    const id_list target_ids = reference_ids(reference_get(c, "target_ids"));
    const ksk_tokenizer *tokenizer = s->model->tokenizer;
    ksk_ids found = {0};
    assert_true(ksk_tokenizer_encode_source(tokenizer, source, strlen(source), &found, NULL, NULL));
    assert_same_ids(found.ids, (int)found.count, &source_ids);
    found.count = 0;
    assert_true(ksk_tokenizer_encode_target(tokenizer, target, strlen(target), &found, NULL, NULL));
    assert_same_ids(found.ids, (int)found.count, &target_ids);
    ksk_free(found.ids);
    char *text = ksk_tokenizer_decode(tokenizer, target_ids.at, (size_t)target_ids.count, NULL);
    assert_string_equal(text, reference_text(c, "decoded"));
    ksk_free(text);
}

static void test_text(void **state)
{
    for (int i = 0; i < subject_count; i++) {
        const json_t *cases = reference_get(subjects[i].expected, "texts");
        assert_true(json_array_size(cases) >= 8);
        for (size_t k = 0; k < json_array_size(cases); k++)
            check_text(&subjects[i], json_array_get(cases, k));
    }
}

/* --- encoder -----------------------------------------------------------------------------------
 */

/* [source rows, width]; caller releases. */
static ksk_tensor *encode(const subject *s, const id_list *source)
{
    ksk_graph *graph = ksk_graph_new();
    const ksk_shape vector = ksk_shape1(ksk_named(graph, "rows"));
    const ksk_shape pairs = ksk_shape2(ksk_named(graph, "rows"), ksk_fixed(2));
    const ksk_sym ids = ksk_input(graph, "ids", KSK_I32, vector),
                  positions = ksk_input(graph, "positions", KSK_I32, vector);
    const ksk_pattern self = {ksk_input(graph, "spans", KSK_I32, pairs), ksk_none(graph),
                              ksk_none(graph)};
    const ksk_sym output =
        s->model->type->seq2seq->encode(s->model->module, ids, positions, &self, NULL);
    const ksk_compile_options options = {.reference = s->plain};
    ksk_error err = {0};
    ksk_plan *plan = ksk_compile(graph, 1, &output, &options, &err);
    ksk_graph_free(graph);
    ksk_workspace *workspace = ksk_workspace_new(1, &err);
    int32_t places[reference_most_ids], spans[reference_most_ids][2];
    for (int i = 0; i < source->count; i++) {
        places[i] = i;
        spans[i][0] = 0;
        spans[i][1] = source->count;
    }
    const int64_t shape[] = {source->count, 2};
    ksk_tensor *inputs[] = {
        ksk_tensor_wrap(KSK_I32, 1, shape, source->at, NULL, NULL, &err),
        ksk_tensor_wrap(KSK_I32, 1, shape, places, NULL, NULL, &err),
        ksk_tensor_wrap(KSK_I32, 2, shape, spans, NULL, NULL, &err),
    };
    ksk_tensor *encoded = NULL;
    if (!plan || !workspace ||
        !ksk_run(plan, workspace, (const ksk_tensor *const *)inputs, &encoded, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++)
        ksk_tensor_release(inputs[i]);
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    return encoded;
}

static void check_encoder(const subject *s, const json_t *c)
{
    const id_list positions = reference_ids(reference_get(c, "positions"));
    ksk_tensor *encoded = encode(s, source_of(s, c));
    const int64_t width = ksk_tensor_size(encoded, 1);
    for (int i = 0; i < positions.count; i++) {
        const json_t *vector = json_array_get(reference_get(c, "values"), (size_t)i);
        const float *row = ksk_tensor_f32(encoded) + positions.at[i] * width;
        assert_int_equal(json_array_size(vector), width);
        for (size_t j = 0; j < (size_t)width; j++)
            assert_near(s, "encoder's column", j, (double)row[j],
                        json_number_value(json_array_get(vector, j)));
    }
    ksk_tensor_release(encoded);
}

static void test_encoder(void **state)
{
    for (int i = 0; i < subject_count; i++) {
        const json_t *cases = reference_get(subjects[i].expected, "encoder");
        assert_true(json_array_size(cases) >= 3);
        for (size_t k = 0; k < json_array_size(cases); k++)
            check_encoder(&subjects[i], json_array_get(cases, k));
    }
}

/* --- targets that are given --------------------------------------------------------------------
 */

static void check_probes(const subject *s, const json_t *c, int position, const float *logits)
{
    const json_t *probes = reference_get(c, "probes"), *full = reference_get(c, "full");
    for (size_t k = 0; k < json_array_size(probes); k++) {
        const json_t *probe = json_array_get(probes, k);
        if (reference_int(probe, "position") != position)
            continue;
        const id_list ids = reference_ids(reference_get(probe, "ids"));
        for (int i = 0; i < ids.count; i++)
            assert_near(
                s, "logit", (size_t)ids.at[i], (double)logits[ids.at[i]],
                json_number_value(json_array_get(reference_get(probe, "logits"), (size_t)i)));
    }
    if (reference_int(full, "position") != position)
        return;
    const json_t *values = reference_get(full, "logits");
    assert_int_equal(json_array_size(values), s->scorer->vocabulary);
    for (size_t i = 0; i < json_array_size(values); i++)
        assert_near(s, "logit", i, (double)logits[i], json_number_value(json_array_get(values, i)));
}

static void check_logits(const subject *s, const json_t *c, const id_list *target)
{
    const id_list *source = source_of(s, c);
    const int32_t *const ids = source->at;
    assert_true(s->scorer->start(s->scorer, 1, &ids, &source->count, NULL));
    for (int step = 0; step < target->count; step++) {
        const int32_t parent = step ? 0 : -1;
        const int32_t token = step ? target->at[step - 1] : s->scorer->start_id;
        float *logits;
        assert_true(s->scorer->step(s->scorer, 1, &parent, &token, &logits, NULL));
        check_probes(s, c, step, logits);
    }
}

static void check_forced(const subject *s, const json_t *c)
{
    const id_list target = reference_ids(reference_get(c, "target"));
    const id_list *source = source_of(s, c);
    const int32_t *const source_ids = source->at, *const target_ids = target.at;
    float log_probs[reference_most_ids];
    ksk_workspace *workspace = ksk_workspace_new(2, NULL);
    check_logits(s, c, &target);
    assert_true(ksk_seq2seq_score(s->whole, &s->model->rules, workspace, 1, &source_ids,
                                  &source->count, &target_ids, &target.count, log_probs, NULL));
    ksk_workspace_free(workspace);
    double sum = 0;
    for (size_t i = 0; i < (size_t)target.count; i++) {
        assert_near(s, "target token", i, (double)log_probs[i],
                    json_number_value(json_array_get(reference_get(c, "token_log_probs"), i)));
        sum += (double)log_probs[i];
    }
    assert_near(s, "sum over tokens:", (size_t)target.count, sum, reference_number(c, "log_prob"));
}

static void test_forced(void **state)
{
    for (int i = 0; i < subject_count; i++) {
        const json_t *cases = reference_get(subjects[i].expected, "forced");
        assert_true(json_array_size(cases) >= 4);
        for (size_t k = 0; k < json_array_size(cases); k++)
            check_forced(&subjects[i], json_array_get(cases, k));
    }
}

/* --- options -----------------------------------------------------------------------------------
 */

/* generate's options; the lists that they point to are beside them. */
typedef struct options {
    ksk_decode_options decode;
    id_list prefix, banned;
} options;

static ksk_early_stopping early_stopping(const json_t *value)
{
    if (json_is_string(value)) {
        assert_string_equal(json_string_value(value), "never");
        return KSK_STOP_NEVER;
    }
    return json_is_true(value) ? KSK_STOP_AT_ONCE : KSK_STOP_HEURISTIC;
}

/* [[7], [9]] as 7, 9 */
static id_list single_ids(const json_t *lists)
{
    id_list ids = {.count = (int)json_array_size(lists)};
    assert_in_range(ids.count, 1, reference_most_ids);
    for (int i = 0; i < ids.count; i++) {
        const json_t *one = json_array_get(lists, (size_t)i);
        assert_int_equal(json_array_size(one), 1);
        ids.at[i] = (int32_t)json_integer_value(json_array_get(one, 0));
    }
    return ids;
}

static bool set_integer(ksk_decode_options *o, const char *name, const json_t *value)
{
    const struct {
        const char *name;
        int *field;
    } integers[] = {{"num_beams", &o->beams},
                    {"num_return_sequences", &o->n_best},
                    {"max_length", &o->max_length},
                    {"min_length", &o->min_length},
                    {"no_repeat_ngram_size", &o->no_repeat_ngram},
                    {"top_k", &o->top_k},
                    {"forced_bos_token_id", &o->forced_first},
                    {"forced_eos_token_id", &o->forced_last}};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        if (strcmp(name, integers[i].name) == 0) {
            assert_true(json_is_integer(value));
            *integers[i].field = (int)json_integer_value(value);
            return true;
        }
    return false;
}

static bool set_number(ksk_decode_options *o, const char *name, const json_t *value)
{
    const struct {
        const char *name;
        float *field;
    } numbers[] = {{"length_penalty", &o->length_penalty},
                   {"repetition_penalty", &o->repetition_penalty},
                   {"temperature", &o->temperature},
                   {"top_p", &o->top_p}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0) {
            assert_true(json_is_number(value));
            *numbers[i].field = (float)json_number_value(value);
            return true;
        }
    return false;
}

static void set_option(options *o, const char *name, const json_t *value)
{
    if (set_integer(&o->decode, name, value) || set_number(&o->decode, name, value))
        return;
    if (strcmp(name, "early_stopping") == 0)
        o->decode.early_stopping = early_stopping(value);
    else if (strcmp(name, "renormalize_logits") == 0)
        o->decode.renormalize = json_is_true(value);
    else if (strcmp(name, "prefix") == 0)
        o->prefix = reference_ids(value);
    else if (strcmp(name, "bad_words_ids") == 0)
        o->banned = single_ids(value);
    else
        fail_msg("the fixture has an option '%s' that this test does not know", name);
}

static void read_options(const subject *s, const json_t *c, options *o)
{
    json_t *given = reference_get(c, "options");
    *o = (options){.decode = ksk_decode_defaults(),
                   .banned = {.at = {s->model->rules.pad_id}, .count = 1}};
    for (void *at = json_object_iter(given); at; at = json_object_iter_next(given, at))
        set_option(o, json_object_iter_key(at), json_object_iter_value(at));
    o->decode.prefix = o->prefix.at;
    o->decode.prefix_length = o->prefix.count;
    o->decode.banned = o->banned.at;
    o->decode.banned_count = o->banned.count;
}

/* --- decoding ----------------------------------------------------------------------------------
 */

/* Where a case stands, for messages. */
typedef struct place {
    const subject *subject;
    const char *kind;
    size_t number;
} place;

static void check_hypothesis(const place *at, const ksk_hypothesis *found, const json_t *expected)
{
    const id_list ids = reference_ids(reference_get(expected, "ids"));
    if (found->length != ids.count ||
        memcmp(found->ids, ids.at, (size_t)ids.count * sizeof *ids.at) != 0)
        fail_msg("%s, %s %zu: other tokens than the reference", at->subject->name, at->kind,
                 at->number);
    assert_near(at->subject, at->kind, at->number, found->score,
                reference_number(expected, "score"));
    assert_int_equal(found->finished, ids.at[ids.count - 1] == at->subject->model->rules.end_id);
}

static void decode(const place *at, const char *decoder, const options *o, const id_list *source,
                   ksk_nbest *found)
{
    const int32_t *const ids = source->at;
    ksk_error err = {0};
    *found = (ksk_nbest){0};
    if (!ksk_decoder_find(decoder)->decode(at->subject->scorer, 1, &ids, &source->count, &o->decode,
                                           &(const uint64_t){0}, found, &err))
        fail_msg("%s, %s %zu: %s", at->subject->name, at->kind, at->number, err.message);
}

static void check_greedy(const place *at, const json_t *c)
{
    options o;
    ksk_nbest found;
    read_options(at->subject, c, &o);
    decode(at, "greedy", &o, source_of(at->subject, c), &found);
    assert_int_equal(found.count, 1);
    check_hypothesis(at, &found.hypotheses[0], c);
    ksk_nbest_clear(&found);
}

static void check_nbest(const place *at, const ksk_nbest *found, const json_t *hypotheses)
{
    assert_int_equal(found->count, json_array_size(hypotheses));
    for (int i = 0; i < found->count; i++)
        check_hypothesis(at, &found->hypotheses[i], json_array_get(hypotheses, (size_t)i));
}

static void check_beam(const place *at, const json_t *c)
{
    options o;
    ksk_nbest found;
    read_options(at->subject, c, &o);
    decode(at, "beam", &o, source_of(at->subject, c), &found);
    check_nbest(at, &found, reference_get(c, "hypotheses"));
    ksk_nbest_clear(&found);
}

static void check_batch(const place *at, const json_t *c)
{
    const id_list numbers = reference_ids(reference_get(c, "sources"));
    const int32_t *ids[most_sources];
    int lengths[most_sources];
    uint64_t in_job[most_sources];
    ksk_nbest found[most_sources] = {{0}};
    options o;
    read_options(at->subject, c, &o);
    for (int i = 0; i < numbers.count; i++) {
        ids[i] = at->subject->sources[numbers.at[i]].at;
        lengths[i] = at->subject->sources[numbers.at[i]].count;
        in_job[i] = (uint64_t)i;
    }
    assert_true(ksk_decoder_find("beam")->decode(at->subject->scorer, numbers.count, ids, lengths,
                                                 &o.decode, in_job, found, NULL));
    for (int i = 0; i < numbers.count; i++) {
        check_nbest(at, &found[i], json_array_get(reference_get(c, "hypotheses"), (size_t)i));
        ksk_nbest_clear(&found[i]);
    }
}

/* The sampler's t-th number is given[t]: tests/CMakeLists.txt has the linker put this function
 * where the sampler asks for its numbers. */
static double given[reference_most_ids];
static size_t given_count;

double __wrap_ksk_random_uniform_double(ksk_key key, uint64_t counter);

double __wrap_ksk_random_uniform_double(ksk_key key, uint64_t counter)
{
    if (counter >= given_count)
        fail_msg("the sampler goes on where the reference had ended");
    return given[counter];
}

static void check_sample(const place *at, const json_t *c)
{
    const json_t *uniforms = reference_get(c, "uniforms");
    options o;
    ksk_nbest found;
    given_count = json_array_size(uniforms);
    assert_in_range(given_count, 1, reference_most_ids);
    for (size_t i = 0; i < given_count; i++)
        given[i] = json_number_value(json_array_get(uniforms, i));
    read_options(at->subject, c, &o);
    decode(at, "sample", &o, source_of(at->subject, c), &found);
    check_hypothesis(at, &found.hypotheses[0], c);
    ksk_nbest_clear(&found);
}

static void check_all(const char *kind, size_t least, void (*check)(const place *, const json_t *))
{
    for (int i = 0; i < subject_count; i++) {
        const json_t *cases = reference_get(subjects[i].expected, kind);
        assert_true(json_array_size(cases) >= least);
        for (size_t k = 0; k < json_array_size(cases); k++)
            check(&(place){&subjects[i], kind, k}, json_array_get(cases, k));
    }
}

static void test_greedy(void **state)
{
    check_all("greedy", 30, check_greedy);
}

static void test_beam(void **state)
{
    check_all("beam", 200, check_beam);
}

static void test_batch(void **state)
{
    check_all("batch", 3, check_batch);
}

static void test_sample(void **state)
{
    check_all("sample", 30, check_sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_encoder),
        cmocka_unit_test(test_forced), cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_beam),   cmocka_unit_test(test_batch),
        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, prepare_all, clear_all);
}
