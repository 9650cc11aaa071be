/* Running a plan in a workspace. In a steady state nothing is allocated but what is returned, and
 * not even that when the caller gives earlier outputs back. */
#include <string.h>

#include "base/pool.h"
#include "graph/ops/ops.h"
#include "graph/plan.h"
#include "graph/profile.h"
#include "kaskad/memory.h"
#include "tensor/kernels.h"
#include "tensor/tensor.h"

typedef struct cache {
    char *name;
    int64_t width; /* floats a slot */
    int64_t slots;
    float *data; /* [slots, width] */
} cache;

struct ksk_workspace {
    ksk_pool *pool;
    cache *caches;
    size_t cache_count, cache_room;
    char *arena;
    size_t arena_bytes;
    char *scratch;
    size_t scratch_bytes;
    ksk_operand *operands; /* of the plan that runs, one per value */
    size_t operand_room;
    int64_t *sizes; /* of the named sizes, -1 while unknown */
    size_t size_room;
    char **buffers; /* where each of the plan's buffers begins */
    size_t buffer_room;
};

ksk_workspace *ksk_workspace_new(int threads, ksk_error *err)
{
    ksk_workspace *workspace = ksk_calloc(1, sizeof *workspace);
    if (!workspace) {
        ksk_fail_memory(err);
        return NULL;
    }
    workspace->pool = ksk_pool_new(threads, err);
    if (!workspace->pool) {
        ksk_free(workspace);
        return NULL;
    }
    return workspace;
}

void ksk_workspace_free(ksk_workspace *workspace)
{
    if (!workspace)
        return;
    for (size_t i = 0; i < workspace->cache_count; i++) {
        ksk_free(workspace->caches[i].name);
        ksk_free(workspace->caches[i].data);
    }
    ksk_pool_free(workspace->pool);
    ksk_free(workspace->caches);
    ksk_free(workspace->arena);
    ksk_free(workspace->scratch);
    ksk_free(workspace->operands);
    ksk_free(workspace->sizes);
    ksk_free(workspace->buffers);
    ksk_free(workspace);
}

void ksk_parallel(const ksk_call *call, int slices, void (*job)(void *context, int slice),
                  void *context)
{
    ksk_pool_run(call->pool, slices, job, context);
}

/* One run: what the functions below share. */
typedef struct run {
    const ksk_plan *plan;
    ksk_workspace *workspace;
    const ksk_tensor *const *inputs;
    ksk_tensor **outputs;
    ksk_error *err;
} run;

static bool grow_block(char **block, size_t *bytes, size_t needed, ksk_error *err)
{
    if (needed <= *bytes)
        return true;
    const size_t grown = needed + needed / 2;
    char *fresh = ksk_malloc(grown);
    if (!fresh)
        return ksk_fail_memory(err);
    ksk_free(*block);
    *block = fresh;
    *bytes = grown;
    return true;
}

/* --- sizes --------------------------------------------------------------------------------------
 */

static bool wrong_input(const run *r, const program_value *value, const ksk_tensor *tensor)
{
    const int64_t rows = tensor && tensor->rank > 0 ? tensor->shape[0] : 0;
    return ksk_fail(r->err, KSK_BAD_ARGUMENT,
                    "input '%s' has the wrong type or size (%s of rank %d, first size %lld)",
                    value->name, tensor ? ksk_dtype_name(tensor->dtype) : "nothing",
                    tensor ? tensor->rank : 0, (long long)rows);
}

static bool bind_size(int64_t *known, int64_t size)
{
    if (*known < 0)
        *known = size;
    return *known == size;
}

static bool bind_input(const run *r, const program_value *value)
{
    const ksk_tensor *tensor = r->inputs[value->position];
    if (!tensor || tensor->dtype != value->dtype || tensor->rank != value->shape.rank)
        return wrong_input(r, value, tensor);
    for (int i = 0; i < tensor->rank; i++) {
        const ksk_size size = value->shape.size[i];
        if (size.name ? !bind_size(&r->workspace->sizes[size.name - 1], tensor->shape[i])
                      : size.fixed != tensor->shape[i])
            return wrong_input(r, value, tensor);
    }
    return true;
}

