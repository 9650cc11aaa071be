#include <string.h>

#include "graph/ops/ops.h"
#include "kaskad/extend.h"

static const ksk_op *const operations[] = {
    &ksk_op_activate,      &ksk_op_add,         &ksk_op_append,
    &ksk_op_attention,     &ksk_op_column_sum,  &ksk_op_columns,
    &ksk_op_cross_entropy, &ksk_op_dropout,     &ksk_op_layer_norm,
    &ksk_op_linear,        &ksk_op_log_softmax, &ksk_op_matmul,
    &ksk_op_multiply,      &ksk_op_pick,        &ksk_op_rows,
    &ksk_op_scale,         &ksk_op_sum,         NULL};

const ksk_op *ksk_op_at(int index)
{
    const int count = (int)(sizeof operations / sizeof *operations) - 1;
    return index < 0 || index >= count ? NULL : operations[index];
}

const ksk_op *ksk_op_find(const char *name)
{
    for (int i = 0; operations[i]; i++)
        if (strcmp(operations[i]->name, name) == 0)
            return operations[i];
    return NULL;
}
