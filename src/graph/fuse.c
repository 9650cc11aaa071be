/* Fusing: fewer, larger steps. Each pass looks for one pattern and rewrites it; results stay the
 * same up to the rounding of a sum that is no longer stored in between. */
#include <string.h>

#include "graph/ops/ops.h"
#include "graph/program.h"
#include "kaskad/memory.h"
#include "tensor/packing.h"

/* --- products that share their left operand -----------------------------------------------------
 */

enum { most_siblings = 64 };

static bool is_fixed(const ksk_program *program, int32_t value)
{
    return program->values[value].tensor != NULL;
}

/* A bare product with weights that never change. */
static bool is_candidate(const ksk_program *program, const program_step *step)
{
    if (step->op != &ksk_op_linear || step->input_count != LINEAR_RESIDUAL)
        return false;
    return is_fixed(program, step->inputs[LINEAR_WEIGHT]) &&
           (step->inputs[LINEAR_BIAS] == 0 || is_fixed(program, step->inputs[LINEAR_BIAS])) &&
           !program->values[step->first_output].output;
}

/* Packed weights stack with those that are packed alike. */
static bool pack_alike(const ksk_program *program, const program_step *a, const program_step *b)
{
    const ksk_tensor *x = program->values[a->inputs[LINEAR_WEIGHT]].tensor,
                     *y = program->values[b->inputs[LINEAR_WEIGHT]].tensor;
    return (!x->packing && !y->packing) || ksk_packing_alike(x, y);
}

static bool are_siblings(const ksk_program *program, const program_step *a, const program_step *b)
{
    return is_candidate(program, b) && a->inputs[LINEAR_X] == b->inputs[LINEAR_X] &&
           (a->inputs[LINEAR_BIAS] == 0) == (b->inputs[LINEAR_BIAS] == 0) &&
           pack_alike(program, a, b);
}

static int find_siblings(const ksk_program *program, int first, int *siblings)
{
    int count = 0;
    if (!is_candidate(program, &program->steps[first]))
        return 0;
    for (int i = first; i < program->step_count && count < most_siblings; i++)
        if (are_siblings(program, &program->steps[first], &program->steps[i]))
            siblings[count++] = i;
    return count;
}

static ksk_tensor *stack_packed(const ksk_program *program, const int *siblings, int count,
                                ksk_error *err)
{
    ksk_tensor *parts[most_siblings];
    for (int i = 0; i < count; i++)
        parts[i] = program->values[program->steps[siblings[i]].inputs[LINEAR_WEIGHT]].tensor;
    return ksk_packing_stack(count, parts, err);
}

/* The tensors of one input of all siblings, one below the other: in f32, or packed as they are. */
static ksk_tensor *stack(const ksk_program *program, const int *siblings, int count, int input,
                         ksk_error *err)
{
    int64_t shape[KSK_MAX_RANK] = {0};
    int rank = 1;
    if (program->values[program->steps[siblings[0]].inputs[input]].tensor->packing)
        return stack_packed(program, siblings, count, err);
    for (int i = 0; i < count; i++) {
        const ksk_tensor *part = program->values[program->steps[siblings[i]].inputs[input]].tensor;
        rank = part->rank;
        shape[0] += part->shape[0];
        shape[1] = part->shape[1];
    }
    ksk_tensor *whole = ksk_tensor_new(KSK_F32, rank, shape, err);
    char *at = whole ? ksk_tensor_fill(whole) : NULL;
    for (int i = 0; whole && i < count; i++) {
        ksk_tensor *part = ksk_tensor_convert(
            program->values[program->steps[siblings[i]].inputs[input]].tensor, KSK_F32, err);
        if (!part) {
            ksk_tensor_release(whole);
            return NULL;
        }
        memcpy(at, ksk_tensor_data(part), ksk_tensor_bytes(part));
        at += ksk_tensor_bytes(part);
        ksk_tensor_release(part);
    }
    return whole;
}

