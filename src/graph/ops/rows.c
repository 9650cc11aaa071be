/* Rows of a table by number: an embedding, or a choice among rows. */
#include <string.h>

#include "graph/ops/ops.h"
#include "tensor/tensor.h"

ksk_sym ksk_rows(ksk_sym table, ksk_sym ids)
{
    return ksk_apply(&ksk_op_rows, NULL, 2, (const ksk_sym[]){table, ids});
}

static void shape(ksk_shaping *s)
{
    if (!ksk_expect_matrix(s, 0, "rows: table") || !ksk_expect_ids(s, 1, "rows: ids"))
        return;
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] =
        ksk_shape2(ksk_sym_shape(s->inputs[1]).size[0], ksk_sym_shape(s->inputs[0]).size[1]);
}

static bool check(const ksk_call *call, ksk_error *err)
{
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++)
        if (ids[i] < 0 || ids[i] >= call->inputs[0].rows)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "rows: id %d at %lld is not in [0, %lld)",
                            ids[i], (long long)i, (long long)call->inputs[0].rows);
    return true;
}

static void widen(const ksk_operand *table, int64_t row, float *y)
{
    const uint16_t *x = (const uint16_t *)table->data + row * table->stride;
    for (int64_t j = 0; j < table->columns; j++)
        y[j] = table->dtype == KSK_BF16 ? ksk_bf16_to_f32(x[j]) : ksk_f16_to_f32(x[j]);
}

/* Copying is the whole work, so there is one kernel. */
static void run(const ksk_call *call)
{
    const ksk_operand *table = &call->inputs[0];
    const int32_t *ids = call->inputs[1].data;
    for (int64_t i = 0; i < call->inputs[1].rows; i++) {
        float *y = ksk_row(&call->outputs[0], i);
        if (table->dtype == KSK_F32)
            memcpy(y, ksk_row(table, ids[i]), (size_t)table->columns * sizeof *y);
        else
            widen(table, ids[i], y);
    }
}

const ksk_op ksk_op_rows = {.name = "rows",
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .outputs = 1,
                            .shape = shape,
                            .check = check,
                            .reference = run};
