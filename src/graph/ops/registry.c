#include "graph/ops/ops.h"

/* A new operation is one file and one row. */
const ksk_op *const ksk_built_in_operations[] = {
    &ksk_op_activate,      &ksk_op_add,         &ksk_op_append,
    &ksk_op_attention,     &ksk_op_column_sum,  &ksk_op_columns,
    &ksk_op_cross_entropy, &ksk_op_dropout,     &ksk_op_layer_norm,
    &ksk_op_linear,        &ksk_op_log_softmax, &ksk_op_matmul,
    &ksk_op_multiply,      &ksk_op_pick,        &ksk_op_rows,
    &ksk_op_scale,         &ksk_op_sum,         NULL};
