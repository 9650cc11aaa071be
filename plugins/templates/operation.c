/* NAME: x², with its gradient 2x. Change `reference`, then `grad` to match.
 *
 * Author year, "Title". A model applies it with ksk_apply(&NAME, NULL, 1, &x). */
#include <kaskad/extend.h>

static void shape(ksk_shaping *s)
{
    if (ksk_sym_dtype(s->inputs[0]) != KSK_F32) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "NAME: expected x of f32");
        return;
    }
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_sym_shape(s->inputs[0]);
}

static void reference(const ksk_call *call)
{
    const ksk_operand *const x = &call->inputs[0], *const y = &call->outputs[0];
    for (int64_t i = 0; i < x->rows; i++) {
        const float *const from = (const float *)x->data + i * x->stride;
        float *const to = (float *)y->data + i * y->stride;
        for (int64_t j = 0; j < x->columns; j++)
            to[j] = from[j] * from[j];
    }
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] = ksk_multiply(ksk_scale(inputs[0], 2), output_grads[0]);
}

static const ksk_op NAME = {
    .name = "NAME",
    .min_inputs = 1,
    .max_inputs = 1,
    .outputs = 1,
    .shape = shape,
    .reference = reference,
    .grad = grad,
    .in_place = 1,
};
static const ksk_op *const operations[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .operations = operations};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
