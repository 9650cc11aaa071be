/* Layer normalisation (Ba, Kiros and Hinton 2016). */
#include <math.h>
#include <string.h>

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

/* --- the gradient: x, gain, dy → dx, dgain, dbias ---
 * With n = (x - mean) / deviation and g = dy · gain:
 * dx = (g - mean(g) - n · mean(g · n)) / deviation, dgain = Σ dy · n, dbias = Σ dy. */

static void grad_shape(ksk_shaping *s)
{
    for (int i = 0; i < 3; i++) {
        s->output_dtype[i] = KSK_F32;
        s->output_shape[i] = ksk_sym_shape(s->inputs[i > 0]);
    }
}

typedef struct row_statistics {
    double mean, scale, g, gn;
} row_statistics;

static row_statistics measure(int64_t n, const float *x, const float *gain, const float *dy,
                              double epsilon)
{
    row_statistics s = {0, 0, 0, 0};
    double variance = 0;
    for (int64_t j = 0; j < n; j++)
        s.mean += x[j] / (double)n;
    for (int64_t j = 0; j < n; j++)
        variance += (x[j] - s.mean) * (x[j] - s.mean) / (double)n;
    s.scale = 1 / sqrt(variance + epsilon);
    for (int64_t j = 0; j < n; j++) {
        s.g += (double)dy[j] * gain[j] / (double)n;
        s.gn += (double)dy[j] * gain[j] * (x[j] - s.mean) * s.scale / (double)n;
    }
    return s;
}

static void grad_reference(const ksk_call *call)
{
    const layer_norm_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0];
    const float *gain = call->inputs[1].data;
    float *dgain = call->outputs[1].data, *dbias = call->outputs[2].data;
    for (int64_t j = 0; j < x->columns; j++)
        dgain[j] = dbias[j] = 0;
    for (int64_t i = 0; i < x->rows; i++) {
        const float *row = ksk_row(x, i), *dy = ksk_row(&call->inputs[2], i);
        float *dx = ksk_row(&call->outputs[0], i);
        const row_statistics s = measure(x->columns, row, gain, dy, attributes->epsilon);
        for (int64_t j = 0; j < x->columns; j++) {
            const double n = (row[j] - s.mean) * s.scale;
            dgain[j] += (float)(dy[j] * n);
            dbias[j] += dy[j];
            dx[j] = (float)(((double)dy[j] * gain[j] - s.g - n * s.gn) * s.scale);
        }
    }
}

static void sum_grads(const ksk_call *call, int64_t first, int64_t last, float *sums)
{
    const layer_norm_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *dy = &call->inputs[2], *dx = &call->outputs[0];
    call->kernels->layer_norm_grad(last - first, x->columns, ksk_row(x, first), x->stride,
                                   call->inputs[1].data, attributes->epsilon, ksk_row(dy, first),
                                   dy->stride, ksk_row(dx, first), dx->stride, sums,
                                   sums + x->columns);
}

static size_t grad_scratch(const ksk_call *call)
{
    return ksk_sum_scratch(call->inputs[0].rows, call->inputs[0].columns * 2);
}

static void grad_fast(const ksk_call *call)
{
    const int64_t n = call->inputs[0].columns;
    const float *sums = ksk_sum_over_rows(call, call->inputs[0].rows, n * 2, sum_grads);
    memcpy(call->outputs[1].data, sums, (size_t)n * sizeof *sums);
    memcpy(call->outputs[2].data, sums + n, (size_t)n * sizeof *sums);
}

static const ksk_op layer_norm_grad = {.name = "layer_norm_grad",
                                       .min_inputs = 3,
                                       .max_inputs = 3,
                                       .outputs = 3,
                                       .attribute_size = sizeof(layer_norm_attributes),
                                       .shape = grad_shape,
                                       .reference = grad_reference,
                                       .fast = grad_fast,
                                       .in_place = 3,
                                       .scratch = grad_scratch};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    const ksk_sym first = ksk_apply(&layer_norm_grad, attributes, 3,
                                    (const ksk_sym[]){inputs[0], inputs[1], output_grads[0]});
    for (int i = 0; i < 3; i++)
        input_grads[i] = ksk_output(first, i);
}

const ksk_op ksk_op_layer_norm = {.name = "layer_norm",
                                  .min_inputs = 3,
                                  .max_inputs = 3,
                                  .outputs = 1,
                                  .attribute_size = sizeof(layer_norm_attributes),
                                  .shape = shape,
                                  .reference = reference,
                                  .fast = fast,
                                  .grad = grad,
                                  .in_place = 1};
