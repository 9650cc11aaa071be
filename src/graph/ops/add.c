/* Sums, element by element. */
#include "graph/ops/elementwise.h"
#include "tensor/kernels.h"

ksk_sym ksk_add(ksk_sym a, ksk_sym b)
{
    return ksk_apply(&ksk_op_add, NULL, 2, (const ksk_sym[]){a, b});
}

static void reference(const ksk_call *call)
{
    const ksk_operand *a = &call->inputs[0];
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < a->columns; j++)
            ksk_row(&call->outputs[0], i)[j] = ksk_row(a, i)[j] + ksk_second_row(call, i)[j];
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const ksk_operand *a = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->add(last - first, a->columns, ksk_row(a, first), a->stride,
                       ksk_second_row(call, first), ksk_second_stride(call), ksk_row(y, first),
                       y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns, rows);
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] = output_grads[0];
    input_grads[1] = ksk_reduce_to_second(inputs[1], output_grads[0]);
}

const ksk_op ksk_op_add = {.name = "add",
                           .min_inputs = 2,
                           .max_inputs = 2,
                           .outputs = 1,
                           .shape = ksk_shape_elementwise,
                           .reference = reference,
                           .fast = fast,
                           .grad = grad,
                           .in_place = 1};
