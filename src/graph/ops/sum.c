/* Sums: of all numbers of a vector, and of each column of a matrix. */
#include <string.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

/* --- a vector --- */

ksk_sym ksk_sum(ksk_sym x)
{
    return ksk_apply(&ksk_op_sum, NULL, 1, &x);
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_vector(s, 0, ksk_sym_shape(s->inputs[0]).size[0], "sum: x"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_shape1(ksk_fixed(1));
}

static void run(const ksk_call *call)
{
    double sum = 0;
    for (int64_t i = 0; i < call->inputs[0].rows; i++)
        sum += *ksk_row(&call->inputs[0], i);
    *ksk_row(&call->outputs[0], 0) = (float)sum;
}

static void spread(const ksk_call *call)
{
    for (int64_t i = 0; i < call->outputs[0].rows; i++)
        *ksk_row(&call->outputs[0], i) = *ksk_row(&call->inputs[1], 0);
}

/* x (for its shape), dy [1] → dx */
static const ksk_op sum_grad = {.name = "sum_grad",
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .outputs = 1,
                                .shape = ksk_shape_like_first,
                                .reference = spread};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] = ksk_apply(&sum_grad, NULL, 2, (const ksk_sym[]){inputs[0], output_grads[0]});
}

const ksk_op ksk_op_sum = {.name = "sum",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .outputs = 1,
                           .shape = shape,
                           .reference = run,
                           .grad = grad};

/* --- columns --- */

ksk_sym ksk_column_sum(ksk_sym x)
{
    return ksk_apply(&ksk_op_column_sum, NULL, 1, &x);
}

static void column_shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "column_sum: x"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_shape1(ksk_sym_shape(s->inputs[0]).size[1]);
}

static void column_reference(const ksk_call *call)
{
    float *y = call->outputs[0].data;
    for (int64_t j = 0; j < call->inputs[0].columns; j++) {
        double sum = 0;
        for (int64_t i = 0; i < call->inputs[0].rows; i++)
            sum += ksk_row(&call->inputs[0], i)[j];
        y[j] = (float)sum;
    }
}

static void sum_columns(const ksk_call *call, int64_t first, int64_t last, float *sums)
{
    const ksk_operand *x = &call->inputs[0];
    call->kernels->column_sum(last - first, x->columns, ksk_row(x, first), x->stride, sums);
}

static size_t column_scratch(const ksk_call *call)
{
    return ksk_sum_scratch(call->inputs[0].rows, call->inputs[0].columns);
}

static void column_fast(const ksk_call *call)
{
    const ksk_operand *x = &call->inputs[0];
    const float *sums = ksk_sum_over_rows(call, x->rows, x->columns, sum_columns);
    memcpy(call->outputs[0].data, sums, (size_t)x->columns * sizeof *sums);
}

static void column_spread(const ksk_call *call)
{
    const ksk_operand *dx = &call->outputs[0];
    for (int64_t i = 0; i < dx->rows; i++)
        memcpy(ksk_row(dx, i), call->inputs[1].data, (size_t)dx->columns * sizeof(float));
}

/* x (for its shape), dy [width] → dx */
static const ksk_op column_sum_grad = {.name = "column_sum_grad",
                                       .min_inputs = 2,
                                       .max_inputs = 2,
                                       .outputs = 1,
                                       .shape = ksk_shape_like_first,
                                       .reference = column_spread};

static void column_grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                        const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] =
        ksk_apply(&column_sum_grad, NULL, 2, (const ksk_sym[]){inputs[0], output_grads[0]});
}

const ksk_op ksk_op_column_sum = {.name = "column_sum",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .outputs = 1,
                                  .shape = column_shape,
                                  .reference = column_reference,
                                  .fast = column_fast,
                                  .grad = column_grad,
                                  .scratch = column_scratch};
