/* Compiling: a graph becomes a program, is fused, gets its weights packed and its values placed. */
#include <stdio.h>
#include <stdlib.h>

#include "graph/ops/ops.h"
#include "graph/plan.h"
#include "kaskad/memory.h"
#include "tensor/kernels.h"
#include "tensor/product.h"
#include "tensor/tensor.h"

/* --- weights ------------------------------------------------------------------------------------
 */

static bool is_packed(const ksk_program *program, int32_t value)
{
    const ksk_tensor *tensor = program->values[value].tensor;
    return tensor && tensor->packing;
}

/* A table that rows are taken from may stay in a narrow type, for the copy widens; packed weights
 * may stay packed for the fast path. */
static bool stays_narrow(const ksk_program *program, const program_step *step, int input,
                         bool reference)
{
    if (step->op == &ksk_op_rows && input == 0)
        return !reference || !is_packed(program, step->inputs[input]);
    return step->op == &ksk_op_linear && input == LINEAR_WEIGHT && !reference &&
           is_packed(program, step->inputs[input]);
}

static void find_widened(const ksk_program *program, bool reference, bool *widened)
{
    for (int i = 0; i < program->step_count; i++) {
        const program_step *step = &program->steps[i];
        for (int j = 0; j < step->input_count; j++)
            if (!stays_narrow(program, step, j, reference))
                widened[step->inputs[j]] = true;
    }
}

static bool is_half(ksk_dtype dtype)
{
    return dtype == KSK_BF16 || dtype == KSK_F16;
}

static bool widen(program_value *value, ksk_error *err)
{
    ksk_tensor *wide = ksk_tensor_convert(value->tensor, KSK_F32, err);
    if (!wide)
        return false;
    ksk_tensor_release(value->tensor);
    value->tensor = wide;
    value->dtype = KSK_F32;
    return true;
}

/* A parameter read both as a table and as a weight: the table's reader gets a value of its own, so
 * that it can stay narrow. */
static bool keep_tables_narrow(ksk_program *program, const bool *widened)
{
    const int known = program->value_count;
    for (int i = 0; i < program->step_count; i++) {
        program_step *step = &program->steps[i];
        const int32_t table = step->inputs[0];
        if (step->op != &ksk_op_rows || table >= known || !widened[table] ||
            !program->values[table].tensor || !is_half(program->values[table].dtype))
            continue;
        program_value copy = program->values[table];
        copy.name = NULL;
        copy.output = false;
        copy.tensor = ksk_tensor_share(copy.tensor);
        const int32_t added = ksk_program_add(program, copy);
        if (added < 0)
            return false;
        program->steps[i].inputs[0] = added;
    }
    return true;
}

static bool widen_weights(ksk_program *program, bool reference, ksk_error *err)
{
    const int known = program->value_count;
    bool *widened = ksk_calloc((size_t)known, sizeof *widened);
    if (!widened)
        return ksk_fail_memory(err);
    find_widened(program, reference, widened);
    bool ok = keep_tables_narrow(program, widened) || ksk_fail_memory(err);
    for (int i = 0; ok && i < known; i++)
        if (widened[i] && program->values[i].tensor && is_half(program->values[i].dtype))
            ok = widen(&program->values[i], err);
    ksk_free(widened);
    return ok;
}

static bool prepare_step(const ksk_program *program, program_step *step,
                         const ksk_compile_options *options, ksk_error *err)
{
    const ksk_tensor *constants[KSK_MAX_INPUTS];
    if (!step->op->prepare)
        return true;
    for (int i = 0; i < step->input_count; i++)
        constants[i] = program->values[step->inputs[i]].tensor;
    ksk_error failure = {0};
    step->prepared = step->op->prepare(step->attributes, constants, options, &failure);
    return failure.status == KSK_OK || ksk_fail(err, failure.status, "%s", failure.message);
}

/* A weight that was packed for all its readers is not kept a second time. */
static void drop_packed_weights(ksk_program *program)
{
    for (int i = 0; i < program->value_count; i++) {
        int packed = 0, reads = 0;
        for (int s = 0; s < program->step_count; s++) {
            const program_step *step = &program->steps[s];
            for (int j = 0; j < step->input_count; j++) {
                reads += step->inputs[j] == i;
                packed += step->inputs[j] == i && step->op == &ksk_op_linear &&
                          j == LINEAR_WEIGHT && step->prepared;
            }
        }
        if (program->values[i].tensor && reads == packed && !program->values[i].output) {
            ksk_tensor_release(program->values[i].tensor);
            program->values[i].tensor = NULL;
        }
    }
}

