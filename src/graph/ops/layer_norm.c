/* Layer normalisation (Ba, Kiros and Hinton 2016). */
#include <math.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

ksk_sym ksk_layer_norm(ksk_sym x, ksk_sym gain, ksk_sym bias, float epsilon)
{
    return ksk_apply(&ksk_op_layer_norm, &(const layer_norm_attributes){epsilon}, 3,
                     (const ksk_sym[]){x, gain, bias});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "layer_norm: x"))
        return;
    const ksk_size columns = ksk_sym_shape(s->inputs[0]).size[1];
    if (ksk_expect_vector(s, 1, columns, "layer_norm: gain") &&
        ksk_expect_vector(s, 2, columns, "layer_norm: bias"))
        ksk_shape_like_first(s);
}

static void normalise(int64_t n, const float *x, const float *gain, const float *bias,
                      double epsilon, float *y)
{
    double mean = 0, variance = 0;
    for (int64_t j = 0; j < n; j++)
        mean += x[j] / (double)n;
    for (int64_t j = 0; j < n; j++)
        variance += (x[j] - mean) * (x[j] - mean) / (double)n;
    const double scale = 1 / sqrt(variance + epsilon);
    for (int64_t j = 0; j < n; j++)
        y[j] = (float)((x[j] - mean) * scale * gain[j] + bias[j]);
}

static void reference(const ksk_call *call)
{
    const layer_norm_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0];
    for (int64_t i = 0; i < x->rows; i++)
        normalise(x->columns, ksk_row(x, i), call->inputs[1].data, call->inputs[2].data,
                  attributes->epsilon, ksk_row(&call->outputs[0], i));
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const layer_norm_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->layer_norm(last - first, x->columns, ksk_row(x, first), x->stride,
                              call->inputs[1].data, call->inputs[2].data, attributes->epsilon,
                              ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 3, rows);
}

const ksk_op ksk_op_layer_norm = {.name = "layer_norm",
                                  .min_inputs = 3,
                                  .max_inputs = 3,
                                  .outputs = 1,
                                  .attribute_size = sizeof(layer_norm_attributes),
                                  .shape = shape,
                                  .reference = reference,
                                  .fast = fast,
                                  .in_place = 1};
