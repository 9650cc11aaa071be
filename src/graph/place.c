/* Memory from liveness. Values whose first size has the same name share buffers, each sized by its
 * largest row, so a plan fits any number of rows without being planned again. */
#include "graph/ops/ops.h"
#include "graph/plan.h"
#include "kaskad/memory.h"

int64_t ksk_value_row_bytes(const program_value *value)
{
    int64_t bytes = (int64_t)ksk_dtype_size(value->dtype);
    for (int i = 0; i < value->shape.rank; i++)
        if (!value->shape.size[i].name)
            bytes *= value->shape.size[i].fixed;
    return bytes;
}

static int32_t size_name(const program_value *value)
{
    return value->shape.rank ? value->shape.size[0].name : 0;
}

typedef struct placing {
    ksk_plan *plan;
    int *last_use; /* step that reads a root last; step_count for never released */
    bool *free;    /* buffers nobody holds */
    size_t buffer_room, free_room;
} placing;

static storage *storage_of(const ksk_plan *plan, int32_t value)
{
    return &plan->storages[value];
}

/* --- values that are not results of a step ------------------------------------------------------
 */

static void place_source(ksk_plan *plan, int32_t i)
{
    const program_value *value = &plan->program.values[i];
    storage *place = storage_of(plan, i);
    *place = (storage){.kind = STORED_NOWHERE, .root = i};
    if (value->kind == VALUE_INPUT)
        *place = (storage){STORED_INPUT, value->position, i, 0};
    else if (value->tensor)
        *place = (storage){STORED_TENSOR, 0, i, 0};
    else if (value->cache >= 0)
        *place = (storage){STORED_CACHE, value->cache, i, 0};
}

/* --- liveness ------------------------------------------------------------------------------------
 */

static void resolve_views(ksk_plan *plan)
{
    for (int i = 0; i < plan->program.step_count; i++) {
        const program_step *step = &plan->program.steps[i];
        if (!step->op->view_of)
            continue;
        const storage *from = storage_of(plan, step->inputs[step->op->view_of - 1]);
        storage *to = storage_of(plan, step->first_output);
        to->root = from->root;
        to->column = from->column + step->op->view_column(step->attributes);
    }
}

static void find_last_uses(const ksk_plan *plan, int *last_use)
{
    const ksk_program *program = &plan->program;
    for (int i = 0; i < program->step_count; i++)
        for (int j = 0; j < program->steps[i].input_count; j++)
            last_use[storage_of(plan, program->steps[i].inputs[j])->root] = i;
    /* What a run returns through a view is copied at its end. */
    for (int i = 0; i < program->output_count; i++)
        last_use[storage_of(plan, program->outputs[i])->root] = program->step_count;
}

/* --- buffers -------------------------------------------------------------------------------------
 */

/* The free buffer whose row is nearest to what is needed; a new one when none is free. */
static int take_buffer(placing *p, const program_value *value)
{
    ksk_plan *plan = p->plan;
    const int64_t bytes = ksk_value_row_bytes(value);
    int best = -1;
    for (int i = 0; i < plan->buffer_count; i++) {
        if (!p->free[i] || plan->buffers[i].size_name != size_name(value))
            continue;
        const int64_t have = plan->buffers[i].row_bytes;
        const int64_t known = best < 0 ? 0 : plan->buffers[best].row_bytes;
        if (best < 0 || (have >= bytes ? known < bytes || have < known : have > known))
            best = i;
    }
    if (best < 0) {
        const size_t needed = (size_t)plan->buffer_count + 1;
        if (!ksk_grow(&plan->buffers, &p->buffer_room, needed, sizeof *plan->buffers) ||
            !ksk_grow(&p->free, &p->free_room, needed, sizeof *p->free))
            return -1;
        best = plan->buffer_count++;
        plan->buffers[best] = (buffer){size_name(value), 0};
    }
    if (plan->buffers[best].row_bytes < bytes)
        plan->buffers[best].row_bytes = bytes;
    p->free[best] = false;
    return best;
}

