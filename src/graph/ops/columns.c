/* Some columns of a matrix, as a view. */
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

const ksk_op ksk_op_columns = {.name = "columns",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .outputs = 1,
                               .attribute_size = sizeof(columns_attributes),
                               .shape = shape,
                               .view_of = 1,
                               .view_column = first_column};
