#include "train/optimiser.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/module.h"
#include "tensor/tensor.h"

ksk_optimiser ksk_optimiser_defaults(ksk_optimiser_kind kind)
{
    return (ksk_optimiser){
        .kind = kind, .beta1 = 0.9, .beta2 = kind == KSK_SGD ? 0 : 0.98, .epsilon = 1e-9};
}

/* --- state ------------------------------------------------------------------------------------ */

static ksk_tensor *zeros_like(void *context, const char *path, const ksk_tensor *leaf,
                              ksk_error *err)
{
    (void)context, (void)path;
    ksk_tensor *zeros = ksk_tensor_new(KSK_F32, leaf->rank, leaf->shape, err);
    if (zeros)
        memset(ksk_tensor_fill(zeros), 0, ksk_tensor_bytes(zeros));
    return zeros;
}

bool ksk_optimiser_start(const ksk_optimiser *optimiser, const ksk_module *module,
                         ksk_optimiser_state *state, ksk_error *err)
{
    *state = (ksk_optimiser_state){.first = ksk_module_map(module, zeros_like, NULL, err)};
    if (state->first && optimiser->kind != KSK_SGD)
        state->second = ksk_module_map(module, zeros_like, NULL, err);
    if (state->first && (state->second || optimiser->kind == KSK_SGD))
        return true;
    ksk_optimiser_clear(state);
    return false;
}

void ksk_optimiser_clear(ksk_optimiser_state *state)
{
    ksk_module_release(state->first);
    ksk_module_release(state->second);
    *state = (ksk_optimiser_state){.first = NULL};
}

/* --- slices ------------------------------------------------------------------------------------
 * A leaf is cut at the same places whatever the number of threads. */

enum { most_slices = 64, least_slice = 1 << 14 };

typedef struct cut {
    int64_t count, slice; /* elements in all, and in each slice but the last */
    int slices;
} cut;

static cut cut_leaf(int64_t count)
{
    int64_t slice = (count + most_slices - 1) / most_slices;
    slice = slice > least_slice ? (slice + 15) / 16 * 16 : least_slice;
    return (cut){count, slice, (int)((count + slice - 1) / slice)};
}

static int64_t slice_begin(const cut *c, int slice)
{
    return slice * c->slice;
}

static int64_t slice_end(const cut *c, int slice)
{
    return slice + 1 < c->slices ? (slice + 1) * c->slice : c->count;
}

/* --- norm --------------------------------------------------------------------------------------
 */

typedef struct norm_job {
    cut cut;
    const float *x;
    double sums[most_slices];
} norm_job;

