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

/* d activation / dx */
static double slope(ksk_activation kind, double x)
{
    switch (kind) {
    case KSK_RELU:
        return x > 0;
    case KSK_GELU:
        return (1 + erf(x * 0.7071067811865476)) / 2 + x * 0.3989422804014327 * exp(-x * x / 2);
    case KSK_GELU_NEW: {
        const double t = tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
        return (1 + t) / 2 + x / 2 * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
    }
    case KSK_SILU: {
        const double sigmoid = 1 / (1 + exp(-x));
        return sigmoid * (1 + x * (1 - sigmoid));
    }
    case KSK_TANH: {
        const double t = tanh(x);
        return 1 - t * t;
    }
    case KSK_IDENTITY:
        break;
    }
    return 1;
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

/* --- the gradient: x, dy → dx --- */

static void grad_reference(const ksk_call *call)
{
    const activate_attributes *attributes = call->attributes;
    for (int64_t i = 0; i < call->inputs[0].rows; i++) {
        const float *x = ksk_row(&call->inputs[0], i), *dy = ksk_row(&call->inputs[1], i);
        float *dx = ksk_row(&call->outputs[0], i);
        for (int64_t j = 0; j < call->inputs[0].columns; j++)
            dx[j] = (float)(dy[j] * slope(attributes->kind, x[j]));
    }
}

static void grad_rows(const ksk_call *call, int64_t first, int64_t last)
{
    const activate_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *dy = &call->inputs[1], *dx = &call->outputs[0];
    call->kernels->activate_grad(last - first, x->columns, attributes->kind, ksk_row(x, first),
                                 x->stride, ksk_row(dy, first), dy->stride, ksk_row(dx, first),
                                 dx->stride);
}

static void grad_fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, grad_rows);
}

static const ksk_op activate_grad = {.name = "activate_grad",
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .outputs = 1,
                                     .attribute_size = sizeof(activate_attributes),
                                     .shape = ksk_shape_like_first,
                                     .reference = grad_reference,
                                     .fast = grad_fast,
                                     .in_place = 2};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    input_grads[0] =
        ksk_apply(&activate_grad, attributes, 2, (const ksk_sym[]){inputs[0], output_grads[0]});
}

const ksk_op ksk_op_activate = {.name = "activate",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .outputs = 1,
                                .attribute_size = sizeof(activate_attributes),
                                .shape = shape,
                                .reference = reference,
                                .fast = fast,
                                .grad = grad,
                                .in_place = 1};
