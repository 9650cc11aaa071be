#include "graph/ops/elementwise.h"

static bool same_columns(ksk_shaping *shaping)
{
    const int64_t a = ksk_shaping_columns(shaping, 0), b = ksk_shaping_columns(shaping, 1);
    if (a == b)
        return true;
    ksk_graph_fail(shaping->graph, KSK_BAD_ARGUMENT,
                   "second operand has %lld columns, the first %lld", (long long)b, (long long)a);
    return false;
}

void ksk_shape_elementwise(ksk_shaping *shaping)
{
    if (!ksk_expect_floats(shaping, 0, "first operand") ||
        !ksk_expect_floats(shaping, 1, "second operand"))
        return;
    const ksk_shape a = ksk_sym_shape(shaping->inputs[0]), b = ksk_sym_shape(shaping->inputs[1]);
    const bool fits = b.rank == 1
                          ? ksk_expect_vector(shaping, 1, a.size[a.rank - 1], "second operand")
                          : a.rank == 2 && ksk_expect_same_rows(shaping, 0, 1, "second operand") &&
                                same_columns(shaping);
    if (fits)
        ksk_shape_like_first(shaping);
    else
        ksk_graph_fail(shaping->graph, KSK_BAD_ARGUMENT, "second operand: too many dimensions");
}

/* A vector comes as many rows of one column; beside a matrix it is one row. */
static bool one_row(const ksk_call *call)
{
    const ksk_operand *a = &call->inputs[0], *b = &call->inputs[1];
    return b->columns == 1 && (a->columns != 1 || a->rows != b->rows);
}

int64_t ksk_second_stride(const ksk_call *call)
{
    return one_row(call) ? 0 : call->inputs[1].stride;
}

const float *ksk_second_row(const ksk_call *call, int64_t i)
{
    return (const float *)call->inputs[1].data + i * ksk_second_stride(call);
}

ksk_sym ksk_reduce_to_second(ksk_sym second, ksk_sym grad)
{
    return ksk_sym_shape(second).rank < ksk_sym_shape(grad).rank ? ksk_column_sum(grad) : grad;
}
