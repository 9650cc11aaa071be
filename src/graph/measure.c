/* How much memory runs of a plan need, before anything is run. */
#include "graph/ops/ops.h"
#include "graph/plan.h"
#include "kaskad/memory.h"

typedef struct measuring {
    const ksk_plan *plan;
    int64_t (*size)(const void *context, const char *name);
    const void *context;
    int64_t longest;
} measuring;

static int64_t size_of(const measuring *m, int32_t name)
{
    return name ? m->size(m->context, m->plan->program.sizes[name - 1]) : 1;
}

static int64_t bytes_of(const measuring *m, const program_value *value)
{
    return size_of(m, value->shape.rank ? value->shape.size[0].name : 0) *
           ksk_value_row_bytes(value);
}

/* An operand of the sizes that a run may have, without numbers. */
static ksk_operand operand_of(const measuring *m, const program_value *value)
{
    const int rank = value->shape.rank;
    const ksk_size first = rank ? value->shape.size[0] : (ksk_size){.fixed = 1};
    const int64_t columns = rank < 2 ? 1 : value->shape.size[rank - 1].fixed;
    ksk_operand operand = {.dtype = value->dtype,
                           .rows = first.name ? size_of(m, first.name) : first.fixed,
                           .columns = columns,
                           .stride = columns};
    for (int i = 1; i + 1 < rank; i++)
        operand.rows *= value->shape.size[i].fixed;
    return operand;
}

/* Keys are as many as the cache has slots, of which a row sees few. */
static void see_no_further(const measuring *m, const program_step *step, ksk_operand *inputs)
{
    for (int i = 1; step->op == &ksk_op_attention && i < 3; i++)
        inputs[i].rows = inputs[i].rows < m->longest ? inputs[i].rows : m->longest;
}

/* A plugin's operation may look at the numbers, of which there are none. */
static bool is_built_in(const ksk_op *op)
{
    for (int i = 0; ksk_built_in_operations[i]; i++)
        if (ksk_built_in_operations[i] == op)
            return true;
    return false;
}

static int64_t scratch_of(const measuring *m, const program_step *step)
{
    const ksk_program *program = &m->plan->program;
    ksk_operand inputs[KSK_MAX_INPUTS] = {{0}};
    if (m->plan->reference || !step->op->fast || !step->op->scratch || !is_built_in(step->op))
        return 0;
    for (int i = 0; i < step->input_count; i++)
        inputs[i] = operand_of(m, &program->values[step->inputs[i]]);
    see_no_further(m, step, inputs);
    ksk_operand output = operand_of(m, &program->values[step->first_output]);
    const ksk_call call = {.attributes = step->attributes,
                           .inputs = inputs,
                           .outputs = &output,
                           .input_count = step->input_count,
                           .output_count = 1,
                           .prepared = step->prepared,
                           .kernels = m->plan->kernels};
    return (int64_t)step->op->scratch(&call);
}

static int64_t largest_scratch(const measuring *m)
{
    int64_t largest = 0;
    for (int i = 0; i < m->plan->program.step_count; i++) {
        const int64_t scratch = scratch_of(m, &m->plan->program.steps[i]);
        largest = scratch > largest ? scratch : largest;
    }
    return largest;
}

/* While a cache grows, what it holds is there twice; caches grow one after the other. */
static int64_t caches_of(const measuring *m)
{
    const ksk_program *program = &m->plan->program;
    int64_t sum = 0, largest = 0;
    for (int i = 0; i < program->value_count; i++) {
        const program_value *value = &program->values[i];
        if (value->kind != VALUE_CACHE || value->uses == 0)
            continue;
        const int64_t bytes = bytes_of(m, value);
        sum += bytes;
        largest = bytes > largest ? bytes : largest;
    }
    return sum + largest;
}

ksk_plan_room ksk_plan_measure(const ksk_plan *plan,
                               int64_t (*size)(const void *context, const char *name),
                               const void *context, int64_t longest)
{
    const measuring m = {plan, size, context, longest};
    const ksk_program *program = &plan->program;
    ksk_plan_room room = {.weights = (int64_t)plan->weight_bytes};
    for (int i = 0; i < plan->buffer_count; i++)
        room.arena += size_of(&m, plan->buffers[i].size_name) * plan->buffers[i].row_bytes + 64;
    for (int i = 0; i < program->output_count; i++)
        if (program->values[program->outputs[i]].cache < 0)
            room.outputs += bytes_of(&m, &program->values[program->outputs[i]]);
    room.scratch = largest_scratch(&m);
    room.caches = caches_of(&m);
    return room;
}
