#include "scorer/seq2seq.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/ragged.h"
#include "scorer/slots.h"
#include "tensor/tensor.h"

struct ksk_seq2seq_plans {
    ksk_plan *remember; /* to generate: source → caches */
    ksk_plan *step;     /* to generate: tokens → logits */
    ksk_plan *score;    /* to score: source, target → log-probabilities */
};

/* --- tracing ------------------------------------------------------------------------------------
 */

static ksk_sym ids_input(ksk_graph *graph, const char *name, const char *rows)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape1(ksk_named(graph, rows)));
}

static ksk_sym spans_input(ksk_graph *graph, const char *name, const char *rows)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape2(ksk_named(graph, rows), ksk_fixed(2)));
}

/* Inputs: source ids, positions, spans. */
static ksk_sym trace_encoder(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module)
{
    const ksk_sym ids = ids_input(graph, "source ids", "source rows");
    const ksk_sym positions = ids_input(graph, "source positions", "source rows");
    const ksk_pattern self = {spans_input(graph, "source spans", "source rows"), ksk_none(graph),
                              ksk_none(graph)};
    return parts->encode(module, ids, positions, &self, NULL);
}

static ksk_plan *compile_remember(ksk_graph *graph, const ksk_seq2seq *parts,
                                  const ksk_module *module, const ksk_compile_options *options,
                                  ksk_error *err)
{
    ksk_sym caches[KSK_MAX_CACHES];
    const ksk_sym memory = trace_encoder(graph, parts, module);
    const ksk_sym slots = ids_input(graph, "source slots", "source rows");
    const int count = parts->remember(module, memory, slots, caches);
    return ksk_compile(graph, count, caches, options, err);
}

static ksk_plan *compile_step(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module,
                              const ksk_compile_options *options, ksk_error *err)
{
    ksk_decoder_input input = {.memory = ksk_none(graph)};
    input.ids = ids_input(graph, "ids", "rows");
    input.positions = ids_input(graph, "positions", "rows");
    input.self.spans = spans_input(graph, "spans", "rows");
    input.self.index = ids_input(graph, "index", "entries");
    input.self.slots = ids_input(graph, "slots", "rows");
    input.cross =
        (ksk_pattern){spans_input(graph, "source spans", "rows"), ksk_none(graph), ksk_none(graph)};
    const ksk_sym logits = parts->project(module, parts->decode(module, &input));
    return ksk_compile(graph, 1, &logits, options, err);
}

static ksk_plan *compile_score(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module,
                               const ksk_compile_options *options, ksk_error *err)
{
    ksk_decoder_input input = {.memory = trace_encoder(graph, parts, module)};
    input.ids = ids_input(graph, "ids", "rows");
    input.positions = ids_input(graph, "positions", "rows");
    input.self =
        (ksk_pattern){spans_input(graph, "spans", "rows"), ksk_none(graph), ksk_none(graph)};
    input.cross = (ksk_pattern){spans_input(graph, "target's source spans", "rows"),
                                ksk_none(graph), ksk_none(graph)};
    const ksk_sym targets = ids_input(graph, "targets", "rows");
    const ksk_sym logits = parts->project(module, parts->decode(module, &input));
    const ksk_sym picked = ksk_pick(ksk_log_softmax(logits), targets);
    return ksk_compile(graph, 1, &picked, options, err);
}

typedef ksk_plan *(*compile_function)(ksk_graph *, const ksk_seq2seq *, const ksk_module *,
                                      const ksk_compile_options *, ksk_error *);

static ksk_plan *compile(compile_function function, const ksk_model_type *type,
                         const ksk_module *module, const ksk_compile_options *options,
                         ksk_error *err)
{
    ksk_graph *graph = ksk_graph_new();
    if (!graph) {
        ksk_fail_memory(err);
        return NULL;
    }
    ksk_plan *plan = function(graph, type->seq2seq, module, options, err);
    ksk_graph_free(graph);
    return plan;
}

ksk_seq2seq_plans *ksk_seq2seq_plans_new(const ksk_model_type *type, const ksk_module *module,
                                         ksk_purpose purpose, const ksk_compile_options *options,
                                         ksk_error *err)
{
    ksk_seq2seq_plans *plans = ksk_calloc(1, sizeof *plans);
    if (!plans) {
        ksk_fail_memory(err);
        return NULL;
    }
    bool ok;
    if (purpose == KSK_TO_SCORE) {
        plans->score = compile(compile_score, type, module, options, err);
        ok = plans->score;
    } else {
        plans->remember = compile(compile_remember, type, module, options, err);
        plans->step = plans->remember ? compile(compile_step, type, module, options, err) : NULL;
        ok = plans->step;
    }
    if (ok)
        return plans;
    ksk_seq2seq_plans_free(plans);
    return NULL;
}

