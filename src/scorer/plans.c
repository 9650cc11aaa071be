#include "scorer/plans.h"

#include "kaskad/memory.h"

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

static ksk_sym trace_decoder(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module)
{
    ksk_decoder_input input = {.memory = ksk_none(graph)};
    input.ids = ids_input(graph, "ids", "rows");
    input.positions = ids_input(graph, "positions", "rows");
    input.self.spans = spans_input(graph, "spans", "rows");
    input.self.index = ids_input(graph, "index", "entries");
    input.self.slots = ids_input(graph, "slots", "rows");
    input.cross =
        (ksk_pattern){spans_input(graph, "source spans", "rows"), ksk_none(graph), ksk_none(graph)};
    return parts->decode(module, &input);
}

static ksk_plan *compile_step(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module,
                              const ksk_compile_options *options, ksk_error *err)
{
    const ksk_sym logits = parts->project(module, trace_decoder(graph, parts, module));
    return ksk_compile(graph, 1, &logits, options, err);
}

static ksk_plan *compile_round(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module,
                               const ksk_compile_options *options, ksk_error *err)
{
    const ksk_sym decoded = trace_decoder(graph, parts, module);
    return ksk_compile(graph, 1, &decoded, options, err);
}

/* Columns of what the decoder gives; tracing it is the only way to know. An error of that becomes
 * one of `graph`. */
static ksk_size decoded_width(ksk_graph *graph, const ksk_seq2seq *parts, const ksk_module *module)
{
    ksk_graph *trial = ksk_graph_new();
    const ksk_size none = {0};
    if (!trial) {
        ksk_graph_fail(graph, KSK_OUT_OF_MEMORY, "out of memory while tracing");
        return none;
    }
    const ksk_shape shape = ksk_sym_shape(trace_decoder(trial, parts, module));
    const ksk_error *error = ksk_graph_error(trial);
    if (error)
        ksk_graph_fail(graph, error->status, "%s", error->message);
    ksk_graph_free(trial);
    return !error && shape.rank == 2 ? shape.size[1] : none;
}

/* The logits of an input of decoded rows. */
static ksk_sym trace_projection(ksk_graph *graph, const ksk_seq2seq *parts,
                                const ksk_module *module)
{
    const ksk_size rows = ksk_named(graph, "rows"), width = decoded_width(graph, parts, module);
    return parts->project(module, ksk_input(graph, "decoded", KSK_F32, ksk_shape2(rows, width)));
}

static ksk_plan *compile_projection(ksk_graph *graph, const ksk_seq2seq *parts,
                                    const ksk_module *module, const ksk_compile_options *options,
                                    ksk_error *err)
{
    const ksk_sym log_probs = ksk_log_softmax(trace_projection(graph, parts, module));
    return ksk_compile(graph, 1, &log_probs, options, err);
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

static ksk_head *find_head(const ksk_model_type *type, const ksk_module *module, ksk_error *err)
{
    ksk_graph *graph = ksk_graph_new();
    if (!graph) {
        ksk_fail_memory(err);
        return NULL;
    }
    ksk_head *head = ksk_head_new(trace_projection(graph, type->seq2seq, module), err);
    ksk_graph_free(graph);
    return head;
}

static bool compile_selecting(ksk_seq2seq_plans *plans, const ksk_model_type *type,
                              const ksk_module *module, const ksk_compile_options *options,
                              ksk_error *err)
{
    plans->remember = compile(compile_remember, type, module, options, err);
    plans->step = plans->remember ? compile(compile_round, type, module, options, err) : NULL;
    plans->head = plans->step ? find_head(type, module, err) : NULL;
    return plans->head;
}

static bool compile_cascade(ksk_seq2seq_plans *plans, const ksk_model_type *type,
                            const ksk_module *module, const ksk_compile_options *options,
                            ksk_error *err)
{
    plans->remember = compile(compile_remember, type, module, options, err);
    plans->step = plans->remember ? compile(compile_round, type, module, options, err) : NULL;
    plans->project = plans->step ? compile(compile_projection, type, module, options, err) : NULL;
    if (!plans->project)
        return false;
    ksk_error none = {0};
    plans->head = find_head(type, module, &none);
    return plans->head || none.status == KSK_UNSUPPORTED || ksk_fail_memory(err);
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
    } else if (purpose == KSK_TO_SELECT) {
        ok = compile_selecting(plans, type, module, options, err);
    } else if (purpose == KSK_TO_CASCADE) {
        ok = compile_cascade(plans, type, module, options, err);
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
    ksk_plan_free(plans->project);
    ksk_plan_free(plans->score);
    ksk_head_free(plans->head);
    ksk_free(plans);
}

/* --- running ------------------------------------------------------------------------------------
 */

/* Runs the encoder; its row i goes to the caches' slot slots[i]. */
static bool remember(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                     const ksk_ragged *ragged, const int32_t *slots, ksk_error *err)
{
    ksk_tensor *outputs[KSK_MAX_CACHES] = {NULL};
    const ksk_tensor ids = ksk_borrow_vector(ragged->ids, ragged->rows),
                     positions = ksk_borrow_vector(ragged->positions, ragged->rows),
                     spans = ksk_borrow_spans(ragged->spans, ragged->rows),
                     places = ksk_borrow_vector(slots, ragged->rows);
    const ksk_tensor *const inputs[] = {&ids, &positions, &spans, &places};
    return ksk_run(plans->remember, workspace, inputs, outputs, err);
}

/* The first slot of a gap that long between the first `count` sources. */
static int32_t find_gap(const ksk_sources *sources, int count, int32_t length)
{
    int32_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const int32_t *const span = sources->spans[i];
            if (span[0] < at + length && at < span[0] + span[1]) {
                at = span[0] + span[1];
                moved = true;
            }
        }
    }
    return at;
}