static int32_t add_constant(ksk_program *program, ksk_tensor *tensor)
{
    program_value value = {.kind = VALUE_CONSTANT,
                           .dtype = tensor->packing ? KSK_BF16 : KSK_F32,
                           .shape = {.rank = tensor->rank},
                           .cache = -1,
                           .tensor = tensor,
                           .uses = 1};
    for (int i = 0; i < tensor->rank; i++)
        value.shape.size[i] = ksk_fixed(tensor->shape[i]);
    return ksk_program_add(program, value);
}

/* Turns a sibling's step into a view of some columns of the wide product. */
static bool make_view(ksk_program *program, program_step *step, int32_t wide, int64_t *column,
                      ksk_error *err)
{
    const int64_t width = program->values[step->first_output].shape.size[1].fixed;
    columns_attributes *attributes = ksk_malloc(sizeof *attributes);
    if (!attributes)
        return ksk_fail_memory(err);
    *attributes = (columns_attributes){*column, width};
    *column += width;
    for (int i = 0; i < step->input_count; i++)
        program->values[step->inputs[i]].uses--;
    ksk_free(step->attributes);
    *step = (program_step){.op = &ksk_op_columns,
                           .attributes = attributes,
                           .inputs = {wide},
                           .input_count = 1,
                           .first_output = step->first_output};
    program->values[wide].uses++;
    return true;
}

/* The wide product takes the place of the first sibling; that sibling's view and the others stay
 * where they are used, so a step is inserted. */
static bool insert_step(ksk_program *program, int at, program_step step)
{
    program_step *steps = ksk_calloc((size_t)program->step_count + 2, sizeof *steps);
    if (!steps)
        return false;
    memcpy(steps, program->steps, (size_t)at * sizeof *steps);
    steps[at] = step;
    memcpy(steps + at + 1, program->steps + at, (size_t)(program->step_count - at) * sizeof *steps);
    ksk_free(program->steps);
    program->steps = steps;
    program->step_count++;
    return true;
}

static bool fuse_siblings(ksk_program *program, const int *siblings, int count, ksk_error *err)
{
    const program_step first = program->steps[siblings[0]];
    ksk_tensor *weight = stack(program, siblings, count, LINEAR_WEIGHT, err);
    ksk_tensor *bias = weight && first.inputs[LINEAR_BIAS]
                           ? stack(program, siblings, count, LINEAR_BIAS, err)
                           : NULL;
    if (!weight || (first.inputs[LINEAR_BIAS] && !bias)) {
        ksk_tensor_release(weight);
        return false;
    }
    program_value wide = {.kind = VALUE_RESULT,
                          .dtype = KSK_F32,
                          .shape = ksk_shape2(program->values[first.first_output].shape.size[0],
                                              ksk_fixed(weight->shape[0])),
                          .cache = -1};
    program_step step = {.op = &ksk_op_linear,
                         .attributes = ksk_calloc(1, sizeof(linear_attributes)),
                         .inputs = {first.inputs[LINEAR_X]},
                         .input_count = LINEAR_RESIDUAL};
    const int32_t w = add_constant(program, weight);
    const int32_t b = bias ? add_constant(program, bias) : 0;
    step.inputs[LINEAR_WEIGHT] = w;
    step.inputs[LINEAR_BIAS] = b;
    step.first_output = ksk_program_add(program, wide);
    if (!step.attributes || w < 0 || b < 0 || step.first_output < 0 ||
        !insert_step(program, siblings[0], step)) {
        ksk_free(step.attributes);
        return ksk_fail_memory(err);
    }
    program->values[first.inputs[LINEAR_X]].uses++;
    int64_t column = 0;
    for (int i = 0; i < count; i++)
        if (!make_view(program, &program->steps[siblings[i] + 1], step.first_output, &column, err))
            return false;
    return true;
}

