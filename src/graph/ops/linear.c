/* x · weightᵀ + bias, and what compile fuses behind it: an activation, a residual, a layer norm. */
#include <math.h>

#include "graph/ops/ops.h"
#include "tensor/product.h"
#include "tensor/tensor.h"

ksk_sym ksk_linear(ksk_sym x, ksk_sym weight, ksk_sym bias)
{
    return ksk_apply(&ksk_op_linear, &(const linear_attributes){KSK_IDENTITY, 0}, 3,
                     (const ksk_sym[]){x, weight, bias});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, LINEAR_X, "linear: x") ||
        !ksk_expect_matrix(s, LINEAR_WEIGHT, "linear: weight"))
        return;
    const ksk_shape x = ksk_sym_shape(s->inputs[LINEAR_X]),
                    weight = ksk_sym_shape(s->inputs[LINEAR_WEIGHT]);
    if (!ksk_size_equal(x.size[1], weight.size[1])) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "linear: x has %lld columns, the weight %lld",
                       (long long)x.size[1].fixed, (long long)weight.size[1].fixed);
        return;
    }
    if (!ksk_is_none(s->inputs[LINEAR_BIAS]) &&
        !ksk_expect_vector(s, LINEAR_BIAS, weight.size[0], "linear: bias"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_shape2(x.size[0], weight.size[0]);
}

/* Fusing happens after tracing and only in the fast path, so the plain kernel is the bare product.
 */
static void reference(const ksk_call *call)
{
    const ksk_operand *x = &call->inputs[LINEAR_X], *weight = &call->inputs[LINEAR_WEIGHT];
    const float *bias = call->inputs[LINEAR_BIAS].data;
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t j = 0; j < weight->rows; j++) {
            double sum = bias ? bias[j] : 0;
            for (int64_t p = 0; p < x->columns; p++)
                sum += (double)ksk_row(x, i)[p] * ksk_row(weight, j)[p];
            ksk_row(&call->outputs[0], i)[j] = (float)sum;
        }
    }
}

/* --- the fast kernel --- */

static const ksk_operand *optional(const ksk_call *call, int input)
{
    static const ksk_operand none = {.data = NULL};
    return input < call->input_count ? &call->inputs[input] : &none;
}

static void norm_rows(const ksk_call *call, int64_t first, int64_t last)
{
    const linear_attributes *attributes = call->attributes;
    const ksk_operand *y = &call->outputs[0];
    call->kernels->layer_norm(last - first, y->columns, ksk_row(y, first), y->stride,
                              optional(call, LINEAR_GAIN)->data, optional(call, LINEAR_SHIFT)->data,
                              attributes->epsilon, ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    const linear_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[LINEAR_X], *weight = &call->inputs[LINEAR_WEIGHT],
                      *residual = optional(call, LINEAR_RESIDUAL), *y = &call->outputs[0];
    const ksk_epilogue epilogue = {.bias = call->inputs[LINEAR_BIAS].data,
                                   .activation = attributes->activation,
                                   .residual = residual->data,
                                   .residual_stride = residual->stride};
    if (call->prepared)
        ksk_product(call->prepared, x->rows, x->data, x->stride, &epilogue, y->data, y->stride,
                    call->scratch, call->pool);
    else
        ksk_product_plain(call->kernels, x->rows, y->columns, x->columns,
                          (ksk_left){x->data, x->stride, 1}, weight->data, 1, weight->stride,
                          &epilogue, y->data, y->stride, call->scratch, call->pool);
    if (optional(call, LINEAR_GAIN)->data)
        ksk_over_rows(call, y->rows, y->columns * 3, norm_rows);
}

static ksk_left left_operand(const ksk_operand *x)
{
    return (ksk_left){x->data, x->stride, 1};
}

static size_t scratch(const ksk_call *call)
{
    const ksk_operand *x = &call->inputs[LINEAR_X];
    return call->prepared
               ? ksk_product_scratch(call->prepared, x->rows)
               : ksk_product_plain_scratch(call->kernels, x->rows, call->outputs[0].columns,
                                           x->columns, left_operand(x));
}

static void *prepare(const void *attributes, const ksk_tensor *const *constants,
                     const ksk_compile_options *options, ksk_error *err)
{
    (void)attributes;
    const ksk_tensor *weight = constants[LINEAR_WEIGHT];
    if (!weight)
        return NULL;
    if (weight->packing)
        return ksk_packed_share(ksk_kernels_best(), weight, err);
    return ksk_packed_new(ksk_kernels_best(), options->precision, weight->shape[0],
                          weight->shape[1], ksk_tensor_f32(weight), weight->shape[1], err);
}

static void unprepare(void *prepared)
{
    ksk_packed_free(prepared);
}

/* Traced linears are bare products: fusing comes after grad. */
static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[LINEAR_X] = ksk_matmul(output_grads[0], inputs[LINEAR_WEIGHT], false, false);
    input_grads[LINEAR_WEIGHT] = ksk_matmul(output_grads[0], inputs[LINEAR_X], true, false);
    if (!ksk_is_none(inputs[LINEAR_BIAS]))
        input_grads[LINEAR_BIAS] = ksk_column_sum(output_grads[0]);
}

const ksk_op ksk_op_linear = {.name = "linear",
                              .min_inputs = 2,
                              .max_inputs = LINEAR_INPUTS,
                              .outputs = 1,
                              .attribute_size = sizeof(linear_attributes),
                              .shape = shape,
                              .reference = reference,
                              .fast = fast,
                              .grad = grad,
                              .prepare = prepare,
                              .unprepare = unprepare,
                              .scratch = scratch};
