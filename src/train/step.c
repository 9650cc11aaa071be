#include "train/step.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"
#include "train/batch.h"
#include "train/trainer.h"

/* --- plans --------------------------------------------------------------------------------------
 */

static ksk_plan *compile_loss(const ksk_trainer *t, const ksk_model_type *type, ksk_graph *graph,
                              ksk_error *err)
{
    const ksk_compile_options options = {.free = t->module};
    const ksk_sym loss =
        ksk_batch_trace(graph, type, t->module, 0, &(const ksk_objective){.loss = NULL});
    return ksk_compile(graph, 1, &loss, &options, err);
}

/* Appends the gradients of the loss; those that there are become outputs behind it. */
static int append_gradients(ksk_trainer *t, ksk_graph *graph, ksk_sym *outputs, ksk_sym *leaves,
                            ksk_sym *grads)
{
    int trained = 0;
    for (int i = 0; i < t->leaves; i++)
        if (ksk_module_leaf_trained(t->module, i)) {
            t->leaf_of[trained] = i;
            leaves[trained++] = ksk_leaf(graph, t->module, i);
        }
    ksk_grad(outputs[0], trained, leaves, grads);
    int count = 0;
    for (int i = 0; i < trained; i++) {
        if (ksk_is_none(grads[i]))
            continue;
        t->leaf_of[count] = t->leaf_of[i];
        outputs[1 + count++] = grads[i];
    }
    return count;
}

static ksk_plan *compile_step(ksk_trainer *t, const ksk_model_type *type, ksk_graph *graph,
                              ksk_error *err)
{
    const size_t room = (size_t)t->leaves + 1;
    ksk_sym *syms = ksk_calloc(3 * room, sizeof *syms);
    if (!syms) {
        ksk_fail_memory(err);
        return NULL;
    }
    const ksk_compile_options options = {.free = t->module};
    syms[0] = ksk_batch_trace(graph, type, t->module, t->options.dropout, &t->options.objective);
    t->gradients = append_gradients(t, graph, syms, syms + room, syms + 2 * room);
    ksk_plan *plan = ksk_compile(graph, 1 + t->gradients, syms, &options, err);
    ksk_free(syms);
    return plan;
}

static bool compile_plans(ksk_trainer *t, const ksk_model_type *type, ksk_error *err)
{
    ksk_graph *graphs[2] = {ksk_graph_new(), ksk_graph_new()};
    bool ok = (graphs[0] && graphs[1]) || ksk_fail_memory(err);
    ok = ok && (t->step = compile_step(t, type, graphs[0], err)) &&
         (t->loss = compile_loss(t, type, graphs[1], err));
    ksk_graph_free(graphs[0]);
    ksk_graph_free(graphs[1]);
    return ok;
}

/* --- a trainer's life ---------------------------------------------------------------------------
 */

static ksk_tensor *to_f32(void *context, const char *path, const ksk_tensor *leaf, ksk_error *err)
{
    (void)context;
    if (!leaf->packing)
        return ksk_tensor_convert(leaf, KSK_F32, err);
    ksk_fail(
        err, KSK_UNSUPPORTED,
        "\"%s\" is quantised and cannot be trained; train the checkpoint that it was made from",
        path);
    return NULL;
}

static bool check_options(const ksk_step_options *options, ksk_error *err)
{
    if (!(options->dropout >= 0 && options->dropout < 1))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "dropout %g is not in [0, 1)",
                        (double)options->dropout);
    const double smoothing = (double)options->objective.label_smoothing;
    if (!(smoothing >= 0 && smoothing < 1))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "label smoothing %g is not in [0, 1)", smoothing);
    return options->clip_norm >= 0 ||
           ksk_fail(err, KSK_BAD_ARGUMENT, "clip norm %g is below 0", (double)options->clip_norm);
}

/* Leaves that the loss does not depend on have gradients all the same: zeros. */
static bool fill_absent(ksk_trainer *t, ksk_error *err)
{
    for (int i = 0, next = 0; i < t->leaves; i++) {
        if (next < t->gradients && t->leaf_of[next] == i) {
            next++;
            continue;
        }
        const ksk_tensor *leaf = ksk_module_leaf(t->module, i);
        t->sum[i] = ksk_tensor_new(KSK_F32, leaf->rank, leaf->shape, err);
        if (!t->sum[i])
            return false;
        memset(ksk_tensor_fill(t->sum[i]), 0, ksk_tensor_bytes(t->sum[i]));
    }
    return true;
}