static bool fuse_all_siblings(ksk_program *program, ksk_error *err)
{
    int siblings[most_siblings];
    for (int i = 0; i < program->step_count; i++) {
        const int count = find_siblings(program, i, siblings);
        if (count > 1 && !fuse_siblings(program, siblings, count, err))
            return false;
    }
    return true;
}

/* --- what comes behind a product
 * ------------------------------------------------------------------ */

/* The step that gives `value`, if it is a fast-path linear that nothing else reads. */
static program_step *sole_linear(ksk_program *program, int32_t value, int before)
{
    if (program->values[value].uses != 1 || program->values[value].output)
        return NULL;
    for (int i = 0; i < before; i++)
        if (program->steps[i].op == &ksk_op_linear && program->steps[i].first_output == value)
            return &program->steps[i];
    return NULL;
}

static bool has(const program_step *linear, int input)
{
    return input < linear->input_count && linear->inputs[input] != 0;
}

static const linear_attributes *attributes_of(const program_step *linear)
{
    return linear->attributes;
}

/* The consumer becomes the linear, with its own output; the linear's old step goes. */
static void move_behind(ksk_program *program, program_step *linear, program_step *consumer)
{
    program->values[linear->first_output].uses = 0;
    ksk_free(consumer->attributes);
    const int32_t output = consumer->first_output;
    *consumer = *linear;
    consumer->first_output = output;
    *linear = (program_step){.op = NULL};
}

static void set_input(program_step *linear, int input, int32_t value)
{
    while (linear->input_count <= input)
        linear->inputs[linear->input_count++] = 0;
    linear->inputs[input] = value;
}

static void fuse_activation(ksk_program *program, int at)
{
    program_step *step = &program->steps[at];
    program_step *linear = sole_linear(program, step->inputs[0], at);
    if (!linear || has(linear, LINEAR_RESIDUAL) || has(linear, LINEAR_GAIN) ||
        attributes_of(linear)->activation != KSK_IDENTITY)
        return;
    const ksk_activation kind = ((const activate_attributes *)step->attributes)->kind;
    move_behind(program, linear, step);
    ((linear_attributes *)step->attributes)->activation = kind;
}

static void fuse_residual(ksk_program *program, int at)
{
    program_step *step = &program->steps[at];
    for (int side = 0; side < 2; side++) {
        program_step *linear = sole_linear(program, step->inputs[side], at);
        const int32_t other = step->inputs[1 - side];
        if (!linear || has(linear, LINEAR_RESIDUAL) || has(linear, LINEAR_GAIN) ||
            program->values[other].shape.rank != 2 || step->inputs[0] == step->inputs[1])
            continue;
        move_behind(program, linear, step);
        set_input(step, LINEAR_RESIDUAL, other);
        return;
    }
}

static void fuse_norm(ksk_program *program, int at)
{
    program_step *step = &program->steps[at];
    program_step *linear = sole_linear(program, step->inputs[0], at);
    if (!linear || has(linear, LINEAR_GAIN))
        return;
    const float epsilon = ((const layer_norm_attributes *)step->attributes)->epsilon;
    const int32_t gain = step->inputs[1], shift = step->inputs[2];
    move_behind(program, linear, step);
    set_input(step, LINEAR_GAIN, gain);
    set_input(step, LINEAR_SHIFT, shift);
    ((linear_attributes *)step->attributes)->epsilon = epsilon;
}

bool ksk_program_fuse(ksk_program *program, ksk_error *err)
{
    if (!fuse_all_siblings(program, err))
        return false;
    for (int i = 0; i < program->step_count; i++) {
        const ksk_op *op = program->steps[i].op;
        if (op == &ksk_op_activate)
            fuse_activation(program, i);
        else if (op == &ksk_op_add)
            fuse_residual(program, i);
        else if (op == &ksk_op_layer_norm)
            fuse_norm(program, i);
    }
    ksk_program_compact(program);
    return true;
}
