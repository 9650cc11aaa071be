/* A matrix times a number. */
#include "graph/ops/ops.h"
#include "tensor/kernels.h"

typedef struct scale_attributes {
    float factor;
} scale_attributes;

ksk_sym ksk_scale(ksk_sym x, float factor)
{
    return ksk_apply(&ksk_op_scale, &(const scale_attributes){factor}, 1, &x);
}

static void shape(ksk_shaping *s)
{
    if (ksk_expect_floats(s, 0, "scale: x"))
        ksk_shape_like_first(s);
}

static void reference(const ksk_call *call)
{
    const scale_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0];
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < x->columns; j++)
            ksk_row(&call->outputs[0], i)[j] = ksk_row(x, i)[j] * attributes->factor;
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const scale_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->scale(last - first, x->columns, attributes->factor, ksk_row(x, first), x->stride,
                         ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns, rows);
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)inputs, (void)outputs;
    input_grads[0] = ksk_scale(output_grads[0], ((const scale_attributes *)attributes)->factor);
}

const ksk_op ksk_op_scale = {.name = "scale",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .outputs = 1,
                             .attribute_size = sizeof(scale_attributes),
                             .shape = shape,
                             .reference = reference,
                             .fast = fast,
                             .grad = grad,
                             .in_place = 1};