static bool allocate(ksk_trainer *t, ksk_error *err)
{
    const size_t leaves = (size_t)t->leaves;
    t->leaf_of = ksk_calloc(leaves, sizeof *t->leaf_of);
    t->sum = ksk_calloc(leaves, sizeof *t->sum);
    t->fresh = ksk_calloc(leaves, sizeof *t->fresh);
    t->outputs = ksk_calloc(leaves + 1, sizeof *t->outputs);
    t->inputs = ksk_calloc(leaves + KSK_BATCH_INPUTS, sizeof *t->inputs);
    return (t->leaf_of && t->sum && t->fresh && t->outputs && t->inputs) || ksk_fail_memory(err);
}

static bool start(ksk_trainer *t, const ksk_model_type *type, const ksk_module *module,
                  ksk_error *err)
{
    t->module = ksk_module_map(module, to_f32, NULL, err);
    if (!t->module)
        return false;
    t->leaves = ksk_module_leaves(t->module);
    return allocate(t, err) && compile_plans(t, type, err) && fill_absent(t, err) &&
           ksk_optimiser_start(&t->options.optimiser, t->module, &t->state, err) &&
           (t->workspace = ksk_workspace_new(t->options.threads, err)) &&
           (t->pool = ksk_pool_new(t->options.threads, err));
}

ksk_trainer *ksk_trainer_new(const ksk_model_type *type, const ksk_module *module,
                             const ksk_sequence_rules *rules, const ksk_step_options *options,
                             ksk_error *err)
{
    if (!check_options(options, err))
        return NULL;
    if (!type->seq2seq) {
        ksk_fail(err, KSK_UNSUPPORTED, "model_type '%s' is not an encoder–decoder", type->name);
        return NULL;
    }
    ksk_trainer *t = ksk_calloc(1, sizeof *t);
    if (!t) {
        ksk_fail_memory(err);
        return NULL;
    }
    t->options = *options;
    t->rules = *rules;
    t->finite = true;
    if (start(t, type, module, err))
        return t;
    ksk_trainer_free(t);
    return NULL;
}

static void release_all(ksk_tensor **tensors, int count)
{
    for (int i = 0; tensors && i < count; i++)
        ksk_tensor_release(tensors[i]);
    ksk_free(tensors);
}

void ksk_trainer_free(ksk_trainer *trainer)
{
    if (!trainer)
        return;
    ksk_plan_free(trainer->step);
    ksk_plan_free(trainer->loss);
    release_all(trainer->sum, trainer->leaves);
    release_all(trainer->fresh, trainer->leaves);
    ksk_tensor_release(trainer->loss_sum);
    ksk_optimiser_clear(&trainer->state);
    ksk_module_release(trainer->module);
    ksk_workspace_free(trainer->workspace);
    ksk_pool_free(trainer->pool);
    ksk_free(trainer->leaf_of);
    ksk_free(trainer->outputs);
    ksk_free(trainer->inputs);
    ksk_free(trainer);
}

/* --- running ------------------------------------------------------------------------------------
 */

static void set_inputs(ksk_trainer *t, const ksk_packed_batch *packed)
{
    for (int i = 0; i < KSK_BATCH_INPUTS; i++)
        t->inputs[i] = &packed->tensors[i];
    for (int i = 0; i < t->leaves; i++)
        t->inputs[KSK_BATCH_INPUTS + i] = ksk_module_leaf(t->module, i);
}

/* Runs the step; gradients go to `into` [leaves], whose memory is used again. */
static bool run_step(ksk_trainer *t, const ksk_packed_batch *packed, ksk_tensor **into,
                     double *loss, ksk_error *err)
{
    set_inputs(t, packed);
    t->outputs[0] = t->loss_sum;
    for (int i = 0; i < t->gradients; i++)
        t->outputs[1 + i] = into[t->leaf_of[i]];
    const bool ok = ksk_run(t->step, t->workspace, t->inputs, t->outputs, err);
    t->loss_sum = t->outputs[0];
    for (int i = 0; i < t->gradients; i++)
        into[t->leaf_of[i]] = t->outputs[1 + i];
    if (ok)
        *loss = (double)*ksk_tensor_f32(t->loss_sum);
    return ok;
}

typedef struct adding {
    float *sum;
    const float *more;
    int64_t count;
} adding;

enum { adding_slice = 1 << 15 };

static void add_slice(void *context, int slice)
{
    const adding *job = context;
    const int64_t first = (int64_t)slice * adding_slice, left = job->count - first;
    const int64_t count = left < adding_slice ? left : adding_slice;
    for (int64_t i = first; i < first + count; i++)
        job->sum[i] += job->more[i];
}

