/* The squared rectifier, max(0, x)², with its gradient 2 max(0, x).
 *
 * So et al. 2021, "Primer: Searching for Efficient Transformers for Language Modeling". A model in
 * another plugin applies it with ksk_apply(ksk_op_find("squared_relu"), NULL, 1, &x). */
#include <kaskad/extend.h>

static void shape(ksk_shaping *s)
{
    if (ksk_sym_dtype(s->inputs[0]) != KSK_F32) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "squared_relu: expected x of f32");
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
            to[j] = from[j] > 0 ? from[j] * from[j] : 0;
    }
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    input_grads[0] = ksk_multiply(ksk_scale(ksk_activate(inputs[0], KSK_RELU), 2), output_grads[0]);
}

static const ksk_op squared_relu = {
    .name = "squared_relu",
    .min_inputs = 1,
    .max_inputs = 1,
    .outputs = 1,
    .shape = shape,
    .reference = reference,
    .grad = grad,
    .in_place = 1,
};
static const ksk_op *const operations[] = {&squared_relu, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "squared_relu", .operations = operations};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
