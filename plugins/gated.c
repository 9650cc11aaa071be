/* A Transformer as they are built today: norms before the branches (Xiong et al. 2020), RMSNorm
 * (Zhang & Sennrich 2019), gated feed-forward blocks with SiLU (Shazeer 2020, "GLU Variants Improve
 * Transformer"); the rest is that of Vaswani et al. 2017.
 *
 *     each layer   x = x + Attention(N(x)),  x = x + W₂ (silu(Wg N(x)) ⊙ (W₁ N(x)))
 *     logits       N(x) · Eᵀ
 *
 * A recipe says `model: gated`; `ffn` is the width of the gate. */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

/* --- the operation x / √(mean x² + ε), with its gradient --- */

static double inverse_rms(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += (double)x[j] * (double)x[j];
    return 1 / sqrt(sum / (double)n + 1e-6);
}

static const float *row_of(const ksk_call *call, int input, int64_t i)
{
    return (const float *)call->inputs[input].data + i * call->inputs[input].stride;
}

static void like_x(ksk_shaping *s)
{
    s->output_dtype[0] = KSK_F32;
    s->output_shape[0] = ksk_sym_shape(s->inputs[0]);
}

static void normalise(const ksk_call *call)
{
    const ksk_operand *const y = &call->outputs[0];
    for (int64_t i = 0; i < y->rows; i++) {
        const float *const from = row_of(call, 0, i);
        float *const to = (float *)y->data + i * y->stride;
        const double r = inverse_rms(from, y->columns);
        for (int64_t j = 0; j < y->columns; j++)
            to[j] = (float)(from[j] * r);
    }
}

/* dx = r (dy - x r² mean(x dy)), where r = 1 / rms(x). */
static void normalise_back(const ksk_call *call)
{
    const ksk_operand *const dx = &call->outputs[0];
    for (int64_t i = 0; i < dx->rows; i++) {
        const float *const x = row_of(call, 0, i), *const dy = row_of(call, 1, i);
        float *const to = (float *)dx->data + i * dx->stride;
        const double r = inverse_rms(x, dx->columns);
        double mean = 0;
        for (int64_t j = 0; j < dx->columns; j++)
            mean += (double)x[j] * (double)dy[j] / (double)dx->columns;
        for (int64_t j = 0; j < dx->columns; j++)
            to[j] = (float)(r * (dy[j] - x[j] * r * r * mean));
    }
}

static const ksk_op rms_back = {.name = "rms_back",
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .outputs = 1,
                                .shape = like_x,
                                .reference = normalise_back};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)attributes, (void)outputs;
    const ksk_sym both[] = {inputs[0], output_grads[0]};
    input_grads[0] = ksk_apply(&rms_back, NULL, 2, both);
}

static const ksk_op rms = {.name = "rms",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .outputs = 1,
                           .shape = like_x,
                           .reference = normalise,
                           .grad = grad};

/* --- declaring --- */

static void declare_norm(ksk_module *parent, const char *name, int64_t width)
{
    ksk_module *const norm = ksk_module_new("RMSNorm");
    ksk_module_param(norm, "weight", 1, &width, (ksk_initializer){KSK_INIT_ONES, 0});
    ksk_module_child(parent, name, norm);
}

static ksk_module *declare_layer(int64_t width, int heads, int64_t inner, bool decoder)
{
    ksk_module *const layer = ksk_module_new("GatedLayer");
    declare_norm(layer, "self_norm", width);
    ksk_module_child(layer, "self", ksk_nn_attention(width, heads));
    if (decoder) {
        declare_norm(layer, "cross_norm", width);
        ksk_module_child(layer, "cross", ksk_nn_attention(width, heads));
    }
    declare_norm(layer, "ffn_norm", width);
    ksk_module_child(layer, "gate", ksk_nn_linear(width, inner, false));
    ksk_module_child(layer, "up", ksk_nn_linear(width, inner, false));
    ksk_module_child(layer, "down", ksk_nn_linear(inner, width, false));
    return layer;
}

static ksk_module *declare(ksk_config *config, ksk_error *err)
{
    const int width = ksk_config_int(config, "d_model", 256, 2, 1 << 16);
    const int heads = ksk_config_int(config, "encoder_attention_heads", 4, 1, width);
    const int inner = ksk_config_int(config, "encoder_ffn_dim", 1024, 1, 1 << 20);
    const int layers[2] = {ksk_config_int(config, "encoder_layers", 3, 1, 64),
                           ksk_config_int(config, "decoder_layers", 3, 1, 64)};
    const int vocabulary = ksk_config_int(config, "vocab_size", 0, 1, 1 << 22);
    const int positions = ksk_config_int(config, "max_position_embeddings", 512, 1, 1 << 20);
    if (!ksk_config_ok(config, err))
        return NULL;
    ksk_module *const root = ksk_module_new("Gated");
    ksk_module_setting(root, "positions", positions);
    ksk_module_child(root, "shared", ksk_nn_embedding(vocabulary, width));
    for (int side = 0; side < 2; side++) {
        ksk_module *const stack = ksk_module_new("GatedStack"), *const all =
                                                                    ksk_module_new("Layers");
        for (int i = 0; i < layers[side]; i++) {
            char name[12];
            snprintf(name, sizeof name, "%d", i);
            ksk_module_child(all, name, declare_layer(width, heads, inner, side == 1));
        }
        ksk_module_child(stack, "layers", all);
        declare_norm(stack, "norm", width);
        ksk_module_child(root, side == 0 ? "encoder" : "decoder", stack);
    }
    return root;
}

