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

const ksk_op ksk_op_log_softmax = {.name = "log_softmax",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .outputs = 1,
                                   .shape = shape,
                                   .reference = reference,
                                   .fast = fast,
                                   .in_place = 1};
