/* Dropout (Srivastava et al. 2014). An element's fate depends on the key, the stream and where the
 * element stands, so the backward pass draws the same mask again and nothing is stored. */
#include "graph/ops/ops.h"
#include "kaskad/random.h"
#include "tensor/kernels.h"

typedef struct dropout_attributes {
    float rate;
    uint32_t stream;
} dropout_attributes;

ksk_sym ksk_dropout(ksk_sym x, ksk_sym key, float rate, uint32_t stream)
{
    if (rate <= 0)
        return x;
    return ksk_apply(&ksk_op_dropout, &(const dropout_attributes){rate, stream}, 2,
                     (const ksk_sym[]){x, key});
}

static void shape(ksk_shaping *s)
{
    const dropout_attributes *attributes = s->attributes;
    if (!ksk_expect_matrix(s, 0, "dropout: x") || !ksk_expect_ids(s, 1, "dropout: key"))
        return;
    if (!(attributes->rate < 1))
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "dropout: rate %g is not below 1",
                       (double)attributes->rate);
    ksk_shape_like_first(s);
}

static ksk_key mask_key(const ksk_call *call)
{
    const dropout_attributes *attributes = call->attributes;
    const uint32_t *words = call->inputs[1].data;
    return ksk_key_split((ksk_key){(uint64_t)words[1] << 32 | words[0]}, attributes->stream);
}

/* The largest 32-bit number whose element stays. */
static uint32_t largest_kept(float rate)
{
    return (uint32_t)((1 - (double)rate) * 4294967295.0);
}

static void reference(const ksk_call *call)
{
    const dropout_attributes *attributes = call->attributes;
    const ksk_key key = mask_key(call);
    const uint32_t kept = largest_kept(attributes->rate);
    const float scale = 1 / (1 - attributes->rate);
    const int64_t columns = call->inputs[0].columns;
    for (int64_t i = 0; i < call->inputs[0].rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const bool stays = ksk_random_bits(key, (uint64_t)(i * columns + j)) <= kept;
            ksk_row(&call->outputs[0], i)[j] = stays ? ksk_row(&call->inputs[0], i)[j] * scale : 0;
        }
}

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const dropout_attributes *attributes = call->attributes;
    const ksk_operand *x = &call->inputs[0], *y = &call->outputs[0];
    call->kernels->dropout(last - first, x->columns, mask_key(call).word,
                           (uint64_t)(first * x->columns), largest_kept(attributes->rate),
                           1 / (1 - attributes->rate), ksk_row(x, first), x->stride,
                           ksk_row(y, first), y->stride);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 4, rows);
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    input_grads[0] =
        ksk_apply(&ksk_op_dropout, attributes, 2, (const ksk_sym[]){output_grads[0], inputs[1]});
}

const ksk_op ksk_op_dropout = {.name = "dropout",
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .outputs = 1,
                               .attribute_size = sizeof(dropout_attributes),
                               .shape = shape,
                               .reference = reference,
                               .fast = fast,
                               .grad = grad,
                               .in_place = 1};