/* Four sums side by side, so that one addition need not wait for the one before. */
static void sum_squares(void *context, int slice)
{
    norm_job *job = context;
    const int64_t end = slice_end(&job->cut, slice);
    double sums[4] = {0, 0, 0, 0};
    int64_t i = slice_begin(&job->cut, slice);
    for (; i + 4 <= end; i += 4)
        for (int lane = 0; lane < 4; lane++)
            sums[lane] += (double)job->x[i + lane] * (double)job->x[i + lane];
    for (; i < end; i++)
        sums[0] += (double)job->x[i] * (double)job->x[i];
    job->sums[slice] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double ksk_global_norm(const ksk_module *gradients, ksk_pool *pool)
{
    double sum = 0;
    for (int i = 0; i < ksk_module_leaves(gradients); i++) {
        const ksk_tensor *leaf = ksk_module_leaf(gradients, i);
        if (!ksk_module_leaf_trained(gradients, i))
            continue;
        norm_job job = {.cut = cut_leaf(leaf->count), .x = leaf->data};
        ksk_pool_run(pool, job.cut.slices, sum_squares, &job);
        for (int slice = 0; slice < job.cut.slices; slice++)
            sum += job.sums[slice];
    }
    return sqrt(sum);
}

/* --- rules -------------------------------------------------------------------------------------
 */

/* One leaf's update. What is read and what is written may be the same memory. */
typedef struct leaf_job {
    cut cut;
    const float *parameters, *first, *second, *gradients;
    float *next_parameters, *next_first, *next_second;
    ksk_optimiser_kind kind;
    float scale, beta1, beta2, epsilon;
    float fresh1, fresh2; /* 1 - beta, rounded once */
    float decay;          /* added to the gradient, times the parameter */
    float kept;           /* what a parameter is multiplied by before its step */
    float step;           /* rate, corrected for the first moment's start at zero */
    float inverse_root2;  /* corrects the second moment's root likewise */
} leaf_job;

static void sgd(void *context, int slice)
{
    const leaf_job *job = context;
    for (int64_t i = slice_begin(&job->cut, slice); i < slice_end(&job->cut, slice); i++) {
        const float gradient = job->gradients[i] * job->scale + job->decay * job->parameters[i];
        const float moment = job->beta1 * job->first[i] + gradient;
        job->next_first[i] = moment;
        job->next_parameters[i] = job->parameters[i] - job->step * moment;
    }
}

static void adam(void *context, int slice)
{
    const leaf_job *job = context;
    for (int64_t i = slice_begin(&job->cut, slice); i < slice_end(&job->cut, slice); i++) {
        const float parameter = job->parameters[i];
        const float gradient = job->gradients[i] * job->scale + job->decay * parameter;
        const float first = job->first[i] + job->fresh1 * (gradient - job->first[i]);
        const float second = job->beta2 * job->second[i] + job->fresh2 * (gradient * gradient);
        const float root = sqrtf(second) * job->inverse_root2 + job->epsilon;
        job->next_first[i] = first;
        job->next_second[i] = second;
        job->next_parameters[i] = job->kept * parameter - job->step * (first / root);
    }
}

/* What all leaves share: moments start at zero, which 1 - beta^updates corrects. */
static leaf_job rule_of(const ksk_optimiser *optimiser, float scale, float rate, int64_t updates)
{
    const bool apart = optimiser->kind == KSK_ADAMW;
    leaf_job job = {.kind = optimiser->kind,
                    .scale = scale,
                    .beta1 = (float)optimiser->beta1,
                    .beta2 = (float)optimiser->beta2,
                    .fresh1 = (float)(1 - optimiser->beta1),
                    .fresh2 = (float)(1 - optimiser->beta2),
                    .epsilon = (float)optimiser->epsilon,
                    .decay = apart ? 0 : (float)optimiser->weight_decay,
                    .kept = apart ? (float)(1 - (double)rate * optimiser->weight_decay) : 1,
                    .step = rate};
    if (optimiser->kind != KSK_SGD) {
        job.step = (float)(rate / (1 - pow(optimiser->beta1, (double)updates)));
        job.inverse_root2 = (float)(1 / sqrt(1 - pow(optimiser->beta2, (double)updates)));
    }
    return job;
}

/* --- trees -------------------------------------------------------------------------------------
 */

/* A tree's leaves, and those of the tree that comes next. */
typedef struct renewal {
    const ksk_tensor **now, **next; /* [leaves]; next holds references */
    bool *own;                      /* [leaves]: nobody but the tree holds the leaf */
    int leaves;
    ksk_module *tree; /* the next one */
} renewal;

static void list_leaves(const ksk_module *module, bool own, renewal *r)
{
    const ksk_declaration *declaration = module->declaration;
    own = own && atomic_load(&module->references) == 1;
    for (size_t i = 0; i < declaration->leaf_count; i++) {
        r->now[r->leaves] = module->tensors[i];
        r->own[r->leaves++] = own && ksk_tensor_exclusive(module->tensors[i]);
    }
    for (size_t i = 0; i < declaration->child_count; i++)
        list_leaves(module->children[i], own, r);
}

static void renewal_clear(renewal *r)
{
    for (int i = 0; r->next && i < r->leaves; i++)
        ksk_tensor_release(r->next[i]);
    ksk_module_release(r->tree);
    ksk_free(r->now);
    ksk_free(r->next);
    ksk_free(r->own);
}

/* Lists the tree's leaves and makes the next tree: trained leaves that somebody else holds are
 * replaced by fresh ones, the others are the tree's. Nothing is written yet, so that running out of
 * memory changes nothing. Clear `r` also after a failure. */
static bool renew(const ksk_module *module, renewal *r, ksk_error *err)
{
    const size_t count = (size_t)ksk_module_leaves(module);
    *r = (renewal){.now = ksk_calloc(count, sizeof *r->now),
                   .next = ksk_calloc(count, sizeof *r->next),
                   .own = ksk_calloc(count, sizeof *r->own)};
    if (!r->now || !r->next || !r->own)
        return ksk_fail_memory(err);
    list_leaves(module, true, r);
    for (int i = 0; i < r->leaves; i++) {
        const bool keep = r->own[i] || !ksk_module_leaf_trained(module, i);
        r->next[i] = keep ? ksk_tensor_share(r->now[i])
                          : ksk_tensor_new(KSK_F32, r->now[i]->rank, r->now[i]->shape, err);
        if (!r->next[i])
            return false;
    }
    r->tree = ksk_module_unflatten(module, r->next, err);
    return r->tree != NULL;
}

/* Memory of the next tree's leaf: fresh, or the old tree's own, which nobody else reads. */
static float *next_data(const renewal *r, int leaf)
{
    return r->next ? (float *)(uintptr_t)r->next[leaf]->data : NULL;
}

static const float *data_now(const renewal *r, int leaf)
{
    return r->now ? r->now[leaf]->data : NULL;
}

static void replace(ksk_module **tree, renewal *r)
{
    ksk_module_release(*tree);
    *tree = r->tree;
    r->tree = NULL;
}

/* --- updating ----------------------------------------------------------------------------------
 */

static bool fits(const ksk_tensor *tensor, const ksk_tensor *parameter)
{
    return tensor && tensor->dtype == KSK_F32 && tensor->count == parameter->count;
}

/* Trees of the same structure, whose leaves are as many numbers. */
static bool trees_fit(const ksk_module *module, const ksk_module *other, const char *what,
                      ksk_error *err)
{
    if (ksk_module_leaves(module) != ksk_module_leaves(other))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s has %d leaves, the module %d", what,
                        ksk_module_leaves(other), ksk_module_leaves(module));
    for (int i = 0; i < ksk_module_leaves(module); i++) {
        char path[256] = "?";
        const ksk_tensor *leaf = ksk_module_leaf(module, i);
        if (!ksk_module_leaf_trained(module, i) ||
            (leaf && fits(leaf, leaf) && fits(ksk_module_leaf(other, i), leaf)))
            continue;
        ksk_module_leaf_path(module, i, path, sizeof path);
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s: leaf \"%s\" is not F32 of the module's size",
                        what, path);
    }
    return true;
}