static bool bind_inputs(const run *r)
{
    const ksk_program *program = &r->plan->program;
    for (int i = 0; i < program->size_count; i++)
        r->workspace->sizes[i] = -1;
    for (int i = 0; i < program->value_count; i++)
        if (program->values[i].kind == VALUE_INPUT && program->values[i].uses > 0 &&
            !bind_input(r, &program->values[i]))
            return false;
    return true;
}

/* --- caches -------------------------------------------------------------------------------------
 */

static cache *find_cache(ksk_workspace *workspace, const char *name)
{
    for (size_t i = 0; i < workspace->cache_count; i++)
        if (strcmp(workspace->caches[i].name, name) == 0)
            return &workspace->caches[i];
    return NULL;
}

static cache *make_cache(const run *r, const program_value *value)
{
    ksk_workspace *workspace = r->workspace;
    cache *found = find_cache(workspace, value->name);
    const int64_t width = value->shape.size[1].fixed;
    if (found && found->width != width) {
        ksk_fail(r->err, KSK_BAD_ARGUMENT, "cache '%s' is %lld wide, the plan says %lld",
                 value->name, (long long)found->width, (long long)width);
        return NULL;
    }
    if (found)
        return found;
    char *name = ksk_strdup(value->name);
    if (!name || !ksk_grow(&workspace->caches, &workspace->cache_room, workspace->cache_count + 1,
                           sizeof *workspace->caches)) {
        ksk_free(name);
        ksk_fail_memory(r->err);
        return NULL;
    }
    found = &workspace->caches[workspace->cache_count++];
    *found = (cache){.name = name, .width = width};
    return found;
}

static bool grow_cache(cache *c, int64_t slots, ksk_error *err)
{
    if (slots <= c->slots)
        return true;
    float *data = ksk_malloc((size_t)(slots * c->width) * sizeof *data);
    if (!data)
        return ksk_fail_memory(err);
    if (c->slots)
        memcpy(data, c->data, (size_t)(c->slots * c->width) * sizeof *data);
    ksk_free(c->data);
    c->data = data;
    c->slots = slots;
    return true;
}

static int64_t largest_slot(const ksk_tensor *slots)
{
    int64_t largest = -1;
    const int32_t *numbers = slots->data;
    for (int64_t i = 0; i < slots->count; i++)
        largest = numbers[i] > largest ? numbers[i] : largest;
    return largest;
}

/* How many slots a named size needs: what the appends of this run write to. */
static int64_t slots_needed(const run *r, int32_t size_name)
{
    const ksk_program *program = &r->plan->program;
    int64_t needed = 1;
    for (int i = 0; i < program->step_count; i++) {
        const program_step *step = &program->steps[i];
        if (!step->op->appends ||
            program->values[step->first_output].shape.size[0].name != size_name)
            continue;
        const int64_t largest = largest_slot(r->inputs[program->values[step->inputs[2]].position]);
        needed = largest + 1 > needed ? largest + 1 : needed;
    }
    return needed;
}

static bool is_cache(const program_value *value)
{
    return value->kind == VALUE_CACHE && value->uses > 0;
}

static int64_t *slots_of(const run *r, const program_value *value)
{
    return &r->workspace->sizes[value->shape.size[0].name - 1];
}

/* Caches of one size name have as many slots as the largest of them has or needs; they grow by half
 * at least, so that growing stays rare. */
static bool bind_caches(const run *r)
{
    const ksk_program *program = &r->plan->program;
    for (int i = 0; i < program->value_count; i++) {
        const program_value *value = &program->values[i];
        const cache *c = is_cache(value) ? make_cache(r, value) : NULL;
        if (is_cache(value) && !c)
            return false;
        if (c && *slots_of(r, value) < c->slots)
            *slots_of(r, value) = c->slots;
    }
    for (int i = 0; i < program->value_count; i++) {
        const program_value *value = &program->values[i];
        if (!is_cache(value))
            continue;
        int64_t *slots = slots_of(r, value);
        const int64_t needed = slots_needed(r, value->shape.size[0].name);
        if (needed > *slots)
            *slots = needed > *slots + *slots / 2 ? needed : *slots + *slots / 2;
    }
    for (int i = 0; i < program->value_count; i++) {
        const program_value *value = &program->values[i];
        if (is_cache(value) &&
            !grow_cache(find_cache(r->workspace, value->name), *slots_of(r, value), r->err))
            return false;
    }
    return true;
}

