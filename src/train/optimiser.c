#include "train/optimiser.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/module.h"
#include "tensor/tensor.h"

ksk_optimiser ksk_optimiser_defaults(const ksk_optimiser_type *type)
{
    return (ksk_optimiser){.type = type, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-9};
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
    const int moments = optimiser->type->moments;
    *state = (ksk_optimiser_state){.first = NULL};
    if ((moments < 1 || (state->first = ksk_module_map(module, zeros_like, NULL, err))) &&
        (moments < 2 || (state->second = ksk_module_map(module, zeros_like, NULL, err))))
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

typedef struct leaf_job {
    const ksk_optimiser_type *type;
    ksk_leaf_update leaf;
    float numbers[KSK_LEAF_NUMBERS];
    cut cut;
} leaf_job;

static void update_slice(void *context, int slice)
{
    const leaf_job *const job = context;
    job->type->update(&job->leaf, job->numbers, slice_begin(&job->cut, slice),
                      slice_end(&job->cut, slice));
}

/* The trees of parameters and moments. */
enum { PARAMETERS, FIRST, SECOND, TREES };

static void update_leaves(const ksk_optimiser_type *type, ksk_leaf_update leaf,
                          const ksk_module *gradients, const renewal trees[TREES], ksk_pool *pool)
{
    for (int i = 0; i < trees[PARAMETERS].leaves; i++) {
        const ksk_tensor *const now = trees[PARAMETERS].now[i];
        if (!ksk_module_leaf_trained(gradients, i))
            continue;
        leaf.rank = now->rank;
        leaf.shape = now->shape;
        leaf.count = now->count;
        leaf.gradients = ksk_tensor_data(ksk_module_leaf(gradients, i));
        leaf.parameters = now->data;
        leaf.next_parameters = next_data(&trees[PARAMETERS], i);
        for (int m = 0; m < 2; m++) {
            leaf.moments[m] = data_now(&trees[FIRST + m], i);
            leaf.next_moments[m] = next_data(&trees[FIRST + m], i);
        }
        leaf_job job = {.type = type, .leaf = leaf, .cut = cut_leaf(now->count)};
        if (type->prepare)
            type->prepare(&job.leaf, job.numbers);
        ksk_pool_run(pool, job.cut.slices, update_slice, &job);
    }
}

bool ksk_optimiser_update(const ksk_optimiser *optimiser, ksk_module **module,
                          const ksk_module *gradients, float scale, float learning_rate,
                          ksk_optimiser_state *state, ksk_pool *pool, ksk_error *err)
{
    ksk_module **const owners[TREES] = {module, &state->first, &state->second};
    renewal trees[TREES] = {{.tree = NULL}, {.tree = NULL}, {.tree = NULL}};
    if (!trees_fit(*module, gradients, "gradient", err) ||
        (state->first && !trees_fit(*module, state->first, "moment", err)) ||
        (state->second && !trees_fit(*module, state->second, "moment", err)))
        return false;
    bool ok = true;
    for (int i = 0; ok && i < TREES; i++)
        ok = !*owners[i] || renew(*owners[i], &trees[i], err);
    if (ok) {
        const ksk_leaf_update leaf = {.scale = scale,
                                      .learning_rate = (double)learning_rate,
                                      .beta1 = optimiser->beta1,
                                      .beta2 = optimiser->beta2,
                                      .epsilon = optimiser->epsilon,
                                      .weight_decay = optimiser->weight_decay,
                                      .update = state->updates + 1};
        update_leaves(optimiser->type, leaf, gradients, trees, pool);
        for (int i = 0; i < TREES; i++)
            if (*owners[i])
                replace(owners[i], &trees[i]);
        state->updates++;
    }
    for (int i = 0; i < TREES; i++)
        renewal_clear(&trees[i]);
    return ok;
}