/* --- tracing --- */

static ksk_sym norm(const ksk_module *parent, const char *name, ksk_sym x)
{
    return ksk_multiply(ksk_apply(&rms, NULL, 1, &x),
                        ksk_param(x.graph, ksk_module_get(parent, name), "weight"));
}

static ksk_sym linear(const ksk_module *layer, const char *name, ksk_sym x)
{
    return ksk_nn_linear_forward(ksk_module_get(layer, name), x);
}

static ksk_sym feed_forward(const ksk_module *layer, ksk_sym x)
{
    const ksk_sym h = norm(layer, "ffn_norm", x);
    const ksk_sym gate = ksk_activate(linear(layer, "gate", h), KSK_SILU);
    return linear(layer, "down", ksk_multiply(gate, linear(layer, "up", h)));
}

static ksk_sym embed(const ksk_module *root, ksk_sym ids, ksk_sym positions, ksk_noise *noise)
{
    const ksk_module *const table = ksk_module_get(root, "shared");
    const int64_t width = ksk_tensor_size(ksk_module_tensor(table, "weight"), 1);
    const int64_t count = (int64_t)ksk_module_number(root, "positions");
    const ksk_sym words = ksk_scale(ksk_nn_embedding_forward(table, ids), sqrtf((float)width));
    return ksk_drop(noise, ksk_add(words, ksk_nn_positions(positions, count, width)));
}

static ksk_sym encode(const ksk_module *root, ksk_sym ids, ksk_sym positions,
                      const ksk_pattern *self, ksk_noise *noise)
{
    const ksk_module *const stack = ksk_module_get(root, "encoder"), *layer;
    ksk_sym x = embed(root, ids, positions, noise);
    for (int i = 0; (layer = ksk_module_at(stack, "layers", i)); i++) {
        const ksk_sym own = ksk_nn_attention_self(ksk_module_get(layer, "self"),
                                                  norm(layer, "self_norm", x), self, "encoder");
        x = ksk_add(x, ksk_drop(noise, own));
        x = ksk_add(x, ksk_drop(noise, feed_forward(layer, x)));
    }
    return norm(stack, "norm", x);
}

static int remember(const ksk_module *root, ksk_sym memory, ksk_sym slots,
                    ksk_sym caches[KSK_MAX_CACHES])
{
    const ksk_module *const stack = ksk_module_get(root, "decoder"), *layer;
    int i = 0;
    for (char name[32]; (layer = ksk_module_at(stack, "layers", i)); i++) {
        snprintf(name, sizeof name, "cross.%d", i);
        ksk_nn_attention_remember(ksk_module_get(layer, "cross"), memory, slots, name,
                                  &caches[2 * i]);
    }
    return 2 * i;
}

static ksk_sym decode(const ksk_module *root, const ksk_decoder_input *in)
{
    const ksk_module *const stack = ksk_module_get(root, "decoder"), *layer;
    ksk_sym x = embed(root, in->ids, in->positions, in->noise);
    for (int i = 0; (layer = ksk_module_at(stack, "layers", i)); i++) {
        char self[32], cross[32];
        snprintf(self, sizeof self, "self.%d", i);
        snprintf(cross, sizeof cross, "cross.%d", i);
        const ksk_sym own = ksk_nn_attention_self(ksk_module_get(layer, "self"),
                                                  norm(layer, "self_norm", x), &in->self, self);
        x = ksk_add(x, ksk_drop(in->noise, own));
        const ksk_sym source =
            ksk_nn_attention_cross(ksk_module_get(layer, "cross"), norm(layer, "cross_norm", x),
                                   in->memory, &in->cross, cross);
        x = ksk_add(x, ksk_drop(in->noise, source));
        x = ksk_add(x, ksk_drop(in->noise, feed_forward(layer, x)));
    }
    return norm(stack, "norm", x);
}

static ksk_sym project(const ksk_module *root, ksk_sym decoded)
{
    const ksk_module *const table = ksk_module_get(root, "shared");
    return ksk_linear(decoded, ksk_param(decoded.graph, table, "weight"), ksk_none(decoded.graph));
}

static const ksk_seq2seq parts = {encode, remember, decode, project};
static const ksk_model_type gated = {
    .name = "gated",
    .citation = "Shazeer 2020, GLU Variants Improve Transformer",
    .declare = declare,
    .seq2seq = &parts,
};
static const ksk_model_type *const models[] = {&gated, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "gated", .models = models};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
