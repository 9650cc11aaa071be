/* Rows written to a cache. */
#include <string.h>

#include "graph/ops/ops.h"

ksk_sym ksk_append(ksk_sym cache, ksk_sym rows, ksk_sym slots)
{
    return ksk_apply(&ksk_op_append, NULL, 3, (const ksk_sym[]){cache, rows, slots});
}

static void shape(ksk_shaping *s)
{
    if (s->graph->values[s->inputs[0].value].cache < 0) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "append: the first input is no cache");
        return;
    }
    if (s->graph->values[s->inputs[2].value].kind != VALUE_INPUT) {
        ksk_graph_fail(s->graph, KSK_UNSUPPORTED,
                       "append: the slots must be an input of the graph");
        return;
    }
    if (!ksk_expect_matrix(s, 1, "append: rows") || !ksk_expect_ids(s, 2, "append: slots") ||
        !ksk_expect_same_rows(s, 1, 2, "append: slots"))
        return;
    if (ksk_shaping_columns(s, 0) != ksk_shaping_columns(s, 1)) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "append: rows are %lld wide, the cache %lld",
                       (long long)ksk_shaping_columns(s, 1), (long long)ksk_shaping_columns(s, 0));
        return;
    }
    ksk_shape_like_first(s);
}

/* The run has grown the cache for the largest slot; what is left to refuse is below it. */
static bool check(const ksk_call *call, ksk_error *err)
{
    const int32_t *slots = call->inputs[2].data;
    for (int64_t i = 0; i < call->inputs[2].rows; i++)
        if (slots[i] < 0 || slots[i] >= call->inputs[0].rows)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "append: slot %d at %lld", slots[i],
                            (long long)i);
    return true;
}

static void run(const ksk_call *call)
{
    const int32_t *slots = call->inputs[2].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++)
        memcpy(ksk_row(&call->inputs[0], slots[i]), ksk_row(&call->inputs[1], i),
               (size_t)call->inputs[1].columns * sizeof(float));
}

const ksk_op ksk_op_append = {.name = "append",
                              .min_inputs = 3,
                              .max_inputs = 3,
                              .outputs = 1,
                              .shape = shape,
                              .check = check,
                              .reference = run,
                              .appends = true};
