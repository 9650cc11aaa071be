/* Rows of a table by number: an embedding, or a choice among rows. */
#include <string.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"
#include "tensor/packing.h"

ksk_sym ksk_rows(ksk_sym table, ksk_sym ids)
{
    return ksk_apply(&ksk_op_rows, NULL, 2, (const ksk_sym[]){table, ids});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "rows: table") || !ksk_expect_ids(s, 1, "rows: ids"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] =
        ksk_shape2(ksk_sym_shape(s->inputs[1]).size[0], ksk_sym_shape(s->inputs[0]).size[1]);
}

static bool check(const ksk_call *call, ksk_error *err)
{
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++)
        if (ids[i] < 0 || ids[i] >= call->inputs[0].rows)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "rows: id %d at %lld is not in [0, %lld)",
                            ids[i], (long long)i, (long long)call->inputs[0].rows);
    return true;
}

static void widen(const ksk_operand *table, int64_t row, float *y)
{
    const uint16_t *x = (const uint16_t *)table->data + row * table->stride;
    for (int64_t j = 0; j < table->columns; j++)
        y[j] = table->dtype == KSK_BF16 ? ksk_bf16_to_f32(x[j]) : ksk_f16_to_f32(x[j]);
}

/* Copying is the whole work, so there is one kernel. */
static void run(const ksk_call *call)
{
    const ksk_operand *table = &call->inputs[0];
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++) {
        float *y = ksk_row(&call->outputs[0], i);
        if (call->prepared)
            ksk_packing_row(call->prepared, ids[i], y);
        else if (table->dtype == KSK_F32)
            memcpy(y, ksk_row(table, ids[i]), (size_t)table->columns * sizeof *y);
        else
            widen(table, ids[i], y);
    }
}

/* A packed table; any other is read as it is. */
static void *prepare(const void *attributes, const ksk_tensor *const *constants,
                     const ksk_compile_options *options, ksk_error *err)
{
    (void)attributes, (void)options, (void)err;
    return constants[0] && constants[0]->packing ? ksk_tensor_share(constants[0]) : NULL;
}

static void unprepare(void *prepared)
{
    ksk_tensor_release(prepared);
}

/* --- the gradient of the table: each row of the gradient added to the row it came from --- */

static void grad_shape(ksk_shaping *s)
{
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_sym_shape(s->inputs[2]);
}

static void clear_rows(const ksk_call *call, int64_t first, int64_t last)
{
    const ksk_operand *table = &call->outputs[0];
    for (int64_t i = first; i < last; i++)
        memset(ksk_row(table, i), 0, (size_t)table->columns * sizeof(float));
}

static void grad_reference(const ksk_call *call)
{
    const int32_t *ids = call->inputs[1].data;
    const ksk_operand *dy = &call->inputs[0], *table = &call->outputs[0];
    clear_rows(call, 0, table->rows);
    for (int64_t i = 0; i < dy->rows; i++)
        for (int64_t j = 0; j < dy->columns; j++)
            ksk_row(table, ids[i])[j] += ksk_row(dy, i)[j];
}

/* Slices are columns, so that every sum runs over the rows in order. */
static void add_columns(const ksk_call *call, int64_t first, int64_t last)
{
    const ksk_operand *dy = &call->inputs[0], *table = &call->outputs[0];
    call->kernels->add_rows(dy->rows, last - first, ksk_row(dy, 0) + first, dy->stride,
                            call->inputs[1].data, ksk_row(table, 0) + first, table->stride);
}

static void grad_fast(const ksk_call *call)
{
    const ksk_operand *table = &call->outputs[0];
    ksk_over_rows(call, table->rows, table->columns, clear_rows);
    ksk_over_rows(call, table->columns, call->inputs[0].rows, add_columns);
}

/* dy, ids, the table (for its shape) → gradient of the table */
static const ksk_op rows_grad = {.name = "rows_grad",
                                 .min_inputs = 3,
                                 .max_inputs = 3,
                                 .outputs = 1,
                                 .shape = grad_shape,
                                 .reference = grad_reference,
                                 .fast = grad_fast};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] =
        ksk_apply(&rows_grad, NULL, 3, (const ksk_sym[]){output_grads[0], inputs[1], inputs[0]});
}

const ksk_op ksk_op_rows = {.name = "rows",
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .outputs = 1,
                            .shape = shape,
                            .check = check,
                            .reference = run,
                            .grad = grad,
                            .prepare = prepare,
                            .unprepare = unprepare};
