/* R-Drop. Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks".
 *
 * Every batch passes the model twice, and dropout makes the two differ. The loss is the mean of
 * their cross entropies, plus what pulls them together: with p and q for the two distributions,
 *
 *     ½ (CE p + CE q) + ¼ STRENGTH (KL(p‖q) + KL(q‖p)),   KL(p‖q) + KL(q‖p) = Σ (p - q)(log p - log
 * q)
 *
 * which is half of the paper's equation 4, so that the learning rate of a plain run still fits. A
 * recipe says `loss: rdrop` (STRENGTH 1) or `loss: rdrop=5`. */
#include <kaskad/extend.h>
#include <math.h>
#include <stdlib.h>

/* --- the operation eˣ, with its gradient --- */

static void like_x(ksk_shaping *s)
{
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_sym_shape(s->inputs[0]);
}

static void exponentials(const ksk_call *call)
{
    const ksk_operand *const x = &call->inputs[0], *const y = &call->outputs[0];
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < x->columns; j++)
            ((float *)y->data)[i * y->stride + j] = expf(((float *)x->data)[i * x->stride + j]);
}

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)inputs;
    input_grads[0] = ksk_multiply(outputs[0], output_grads[0]);
}

static const ksk_op exponential = {.name = "exp",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .outputs = 1,
                                   .shape = like_x,
                                   .reference = exponentials,
                                   .grad = grad};

/* --- the loss --- */

static ksk_sym minus(ksk_sym a, ksk_sym b)
{
    return ksk_add(a, ksk_scale(b, -1));
}

static ksk_sym trace(ksk_loss_input *input)
{
    char *end;
    const float strength = *input->argument ? strtof(input->argument, &end) : 1;
    if (*input->argument && (*end || !(strength >= 0)))
        return ksk_graph_fail(input->targets.graph, KSK_BAD_ARGUMENT,
                              "rdrop takes STRENGTH, 0 or more, not '%s'", input->argument);
    ksk_sym log_p[2], p[2], likelihood[2];
    for (int i = 0; i < 2; i++) {
        const ksk_sym logits = input->logits(input);
        likelihood[i] = ksk_sum(ksk_cross_entropy(logits, input->targets, input->smoothing));
        log_p[i] = ksk_log_softmax(logits);
        p[i] = ksk_apply(&exponential, NULL, 1, &log_p[i]);
    }
    const ksk_sym apart = ksk_multiply(minus(p[0], p[1]), minus(log_p[0], log_p[1]));
    return ksk_add(ksk_scale(ksk_add(likelihood[0], likelihood[1]), 0.5F),
                   ksk_scale(ksk_sum(ksk_column_sum(apart)), 0.25F * strength));
}

static const ksk_loss rdrop = {
    .name = "rdrop",
    .citation = "Liang et al. 2021, R-Drop: Regularized Dropout for Neural Networks",
    .takes = "STRENGTH",
    .trace = trace,
};
static const ksk_loss *const losses[] = {&rdrop, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "rdrop", .losses = losses};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