void ksk_seq2seq_plans_free(ksk_seq2seq_plans *plans)
{
    if (!plans)
        return;
    ksk_plan_free(plans->remember);
    ksk_plan_free(plans->step);
    ksk_plan_free(plans->score);
    ksk_free(plans);
}

/* --- the left-to-right scorer -------------------------------------------------------------------
 */

typedef struct scorer {
    ksk_l2r base;
    const ksk_seq2seq_plans *plans;
    ksk_sequence_rules rules;
    ksk_workspace *workspace;
    int sentences;
    int32_t (*sources)[2]; /* [sentences]: first slot, slots */
    ksk_slots slots;
    int32_t *sentence, *old_sentence; /* of each row */
    int32_t *positions;
    int32_t (*cross)[2];
    size_t sentence_room, old_sentence_room, position_room, cross_room;
    ksk_tensor *logits;
} scorer;

static ksk_tensor borrow_vector(const int32_t *data, int64_t count)
{
    return ksk_tensor_borrow(KSK_I32, 1, &count, data);
}

static ksk_tensor borrow_spans(int32_t (*spans)[2], int64_t rows)
{
    return ksk_tensor_borrow(KSK_I32, 2, (const int64_t[]){rows, 2}, spans);
}

static bool remember(scorer *s, const ksk_ragged *ragged, ksk_error *err)
{
    int32_t *slots = ksk_malloc((size_t)ragged->rows * sizeof *slots);
    ksk_tensor *outputs[KSK_MAX_CACHES] = {NULL};
    if (!slots)
        return ksk_fail_memory(err);
    for (int64_t i = 0; i < ragged->rows; i++)
        slots[i] = (int32_t)i;
    const ksk_tensor ids = borrow_vector(ragged->ids, ragged->rows),
                     positions = borrow_vector(ragged->positions, ragged->rows),
                     spans = borrow_spans(ragged->spans, ragged->rows),
                     places = borrow_vector(slots, ragged->rows);
    const ksk_tensor *const inputs[] = {&ids, &positions, &spans, &places};
    const bool ok = ksk_run(s->plans->remember, s->workspace, inputs, outputs, err);
    ksk_free(slots);
    return ok;
}

static bool start(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err)
{
    scorer *s = (scorer *)self;
    ksk_ragged ragged;
    ksk_slots_reset(&s->slots);
    s->sentences = 0;
    bool ok = ksk_ragged_fill(&ragged, sentences, sources, lengths, -1, false,
                              s->rules.source_vocabulary, s->rules.max_source, "source", err);
    ok = ok && (sentences == 0 || remember(s, &ragged, err));
    if (ok) {
        ksk_free(s->sources);
        s->sources = ragged.sentence;
        ragged.sentence = NULL;
        s->sentences = sentences;
    }
    ksk_ragged_clear(&ragged);
    return ok;
}

static bool check_step(const scorer *s, int rows, const int32_t *parents, const int32_t *tokens,
                       ksk_error *err)
{
    for (int i = 0; i < rows; i++) {
        if (-1 - parents[i] >= s->sentences)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d begins sentence %d of %d", i,
                            -1 - parents[i], s->sentences);
        if (tokens[i] < 0 || tokens[i] >= s->rules.vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: token %d is not in [0, %d)", i,
                            tokens[i], s->rules.vocabulary);
    }
    return true;
}

/* Sentences, positions and source spans of the new rows. */
static bool describe_rows(scorer *s, int rows, const int32_t *parents, ksk_error *err)
{
    int32_t *const old = s->sentence;
    const size_t old_room = s->sentence_room;
    s->sentence = s->old_sentence;
    s->sentence_room = s->old_sentence_room;
    s->old_sentence = old;
    s->old_sentence_room = old_room;
    const size_t count = (size_t)rows + 1;
    if (!ksk_grow(&s->sentence, &s->sentence_room, count, sizeof *s->sentence) ||
        !ksk_grow(&s->positions, &s->position_room, count, sizeof *s->positions) ||
        !ksk_grow(&s->cross, &s->cross_room, count, sizeof *s->cross))
        return ksk_fail_memory(err);
    for (int i = 0; i < rows; i++) {
        s->sentence[i] = parents[i] < 0 ? -1 - parents[i] : s->old_sentence[parents[i]];
        s->positions[i] = s->slots.spans[i][1] - 1;
        if (s->positions[i] >= s->rules.max_target)
            return ksk_fail(err, KSK_BAD_ARGUMENT,
                            "a hypothesis is longer than the model's %d "
                            "positions",
                            s->rules.max_target);
        memcpy(s->cross[i], s->sources[s->sentence[i]], sizeof s->cross[i]);
    }
    return true;
}