static void update_leaves(leaf_job job, const ksk_module *gradients, const renewal *parameters,
                          const renewal *first, const renewal *second, ksk_pool *pool)
{
    for (int i = 0; i < parameters->leaves; i++) {
        if (!ksk_module_leaf_trained(gradients, i))
            continue;
        job.cut = cut_leaf(parameters->now[i]->count);
        job.gradients = ksk_tensor_data(ksk_module_leaf(gradients, i));
        job.parameters = data_now(parameters, i);
        job.first = data_now(first, i);
        job.second = data_now(second, i);
        job.next_parameters = next_data(parameters, i);
        job.next_first = next_data(first, i);
        job.next_second = next_data(second, i);
        ksk_pool_run(pool, job.cut.slices, job.kind == KSK_SGD ? sgd : adam, &job);
    }
}

bool ksk_optimiser_update(const ksk_optimiser *optimiser, ksk_module **module,
                          const ksk_module *gradients, float scale, float learning_rate,
                          ksk_optimiser_state *state, ksk_pool *pool, ksk_error *err)
{
    renewal parameters = {.tree = NULL}, first = {.tree = NULL}, second = {.tree = NULL};
    if (!trees_fit(*module, gradients, "gradient", err) ||
        !trees_fit(*module, state->first, "moment", err) ||
        (state->second && !trees_fit(*module, state->second, "moment", err)))
        return false;
    const bool ok = renew(*module, &parameters, err) && renew(state->first, &first, err) &&
                    (!state->second || renew(state->second, &second, err));
    if (ok) {
        const leaf_job rule = rule_of(optimiser, scale, learning_rate, state->updates + 1);
        update_leaves(rule, gradients, &parameters, &first, &second, pool);
        replace(module, &parameters);
        replace(&state->first, &first);
        if (state->second)
            replace(&state->second, &second);
        state->updates++;
    }
    renewal_clear(&parameters);
    renewal_clear(&first);
    renewal_clear(&second);
    return ok;
}