/* --- operands -----------------------------------------------------------------------------------
 */

static int64_t rows_of(const run *r, const program_value *value)
{
    if (value->shape.rank == 0)
        return 1;
    const ksk_size first = value->shape.size[0];
    int64_t rows = first.name ? r->workspace->sizes[first.name - 1] : first.fixed;
    for (int i = 1; i + 1 < value->shape.rank; i++)
        rows *= value->shape.size[i].fixed;
    return rows;
}

static int64_t columns_of(const program_value *value)
{
    return value->shape.rank < 2 ? 1 : value->shape.size[value->shape.rank - 1].fixed;
}

static bool layout_buffers(const run *r)
{
    const ksk_plan *plan = r->plan;
    ksk_workspace *w = r->workspace;
    size_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (int i = 0; i < plan->buffer_count; i++) {
            const buffer *b = &plan->buffers[i];
            const int64_t rows = b->size_name ? w->sizes[b->size_name - 1] : 1;
            if (pass)
                w->buffers[i] = w->arena + at;
            at += (size_t)(rows * b->row_bytes + 63) / 64 * 64;
        }
        total = at;
        if (!pass && !grow_block(&w->arena, &w->arena_bytes, total, r->err))
            return false;
    }
    return true;
}

static bool make_output(const run *r, int32_t value_index, int output)
{
    const program_value *value = &r->plan->program.values[value_index];
    int64_t shape[KSK_MAX_RANK];
    for (int i = 0; i < value->shape.rank; i++) {
        const ksk_size size = value->shape.size[i];
        shape[i] = size.name ? r->workspace->sizes[size.name - 1] : size.fixed;
    }
    ksk_tensor *given = r->outputs[output];
    if (given && ksk_tensor_exclusive(given) && given->dtype == value->dtype &&
        given->rank == value->shape.rank &&
        memcmp(given->shape, shape, (size_t)given->rank * sizeof *shape) == 0)
        return true;
    ksk_tensor_release(given);
    r->outputs[output] = ksk_tensor_new(value->dtype, value->shape.rank, shape, r->err);
    return r->outputs[output] != NULL;
}

static bool is_returned(const ksk_plan *plan, int32_t value)
{
    return plan->program.values[value].cache < 0;
}

static bool make_outputs(const run *r)
{
    const ksk_program *program = &r->plan->program;
    for (int i = 0; i < program->output_count; i++) {
        if (is_returned(r->plan, program->outputs[i])) {
            if (!make_output(r, program->outputs[i], i))
                return false;
        } else {
            ksk_tensor_release(r->outputs[i]);
            r->outputs[i] = NULL;
        }
    }
    return true;
}

static void *place_data(const run *r, int32_t value, const storage *place)
{
    switch (place->kind) {
    case STORED_INPUT:
        return r->plan->program.values[value].uses > 0
                   ? (void *)(uintptr_t)r->inputs[place->which]->data
                   : NULL;
    case STORED_TENSOR: {
        const ksk_tensor *tensor = r->plan->program.values[value].tensor;
        return (void *)(uintptr_t)tensor->data;
    }
    case STORED_CACHE: {
        const cache *c = find_cache(r->workspace, r->plan->program.values[place->which].name);
        return c ? c->data : NULL;
    }
    case STORED_BUFFER:
        return r->workspace->buffers[place->which];
    case STORED_OUTPUT:
        return (void *)(uintptr_t)r->outputs[place->which]->data;
    case STORED_NOWHERE:
        break;
    }
    return NULL;
}

