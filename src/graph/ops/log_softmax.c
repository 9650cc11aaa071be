/* Log-probabilities of each row's columns. */
#include <math.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

ksk_sym ksk_log_softmax(ksk_sym logits)
{
    return ksk_apply(&ksk_op_log_softmax, NULL, 1, &logits);
}

static void shape(ksk_shaping *s)
{
    if (ksk_expect_matrix(s, 0, "log_softmax: logits"))
        ksk_shape_like_first(s);
}

static void reference(const ksk_call *call)
{
    const ksk_operand *x = &call->inputs[0];
    for (int64_t i = 0; i < x->rows; i++) {
        const float *logits = ksk_row(x, i);
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < x->columns; j++)
            max = fmax(max, logits[j]);
        for (int64_t j = 0; j < x->columns; j++)
            sum += exp(logits[j] - max);
        const double norm = max + log(sum);
        for (int64_t j = 0; j < x->columns; j++)
            ksk_row(&call->outputs[0], i)[j] = (float)(logits[j] - norm);
    }
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const ksk_operand *x = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->log_softmax(last - first, x->columns, ksk_row(x, first), x->stride,
                               ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, rows);
}

/* --- the gradient: y, dy → dx = dy - exp(y) Σ dy --- */

static void grad_reference(const ksk_call *call)
{
    const int64_t n = call->inputs[0].columns;
    for (int64_t i = 0; i < call->inputs[0].rows; i++) {
        const float *y = ksk_row(&call->inputs[0], i), *dy = ksk_row(&call->inputs[1], i);
        float *dx = ksk_row(&call->outputs[0], i);
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += dy[j];
        for (int64_t j = 0; j < n; j++)
            dx[j] = (float)(dy[j] - exp((double)y[j]) * sum);
    }
}

static void grad_rows(const ksk_call *call, int64_t first, int64_t last)
{
    const ksk_operand *y = &call->inputs[0], *dy = &call->inputs[1], *dx = &call->outputs[0];
    call->kernels->log_softmax_grad(last - first, y->columns, ksk_row(y, first), y->stride,
                                    ksk_row(dy, first), dy->stride, ksk_row(dx, first), dx->stride);
}

static void grad_fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, grad_rows);
}

static const ksk_op log_softmax_grad = {.name = "log_softmax_grad",
                                        .min_inputs = 2,
                                        .max_inputs = 2,
                                        .outputs = 1,
                                        .shape = ksk_shape_like_first,
                                        .reference = grad_reference,
                                        .fast = grad_fast,
                                        .in_place = 2};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)inputs;
    input_grads[0] =
        ksk_apply(&log_softmax_grad, NULL, 2, (const ksk_sym[]){outputs[0], output_grads[0]});
}

const ksk_op ksk_op_log_softmax = {.name = "log_softmax",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .outputs = 1,
                                   .shape = shape,
                                   .reference = reference,
                                   .fast = fast,
                                   .grad = grad,
                                   .in_place = 1};