/* Output 0 may overwrite an input that ends here, if both are alike. */
static bool take_over(const placing *p, int at, const program_step *step, storage *place)
{
    if (p->plan->reference || !step->op->in_place)
        return false;
    const int32_t input = step->inputs[step->op->in_place - 1];
    const program_value *from = &p->plan->program.values[input];
    const program_value *to = &p->plan->program.values[step->first_output];
    const storage *source = storage_of(p->plan, input);
    if (source->kind != STORED_BUFFER || source->root != input || p->last_use[input] != at ||
        from->dtype != to->dtype || size_name(from) != size_name(to) ||
        ksk_value_row_bytes(from) != ksk_value_row_bytes(to))
        return false;
    for (int i = 0; i < step->input_count; i++)
        if (i != step->op->in_place - 1 && storage_of(p->plan, step->inputs[i])->root == input)
            return false;
    *place = (storage){STORED_BUFFER, source->which, step->first_output, 0};
    return true;
}

static bool place_output(placing *p, int at, const program_step *step, int output)
{
    const int32_t i = step->first_output + output;
    const program_value *value = &p->plan->program.values[i];
    storage *place = storage_of(p->plan, i);
    if (value->output) {
        place->kind = STORED_OUTPUT; /* which one is found when all are known */
        return true;
    }
    if (output == 0 && take_over(p, at, step, place))
        return true;
    const int taken = take_buffer(p, value);
    *place = (storage){STORED_BUFFER, taken, i, 0};
    return taken >= 0;
}

static void release_inputs(placing *p, int at, const program_step *step)
{
    for (int i = 0; i < step->input_count; i++) {
        const storage *root = storage_of(p->plan, storage_of(p->plan, step->inputs[i])->root);
        const storage *output = storage_of(p->plan, step->first_output);
        const bool taken = output->kind == STORED_BUFFER && root->kind == STORED_BUFFER &&
                           output->which == root->which;
        if (root->kind == STORED_BUFFER && p->last_use[root->root] == at && !taken)
            p->free[root->which] = true;
    }
}

static bool place_step(placing *p, int at)
{
    const program_step *step = &p->plan->program.steps[at];
    for (int i = 0; i < step->op->outputs; i++) {
        storage *place = storage_of(p->plan, step->first_output + i);
        if (step->op->view_of && i == 0)
            *place = (storage){storage_of(p->plan, place->root)->kind,
                               storage_of(p->plan, place->root)->which, place->root, place->column};
        else if (!(step->op->appends && i == 0) && !place_output(p, at, step, i))
            return false;
    }
    release_inputs(p, at, step);
    /* An output that nobody reads is free at once. */
    for (int i = 0; i < step->op->outputs; i++) {
        const storage *place = storage_of(p->plan, step->first_output + i);
        if (place->kind == STORED_BUFFER && place->root == step->first_output + i &&
            p->last_use[place->root] < 0)
            p->free[place->which] = true;
    }
    return true;
}

static void number_outputs(ksk_plan *plan)
{
    for (int i = plan->program.output_count; i-- > 0;) {
        storage *place = storage_of(plan, plan->program.outputs[i]);
        if (place->kind == STORED_OUTPUT && place->root == plan->program.outputs[i])
            place->which = i;
    }
    for (int i = 0; i < plan->program.value_count; i++) {
        storage *place = storage_of(plan, i);
        if (place->root != i)
            place->which = storage_of(plan, place->root)->which;
    }
}

bool ksk_plan_place(ksk_plan *plan, ksk_error *err)
{
    const ksk_program *program = &plan->program;
    placing p = {.plan = plan};
    p.last_use = ksk_malloc((size_t)program->value_count * sizeof *p.last_use);
    plan->storages = ksk_calloc((size_t)program->value_count, sizeof *plan->storages);
    bool ok = p.last_use && plan->storages;
    for (int i = 0; ok && i < program->value_count; i++) {
        p.last_use[i] = -1;
        place_source(plan, i);
    }
    if (ok) {
        resolve_views(plan);
        find_last_uses(plan, p.last_use);
    }
    for (int i = 0; ok && i < program->step_count; i++)
        ok = place_step(&p, i);
    if (ok)
        number_outputs(plan);
    ksk_free(p.last_use);
    ksk_free(p.free);
    return ok || ksk_fail_memory(err);
}