static void make_operands(const run *r)
{
    const ksk_plan *plan = r->plan;
    for (int i = 0; i < plan->program.value_count; i++) {
        const program_value *value = &plan->program.values[i];
        const storage *place = &plan->storages[i];
        const program_value *root = &plan->program.values[place->root];
        ksk_operand *operand = &r->workspace->operands[i];
        *operand = (ksk_operand){.dtype = value->dtype,
                                 .rows = rows_of(r, value),
                                 .columns = columns_of(value),
                                 .stride = columns_of(root)};
        char *data = place_data(r, place->root, &plan->storages[place->root]);
        if (data)
            operand->data = data + place->column * (int64_t)ksk_dtype_size(value->dtype);
    }
}

static bool prepare_run(const run *r)
{
    const ksk_program *program = &r->plan->program;
    ksk_workspace *w = r->workspace;
    if (!ksk_grow(&w->operands, &w->operand_room, (size_t)program->value_count,
                  sizeof *w->operands) ||
        !ksk_grow(&w->sizes, &w->size_room, (size_t)program->size_count + 1, sizeof *w->sizes) ||
        !ksk_grow(&w->buffers, &w->buffer_room, (size_t)r->plan->buffer_count + 1,
                  sizeof *w->buffers))
        return ksk_fail_memory(r->err);
    if (!bind_inputs(r) || !bind_caches(r) || !layout_buffers(r) || !make_outputs(r))
        return false;
    make_operands(r);
    return true;
}

/* --- steps --------------------------------------------------------------------------------------
 */

static bool run_step(const run *r, const program_step *step)
{
    ksk_workspace *w = r->workspace;
    ksk_operand inputs[KSK_MAX_INPUTS];
    if (step->op->view_of)
        return true;
    for (int i = 0; i < step->input_count; i++)
        inputs[i] = w->operands[step->inputs[i]];
    ksk_call call = {.attributes = step->attributes,
                     .inputs = inputs,
                     .outputs = &w->operands[step->first_output],
                     .input_count = step->input_count,
                     .output_count = step->op->outputs,
                     .prepared = step->prepared,
                     .kernels = r->plan->kernels,
                     .pool = w->pool};
    if (ksk_ledger_is_open())
        ksk_profile_operation(step->op, &call, r->plan->weight_bytes);
    if (step->op->check && !step->op->check(&call, r->err))
        return false;
    const bool plain = r->plan->reference || !step->op->fast;
    if (plain && step->op->reference) {
        step->op->reference(&call);
        return true;
    }
    if (step->op->scratch) {
        if (!grow_block(&w->scratch, &w->scratch_bytes, step->op->scratch(&call), r->err))
            return false;
        call.scratch = w->scratch;
    }
    step->op->fast(&call);
    return true;
}

/* Outputs that were not computed in place: views, and sources that are returned as they are. */
static void copy_outputs(const run *r)
{
    const ksk_program *program = &r->plan->program;
    for (int i = 0; i < program->output_count; i++) {
        const int32_t value = program->outputs[i];
        const ksk_operand *from = &r->workspace->operands[value];
        const ksk_tensor *to = r->outputs[i];
        if (!is_returned(r->plan, value) || from->data == to->data)
            continue;
        const size_t row = (size_t)from->columns * ksk_dtype_size(from->dtype);
        const size_t stride = (size_t)from->stride * ksk_dtype_size(from->dtype);
        for (int64_t j = 0; j < from->rows; j++)
            memcpy((char *)(uintptr_t)to->data + (size_t)j * row,
                   (const char *)from->data + (size_t)j * stride, row);
    }
}

static bool run_steps(const run *r)
{
    for (int i = 0; i < r->plan->program.step_count; i++)
        if (!run_step(r, &r->plan->program.steps[i]))
            return false;
    copy_outputs(r);
    return true;
}

bool ksk_run(const ksk_plan *plan, ksk_workspace *workspace, const ksk_tensor *const *inputs,
             ksk_tensor **outputs, ksk_error *err)
{
    const run r = {plan, workspace, inputs, outputs, err};
    const int before = ksk_turn_to("plan");
    const bool ok = prepare_run(&r) && run_steps(&r);
    ksk_turn_back(before);
    if (ok)
        return true;
    for (int i = 0; i < plan->program.output_count; i++) {
        ksk_tensor_release(outputs[i]);
        outputs[i] = NULL;
    }
    return false;
}
