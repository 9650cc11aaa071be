/* Some columns of a matrix, as a view. */
#include <string.h>

#include "graph/ops/ops.h"

ksk_sym ksk_columns(ksk_sym x, int64_t first, int64_t count)
{
    return ksk_apply(&ksk_op_columns, &(const columns_attributes){first, count}, 1, &x);
}

static void shape(ksk_shaping *s)
{
    const columns_attributes *attributes = s->attributes;
    if (!ksk_expect_matrix(s, 0, "columns: x"))
        return;
    const int64_t width = ksk_shaping_columns(s, 0);
    if (attributes->first < 0 || attributes->count < 1 ||
        attributes->first > width - attributes->count) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "columns: %lld from %lld on, of %lld",
                       (long long)attributes->count, (long long)attributes->first,
                       (long long)width);
        return;
    }
    s->output_dtype[0] = ksk_sym_dtype(s->inputs[0]);
    s->output_shape[0] =
        ksk_shape2(ksk_sym_shape(s->inputs[0]).size[0], ksk_fixed(attributes->count));
}

static int64_t first_column(const void *attributes)
{
    return ((const columns_attributes *)attributes)->first;
}

/* --- the gradient: x (for its shape), dy → dx, zero but for these columns --- */

static void grad_run(const ksk_call *call)
{
    const columns_attributes *attributes = call->attributes;
    for (int64_t i = 0; i < call->outputs[0].rows; i++) {
        float *dx = ksk_row(&call->outputs[0], i);
        memset(dx, 0, (size_t)call->outputs[0].columns * sizeof *dx);
        memcpy(dx + attributes->first, ksk_row(&call->inputs[1], i),
               (size_t)attributes->count * sizeof *dx);
    }
}

static const ksk_op columns_grad = {.name = "columns_grad",
                                    .min_inputs = 2,
                                    .max_inputs = 2,
                                    .outputs = 1,
                                    .attribute_size = sizeof(columns_attributes),
                                    .shape = ksk_shape_like_first,
                                    .reference = grad_run};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    input_grads[0] =
        ksk_apply(&columns_grad, attributes, 2, (const ksk_sym[]){inputs[0], output_grads[0]});
}

const ksk_op ksk_op_columns = {.name = "columns",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .outputs = 1,
                               .attribute_size = sizeof(columns_attributes),
                               .shape = shape,
                               .grad = grad,
                               .view_of = 1,
                               .view_column = first_column};