static void swap(ksk_tensor **a, ksk_tensor **b)
{
    ksk_tensor *kept = *a;
    *a = *b;
    *b = kept;
}

/* Adds the fresh gradients to the sum; where somebody holds a tensor of the sum, the other way
 * round. */
static void add_fresh(ksk_trainer *t)
{
    for (int i = 0; i < t->gradients; i++) {
        ksk_tensor **sum = &t->sum[t->leaf_of[i]], **fresh = &t->fresh[t->leaf_of[i]];
        if (!ksk_tensor_exclusive(*sum))
            swap(sum, fresh);
        adding job = {ksk_tensor_fill(*sum), (*fresh)->data, (*sum)->count};
        ksk_pool_run(t->pool, (int)((job.count + adding_slice - 1) / adding_slice), add_slice,
                     &job);
    }
}

bool ksk_trainer_accumulate(ksk_trainer *trainer, const ksk_batch *batch, ksk_key key, double *loss,
                            int64_t *tokens, ksk_error *err)
{
    ksk_packed_batch packed;
    const bool first = trainer->batches == 0;
    const bool ok = ksk_batch_pack(&packed, batch, &trainer->rules, &key, err) &&
                    run_step(trainer, &packed, first ? trainer->sum : trainer->fresh, loss, err);
    if (ok) {
        if (!first)
            add_fresh(trainer);
        *tokens = packed.target.rows;
        trainer->batches++;
        trainer->tokens += packed.target.rows;
        trainer->finite &= isfinite(*loss);
    }
    ksk_batch_clear(&packed);
    return ok;
}

bool ksk_trainer_loss(ksk_trainer *trainer, const ksk_batch *batch, double *loss, int64_t *tokens,
                      ksk_error *err)
{
    ksk_packed_batch packed;
    bool ok = ksk_batch_pack(&packed, batch, &trainer->rules, NULL, err);
    if (ok) {
        set_inputs(trainer, &packed);
        ok = ksk_run(trainer->loss, trainer->workspace, trainer->inputs, &trainer->loss_sum, err);
    }
    if (ok) {
        *loss = (double)*ksk_tensor_f32(trainer->loss_sum);
        *tokens = packed.target.rows;
    }
    ksk_batch_clear(&packed);
    return ok;
}

/* --- updating -----------------------------------------------------------------------------------
 */

void ksk_trainer_drop(ksk_trainer *trainer)
{
    trainer->batches = 0;
    trainer->tokens = 0;
    trainer->finite = true;
}

/* What the sum of gradients is multiplied by: their mean per token, at most `clip_norm` long. */
static float scale_of(const ksk_trainer *t, double norm)
{
    const double clip = (double)t->options.clip_norm;
    const double shorter = clip > 0 && norm > clip ? clip / norm : 1;
    return (float)(shorter / (double)t->tokens);
}

static bool update(ksk_trainer *t, float learning_rate, const ksk_module *gradients, double *norm,
                   ksk_error *err)
{
    const double mean = ksk_global_norm(gradients, t->pool) / (double)t->tokens;
    if (norm)
        *norm = mean;
    if (!t->finite || !isfinite(mean))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "update %lld: the %s is not a finite number; lower the learning rate or "
                        "look at the data",
                        (long long)t->state.updates + 1, t->finite ? "gradient" : "loss");
    return ksk_optimiser_update(&t->options.optimiser, &t->module, gradients, scale_of(t, mean),
                                learning_rate, &t->state, t->pool, err);
}

bool ksk_trainer_update(ksk_trainer *trainer, float learning_rate, double *norm, ksk_error *err)
{
    if (trainer->batches == 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "an update needs a batch's gradient first");
    ksk_module *gradients = ksk_trainer_gradients(trainer, err);
    const bool ok = gradients && update(trainer, learning_rate, gradients, norm, err);
    ksk_module_release(gradients);
    ksk_trainer_drop(trainer);
    return ok;
}

/* --- reading ------------------------------------------------------------------------------------
 */

ksk_module *ksk_trainer_gradients(const ksk_trainer *trainer, ksk_error *err)
{
    if (trainer->batches == 0) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "no batch's gradient was computed since the last update");
        return NULL;
    }
    return ksk_module_unflatten(trainer->module, (const ksk_tensor *const *)trainer->sum, err);
}

const ksk_module *ksk_trainer_module(const ksk_trainer *trainer)
{
    return trainer->module;
}

int64_t ksk_trainer_updates(const ksk_trainer *trainer)
{
    return trainer->state.updates;
}