/* Gives the sources behind the first `count` their slots, and each row of theirs its own. */
static void find_places(ksk_sources *sources, int count, const ksk_ragged *ragged, int sentences,
                        int32_t *slots)
{
    for (int i = 0; i < sentences; i++) {
        const int32_t *const rows = ragged->sentence[i];
        int32_t *const span = sources->spans[count + i];
        span[0] = find_gap(sources, count + i, rows[1]);
        span[1] = rows[1];
        for (int32_t j = 0; j < rows[1]; j++)
            slots[rows[0] + j] = span[0] + j;
    }
}

static bool join(ksk_sources *sources, const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                 const ksk_ragged *ragged, int sentences, ksk_error *err)
{
    const int all = sources->sentences + sentences;
    if (!ksk_grow(&sources->spans, &sources->room, (size_t)all, sizeof *sources->spans))
        return ksk_fail_memory(err);
    int32_t *const slots = ksk_malloc((size_t)ragged->rows * sizeof *slots);
    if (!slots)
        return ksk_fail_memory(err);
    find_places(sources, sources->sentences, ragged, sentences, slots);
    const bool ok = remember(plans, workspace, ragged, slots, err);
    ksk_free(slots);
    sources->sentences = ok ? all : sources->sentences;
    return ok;
}

bool ksk_sources_join(ksk_sources *sources, const ksk_seq2seq_plans *plans,
                      const ksk_sequence_rules *rules, ksk_workspace *workspace, int sentences,
                      const int32_t *const *ids, const int *lengths, ksk_error *err)
{
    ksk_ragged ragged;
    const bool ok = ksk_ragged_fill(&ragged, sentences, ids, lengths, -1, false,
                                    rules->source_vocabulary, rules->max_source, "source", err) &&
                    (sentences == 0 || join(sources, plans, workspace, &ragged, sentences, err));
    ksk_ragged_clear(&ragged);
    return ok;
}

void ksk_sources_leave(ksk_sources *sources, int sentence)
{
    sources->spans[sentence][1] = 0;
}

bool ksk_sources_start(ksk_sources *sources, const ksk_seq2seq_plans *plans,
                       const ksk_sequence_rules *rules, ksk_workspace *workspace, int sentences,
                       const int32_t *const *ids, const int *lengths, ksk_error *err)
{
    sources->sentences = 0;
    return ksk_sources_join(sources, plans, rules, workspace, sentences, ids, lengths, err);
}

void ksk_sources_clear(ksk_sources *sources)
{
    ksk_free(sources->spans);
    *sources = (ksk_sources){.sentences = 0};
}

bool ksk_plans_step(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                    const ksk_step_rows *step, ksk_tensor **output, ksk_error *err)
{
    const ksk_tensor ids = ksk_borrow_vector(step->ids, step->rows),
                     positions = ksk_borrow_vector(step->positions, step->rows),
                     spans = ksk_borrow_spans(step->spans, step->rows),
                     index = ksk_borrow_vector(step->index, step->entries),
                     slots = ksk_borrow_vector(step->slots, step->rows),
                     cross = ksk_borrow_spans(step->cross, step->rows);
    const ksk_tensor *const inputs[] = {&ids, &positions, &spans, &index, &slots, &cross};
    return ksk_run(plans->step, workspace, inputs, output, err);
}

bool ksk_plans_project(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                       const ksk_tensor *decoded, ksk_tensor **output, ksk_error *err)
{
    return ksk_run(plans->project, workspace, &decoded, output, err);
}
