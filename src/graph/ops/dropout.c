/* Dropout (Srivastava et al. 2014). An element's fate depends on the key, the stream and where the
 * element stands, so the backward pass draws the same mask again and nothing is stored. */
#include "graph/ops/ops.h"
#include "kaskad/random.h"

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

static void rows(const ksk_call *call, int64_t first, int64_t last)
{
    const dropout_attributes *attributes = call->attributes;
    const uint32_t *words = call->inputs[1].data;
    const ksk_key key =
        ksk_key_split((ksk_key){(uint64_t)words[1] << 32 | words[0]}, attributes->stream);
    /* The share of 32-bit numbers that stays. */
    const uint32_t kept = (uint32_t)((1 - (double)attributes->rate) * 4294967295.0);
    const float scale = 1 / (1 - attributes->rate);
    const int64_t columns = call->inputs[0].columns;
    for (int64_t i = first; i < last; i++) {
        const float *x = ksk_row(&call->inputs[0], i);
        float *y = ksk_row(&call->outputs[0], i);
        uint32_t bits[4];
        for (int64_t j = 0; j < columns; j++) {
            const uint64_t at = (uint64_t)(i * columns + j);
            if (j == 0 || at % 4 == 0)
                ksk_random_block(key, at / 4, bits);
            y[j] = bits[at % 4] <= kept ? x[j] * scale : 0;
        }
    }
}

static void reference(const ksk_call *call)
{
    rows(call, 0, call->inputs[0].rows);
}

static void fast(const ksk_call *call)
{
    ksk_over_rows(call, call->inputs[0].rows, call->inputs[0].columns * 8, rows);
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
