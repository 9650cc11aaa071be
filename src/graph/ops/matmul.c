/* Products of two matrices that both change, either one transposed. */
#include "graph/ops/ops.h"
#include "tensor/product.h"

typedef struct matmul_attributes {
    bool transpose_a, transpose_b;
} matmul_attributes;

ksk_sym ksk_matmul(ksk_sym a, ksk_sym b, bool transpose_a, bool transpose_b)
{
    return ksk_apply(&ksk_op_matmul, &(const matmul_attributes){transpose_a, transpose_b}, 2,
                     (const ksk_sym[]){a, b});
}

static void shape(ksk_shaping *s)
{
    const matmul_attributes *attributes = s->attributes;
    if (!ksk_expect_matrix(s, 0, "matmul: a") || !ksk_expect_matrix(s, 1, "matmul: b"))
        return;
    const ksk_shape a = ksk_sym_shape(s->inputs[0]), b = ksk_sym_shape(s->inputs[1]);
    const int ta = attributes->transpose_a, tb = attributes->transpose_b;
    if (!ksk_size_equal(a.size[1 - ta], b.size[tb])) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "matmul: the inner sizes of a and b differ");
        return;
    }
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_shape2(a.size[ta], b.size[1 - tb]);
}

/* Steps from one row to the next and from one column to the next of an operand as it is used. */
static ksk_left used_as(const ksk_operand *x, bool transposed)
{
    return transposed ? (ksk_left){x->data, 1, x->stride} : (ksk_left){x->data, x->stride, 1};
}

static int64_t inner_size(const ksk_call *call)
{
    const matmul_attributes *attributes = call->attributes;
    return attributes->transpose_a ? call->inputs[0].rows : call->inputs[0].columns;
}

static void reference(const ksk_call *call)
{
    const matmul_attributes *attributes = call->attributes;
    const ksk_left a = used_as(&call->inputs[0], attributes->transpose_a),
                   b = used_as(&call->inputs[1], attributes->transpose_b);
    const ksk_operand *y = &call->outputs[0];
    const int64_t k = inner_size(call);
    for (int64_t i = 0; i < y->rows; i++) {
        for (int64_t j = 0; j < y->columns; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)a.data[i * a.row + p * a.column] * b.data[p * b.row + j * b.column];
            ksk_row(y, i)[j] = (float)sum;
        }
    }
}

static void fast(const ksk_call *call)
{
    const matmul_attributes *attributes = call->attributes;
    const ksk_left b = used_as(&call->inputs[1], attributes->transpose_b);
    const ksk_operand *y = &call->outputs[0];
    const ksk_epilogue plain = {.activation = KSK_IDENTITY};
    ksk_product_plain(call->kernels, y->rows, y->columns, inner_size(call),
                      used_as(&call->inputs[0], attributes->transpose_a), b.data, b.row, b.column,
                      &plain, y->data, y->stride, call->scratch, call->pool);
}

static size_t scratch(const ksk_call *call)
{
    const matmul_attributes *attributes = call->attributes;
    const ksk_operand *y = &call->outputs[0];
    return ksk_product_plain_scratch(call->kernels, y->rows, y->columns, inner_size(call),
                                     used_as(&call->inputs[0], attributes->transpose_a));
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    const bool ta = ((const matmul_attributes *)attributes)->transpose_a,
               tb = ((const matmul_attributes *)attributes)->transpose_b;
    const ksk_sym a = inputs[0], b = inputs[1], dy = output_grads[0];
    input_grads[0] = ta ? ksk_matmul(b, dy, tb, true) : ksk_matmul(dy, b, false, !tb);
    input_grads[1] = tb ? ksk_matmul(dy, a, true, ta) : ksk_matmul(a, dy, !ta, false);
}

const ksk_op ksk_op_matmul = {.name = "matmul",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .outputs = 1,
                              .attribute_size = sizeof(matmul_attributes),
                              .shape = shape,
                              .reference = reference,
                              .fast = fast,
                              .scratch = scratch,
                              .grad = grad};
