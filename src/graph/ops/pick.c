/* One element of each row, by number. */
#include <string.h>

#include "graph/ops/ops.h"

ksk_sym ksk_pick(ksk_sym x, ksk_sym ids)
{
    return ksk_apply(&ksk_op_pick, NULL, 2, (const ksk_sym[]){x, ids});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "pick: x") || !ksk_expect_ids(s, 1, "pick: ids") ||
        !ksk_expect_same_rows(s, 0, 1, "pick: ids"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_shape1(ksk_sym_shape(s->inputs[0]).size[0]);
}

static bool check(const ksk_call *call, ksk_error *err)
{
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++)
        if (ids[i] < 0 || ids[i] >= call->inputs[0].columns)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "pick: id %d at %lld is not in [0, %lld)",
                            ids[i], (long long)i, (long long)call->inputs[0].columns);
    return true;
}

static void run(const ksk_call *call)
{
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[0].rows; i++)
        *ksk_row(&call->outputs[0], i) = ksk_row(&call->inputs[0], i)[ids[i]];
}

/* --- the gradient: x (for its shape), ids, dy → dx, zero but for the picked elements --- */

static void grad_run(const ksk_call *call)
{
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->outputs[0].rows; i++) {
        float *dx = ksk_row(&call->outputs[0], i);
        memset(dx, 0, (size_t)call->outputs[0].columns * sizeof *dx);
        dx[ids[i]] = *ksk_row(&call->inputs[2], i);
    }
}

static const ksk_op pick_grad = {.name = "pick_grad",
                                 .min_inputs = 3,
                                 .max_inputs = 3,
                                 .outputs = 1,
                                 .shape = ksk_shape_like_first,
                                 .reference = grad_run};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] =
        ksk_apply(&pick_grad, NULL, 3, (const ksk_sym[]){inputs[0], inputs[1], output_grads[0]});
}

const ksk_op ksk_op_pick = {.name = "pick",
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .outputs = 1,
                            .shape = shape,
                            .check = check,
                            .reference = run,
                            .grad = grad};
