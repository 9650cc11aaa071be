#include "graph/ops/elementwise.h"

void ksk_shape_elementwise(ksk_shaping *shaping)
{
    const ksk_shape b = ksk_sym_shape(shaping->inputs[1]);
    if (!ksk_expect_matrix(shaping, 0, "first operand"))
        return;
    const ksk_size columns = ksk_sym_shape(shaping->inputs[0]).size[1];
    if (b.rank == 1) {
        if (!ksk_expect_vector(shaping, 1, columns, "second operand"))
            return;
    } else if (!ksk_expect_matrix(shaping, 1, "second operand") ||
               !ksk_expect_same_rows(shaping, 0, 1, "second operand")) {
        return;
    } else if (!ksk_size_equal(b.size[1], columns)) {
        ksk_graph_fail(shaping->graph, KSK_BAD_ARGUMENT,
                       "second operand has %lld columns, the first %lld",
                       (long long)b.size[1].fixed, (long long)columns.fixed);
        return;
    }
    ksk_shape_like_first(shaping);
}

static bool one_row(const ksk_call *call)
{
    return call->inputs[1].columns == 1 && call->inputs[0].columns != 1;
}

int64_t ksk_second_stride(const ksk_call *call)
{
    return one_row(call) ? 0 : call->inputs[1].stride;
}

const float *ksk_second_row(const ksk_call *call, int64_t i)
{
    return (const float *)call->inputs[1].data + i * ksk_second_stride(call);
}
