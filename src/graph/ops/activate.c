/* Activation functions, element by element. */
#include <math.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

ksk_sym ksk_activate(ksk_sym x, ksk_activation kind)
{
    return ksk_apply(&ksk_op_activate, &(const activate_attributes){kind}, 1, &x);
}

static void shape(ksk_shaping *s)
{
    if (ksk_expect_matrix(s, 0, "activate: x"))
        ksk_shape_like_first(s);
}

static double activation(ksk_activation kind, double x)
{
    switch (kind) {
    case KSK_RELU:
        return x > 0 ? x : 0;
    case KSK_GELU:
        return x / 2 * (1 + erf(x * 0.7071067811865476));
    case KSK_GELU_NEW:
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case KSK_SILU:
        return x / (1 + exp(-x));
    case KSK_TANH:
        return tanh(x);
    case KSK_IDENTITY:
        break;
    }
    return x;
}

static void reference(const ksk_call *call)
{
    const activate_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0];
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < x->columns; j++)
            ksk_row(&call->outputs[0], i)[j] =
                (float)activation(attributes->kind, ksk_row(x, i)[j]);
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const activate_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->activate(last - first, x->columns, attributes->kind, ksk_row(x, first),
                            x->stride, ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, rows);
}

const ksk_op ksk_op_activate = {.name = "activate",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .outputs = 1,
                                .attribute_size = sizeof(activate_attributes),
                                .shape = shape,
                                .reference = reference,
                                .fast = fast,
                                .in_place = 1};
