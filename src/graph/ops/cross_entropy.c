/* Cross-entropy with label smoothing (Szegedy et al. 2016), a row at a time: logits, targets →
 * loss, norm. The norms, log Σ exp of each row, spare the gradient their sums. */
#include <math.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

typedef struct cross_entropy_attributes {
    float smoothing;
} cross_entropy_attributes;

ksk_sym ksk_cross_entropy(ksk_sym logits, ksk_sym targets, float smoothing)
{
    return ksk_apply(&ksk_op_cross_entropy, &(const cross_entropy_attributes){smoothing}, 2,
                     (const ksk_sym[]){logits, targets});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "cross_entropy: logits") ||
        !ksk_expect_ids(s, 1, "cross_entropy: targets") ||
        !ksk_expect_same_rows(s, 0, 1, "cross_entropy: targets"))
        return;
    for (int i = 0; i < 2; i++) {
        s->output_dtype[i] = KSK_F32;
        s->output_shape[i] = ksk_shape1(ksk_sym_shape(s->inputs[0]).size[0]);
    }
}

static bool check(const ksk_call *call, ksk_error *err)
{
    const int32_t *targets = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++)
        if (targets[i] < 0 || targets[i] >= call->inputs[0].columns)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "cross_entropy: target %d at %lld", targets[i],
                            (long long)i);
    return true;
}

/* log Σ exp, and the mean of the logits. */
static double log_sum(int64_t n, const float *x, double *mean)
{
    double max = -INFINITY, sum = 0;
    *mean = 0;
    for (int64_t j = 0; j < n; j++) {
        max = fmax(max, x[j]);
        *mean += x[j] / (double)n;
    }
    for (int64_t j = 0; j < n; j++)
        sum += exp(x[j] - max);
    return max + log(sum);
}

static void reference(const ksk_call *call)
{
    const double smoothing = ((const cross_entropy_attributes *)call->attributes)->smoothing;
    const int32_t *targets = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[0].rows; i++) {
        const float *x = ksk_row(&call->inputs[0], i);
        double mean;
        const double norm = log_sum(call->inputs[0].columns, x, &mean);
        *ksk_row(&call->outputs[0], i) =
            (float)((1 - smoothing) * (norm - x[targets[i]]) + smoothing * (norm - mean));
        *ksk_row(&call->outputs[1], i) = (float)norm;
    }
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const cross_entropy_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0];
    call->kernels->cross_entropy(last - first, x->columns, ksk_row(x, first), x->stride,
                                 (const int32_t *)call->inputs[1].data + first,
                                 attributes->smoothing, ksk_row(&call->outputs[0], first),
                                 ksk_row(&call->outputs[1], first));
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, rows);
}

/* --- the gradient: logits, targets, norm, dy → dlogits = dy (softmax - smoothed target) --- */

enum { NORM = 2, DY };

static void grad_reference(const ksk_call *call)
{
    const double smoothing = ((const cross_entropy_attributes *)call->attributes)->smoothing;
    const int32_t *targets = call->inputs[1].data;
    const int64_t n = call->inputs[0].columns;
    for (int64_t i = 0; i < call->inputs[0].rows; i++) {
        const float *x = ksk_row(&call->inputs[0], i);
        const double dy = *ksk_row(&call->inputs[DY], i), norm = *ksk_row(&call->inputs[NORM], i);
        float *dx = ksk_row(&call->outputs[0], i);
        for (int64_t j = 0; j < n; j++) {
            const double target = smoothing / (double)n + (j == targets[i] ? 1 - smoothing : 0);
            dx[j] = (float)(dy * (exp(x[j] - norm) - target));
        }
    }
}

static void grad_rows(const ksk_call *call, int64_t first, int64_t last)
{
    const cross_entropy_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *dx = &call->outputs[0];
    call->kernels->cross_entropy_grad(
        last - first, x->columns, ksk_row(x, first), x->stride,
        (const int32_t *)call->inputs[1].data + first, ksk_row(&call->inputs[NORM], first),
        ksk_row(&call->inputs[DY], first), attributes->smoothing, ksk_row(dx, first), dx->stride);
}

static void grad_fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, grad_rows);
}

static const ksk_op cross_entropy_grad = {.name = "cross_entropy_grad",
                                          .min_inputs = 4,
                                          .max_inputs = 4,
                                          .outputs = 1,
                                          .attribute_size = sizeof(cross_entropy_attributes),
                                          .shape = ksk_shape_like_first,
                                          .reference = grad_reference,
                                          .fast = grad_fast,
                                          .in_place = 1};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph;
    input_grads[0] =
        ksk_apply(&cross_entropy_grad, attributes, 4,
                  (const ksk_sym[]){inputs[0], inputs[1], outputs[1], output_grads[0]});
}

const ksk_op ksk_op_cross_entropy = {.name = "cross_entropy",
                                     .min_inputs = 2,
                                     .max_inputs = 2,
                                     .outputs = 2,
                                     .attribute_size = sizeof(cross_entropy_attributes),
                                     .shape = shape,
                                     .check = check,
                                     .reference = reference,
                                     .fast = fast,
                                     .grad = grad};