static size_t packed_bytes(const ksk_program *program)
{
    size_t bytes = 0;
    for (int i = 0; i < program->step_count; i++)
        if (program->steps[i].op == &ksk_op_linear && program->steps[i].prepared)
            bytes += ksk_packed_bytes(program->steps[i].prepared);
    return bytes;
}

/* --- plans --------------------------------------------------------------------------------------
 */

static bool has_kernels(const ksk_program *program, ksk_error *err)
{
    for (int i = 0; i < program->step_count; i++) {
        const ksk_op *op = program->steps[i].op;
        if (!op->reference && !op->fast && !op->view_of)
            return ksk_fail(err, KSK_UNSUPPORTED, "operation '%s' has no kernel", op->name);
    }
    return true;
}

static bool build(ksk_plan *plan, const ksk_graph *graph, int output_count, const ksk_sym *outputs,
                  const ksk_compile_options *options, ksk_error *err)
{
    if (!ksk_program_build(&plan->program, graph, output_count, outputs, options->free, err) ||
        !has_kernels(&plan->program, err))
        return false;
    if (!options->reference && !ksk_program_fuse(&plan->program, err))
        return false;
    if (!widen_weights(&plan->program, options->reference, err))
        return false;
    for (int i = 0; !options->reference && i < plan->program.step_count; i++)
        if (!prepare_step(&plan->program, &plan->program.steps[i], options, err))
            return false;
    drop_packed_weights(&plan->program);
    plan->weight_bytes = packed_bytes(&plan->program);
    return ksk_plan_place(plan, err);
}

ksk_plan *ksk_compile(const ksk_graph *graph, int output_count, const ksk_sym *outputs,
                      const ksk_compile_options *options, ksk_error *err)
{
    static const ksk_compile_options defaults = {KSK_PRECISION_F32, false, NULL};
    ksk_plan *plan = ksk_calloc(1, sizeof *plan);
    if (!plan) {
        ksk_fail_memory(err);
        return NULL;
    }
    options = options ? options : &defaults;
    plan->reference = options->reference;
    plan->kernels = ksk_kernels_best();
    if (!build(plan, graph, output_count, outputs, options, err)) {
        ksk_plan_free(plan);
        return NULL;
    }
    return plan;
}

void ksk_plan_free(ksk_plan *plan)
{
    if (!plan)
        return;
    ksk_program_free(&plan->program);
    ksk_free(plan->storages);
    ksk_free(plan->buffers);
    ksk_free(plan);
}

/* --- printing -----------------------------------------------------------------------------------
 */

static const char *const activation_names[] = {"", "+relu", "+gelu", "+gelu_new", "+silu", "+tanh"};

static void print_step(FILE *out, const ksk_plan *plan, const program_step *step)
{
    const program_value *value = &plan->program.values[step->first_output];
    const storage *place = &plan->storages[step->first_output];
    fprintf(out, "%%%d = %s", step->first_output, step->op->name);
    if (step->op == &ksk_op_linear) {
        const linear_attributes *attributes = step->attributes;
        fprintf(out, "%s%s%s%s", step->inputs[LINEAR_BIAS] ? "+bias" : "",
                activation_names[attributes->activation],
                step->input_count > LINEAR_RESIDUAL && step->inputs[LINEAR_RESIDUAL] ? "+residual"
                                                                                     : "",
                attributes->epsilon > 0 ? "+norm" : "");
    }
    fputc('(', out);
    for (int i = 0; i < step->input_count; i++)
        fprintf(out, "%s%%%d", i ? ", " : "", step->inputs[i]);
    fprintf(out, ") %s [", ksk_dtype_name(value->dtype));
    for (int i = 0; i < value->shape.rank; i++) {
        const ksk_size size = value->shape.size[i];
        if (size.name)
            fprintf(out, "%s%s", i ? ", " : "", plan->program.sizes[size.name - 1]);
        else
            fprintf(out, "%s%lld", i ? ", " : "", (long long)size.fixed);
    }
    if (place->kind == STORED_BUFFER)
        fprintf(out, "] in buffer %d\n", place->which);
    else
        fputs("]\n", out);
}

char *ksk_plan_print(const ksk_plan *plan)
{
    char *text = NULL, *copy = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (int i = 0; i < plan->program.step_count; i++)
        print_step(out, plan, &plan->program.steps[i]);
    const bool ok = fclose(out) == 0;
    if (ok)
        copy = ksk_strdup(text);
    free(text);
    return copy;
}