static bool step(ksk_l2r *self, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err)
{
    scorer *s = (scorer *)self;
    if (!check_step(s, rows, parents, tokens, err) ||
        !ksk_slots_step(&s->slots, rows, parents, err) || !describe_rows(s, rows, parents, err))
        return false;
    const ksk_tensor ids = borrow_vector(tokens, rows),
                     positions = borrow_vector(s->positions, rows),
                     spans = borrow_spans(s->slots.spans, rows),
                     index = borrow_vector(s->slots.index, s->slots.entries),
                     slots = borrow_vector(s->slots.slots, rows),
                     cross = borrow_spans(s->cross, rows);
    const ksk_tensor *const inputs[] = {&ids, &positions, &spans, &index, &slots, &cross};
    if (!ksk_run(s->plans->step, s->workspace, inputs, &s->logits, err))
        return false;
    *logits = ksk_tensor_fill(s->logits);
    return true;
}

static void free_scorer(ksk_l2r *self)
{
    scorer *s = (scorer *)self;
    if (!s)
        return;
    ksk_workspace_free(s->workspace);
    ksk_slots_clear(&s->slots);
    ksk_tensor_release(s->logits);
    ksk_free(s->sources);
    ksk_free(s->sentence);
    ksk_free(s->old_sentence);
    ksk_free(s->positions);
    ksk_free(s->cross);
    ksk_free(s);
}

ksk_l2r *ksk_seq2seq_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                int threads, ksk_error *err)
{
    scorer *s = ksk_calloc(1, sizeof *s);
    if (!s) {
        ksk_fail_memory(err);
        return NULL;
    }
    *s = (scorer){.base = {.vocabulary = rules->vocabulary,
                           .start_id = rules->start_id,
                           .end_id = rules->end_id,
                           .pad_id = rules->pad_id,
                           .max_source = rules->max_source,
                           .max_target = rules->max_target,
                           .start = start,
                           .step = step,
                           .free = free_scorer},
                  .plans = plans,
                  .rules = *rules,
                  .workspace = ksk_workspace_new(threads, err)};
    if (!s->workspace) {
        ksk_free(s);
        return NULL;
    }
    return &s->base;
}

/* --- whole targets ------------------------------------------------------------------------------
 */

static bool run_score(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                      const ksk_ragged *source, const ksk_ragged *target, const ksk_ragged *shifted,
                      int32_t (*cross)[2], float *log_probs, ksk_error *err)
{
    const int64_t rows = shifted->rows;
    const ksk_tensor source_ids = borrow_vector(source->ids, source->rows),
                     source_positions = borrow_vector(source->positions, source->rows),
                     source_spans = borrow_spans(source->spans, source->rows),
                     ids = borrow_vector(shifted->ids, rows),
                     positions = borrow_vector(shifted->positions, rows),
                     spans = borrow_spans(shifted->spans, rows),
                     cross_spans = borrow_spans(cross, rows),
                     targets = borrow_vector(target->ids, rows);
    const ksk_tensor *const inputs[] = {&source_ids,  &source_positions, &source_spans,
                                        &ids,         &positions,        &spans,
                                        &cross_spans, &targets};
    ksk_tensor *output = NULL;
    if (!ksk_run(plans->score, workspace, inputs, &output, err))
        return false;
    memcpy(log_probs, ksk_tensor_data(output), ksk_tensor_bytes(output));
    ksk_tensor_release(output);
    return true;
}

bool ksk_seq2seq_score(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                       ksk_workspace *workspace, int sentences, const int32_t *const *sources,
                       const int *source_lengths, const int32_t *const *targets,
                       const int *target_lengths, float *log_probs, ksk_error *err)
{
    ksk_ragged source, target = {.rows = 0}, shifted = {.rows = 0};
    int32_t(*cross)[2] = NULL;
    bool ok = ksk_ragged_fill(&source, sentences, sources, source_lengths, -1, false,
                              rules->source_vocabulary, rules->max_source, "source", err) &&
              ksk_ragged_fill(&target, sentences, targets, target_lengths, -1, true,
                              rules->vocabulary, rules->max_target, "target", err) &&
              ksk_ragged_fill(&shifted, sentences, targets, target_lengths, rules->start_id, true,
                              rules->vocabulary, rules->max_target, "target", err);
    if (ok && !(cross = ksk_malloc((size_t)(shifted.rows + 1) * sizeof *cross)))
        ok = ksk_fail_memory(err);
    for (int i = 0; ok && i < sentences; i++)
        for (int j = 0; j < target_lengths[i]; j++)
            memcpy(cross[shifted.sentence[i][0] + j], source.sentence[i], sizeof *cross);
    ok = ok && (sentences == 0 ||
                run_score(plans, workspace, &source, &target, &shifted, cross, log_probs, err));
    ksk_ragged_clear(&source);
    ksk_ragged_clear(&target);
    ksk_ragged_clear(&shifted);
    ksk_free(cross);
    return ok;
}
