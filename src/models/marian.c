/* Marian (Junczys-Dowmunt et al. 2018, "Marian: Fast Neural Machine Translation in C++"): the
 * standard Transformer of Vaswani et al. 2017 with norms behind the residuals, sinusoidal positions
 * and scaled embeddings, in Hugging Face's layout ("MarianMTModel").
 *
 *     encoder   x = √d·E[ids] + P[positions]
 *               each layer  x = LN(x + Attention(x)),  x = LN(x + W₂ f(W₁ x))
 *     decoder   the same, with x = LN(x + Attention(x, encoder)) between the two
 *     logits    x · Eᵀ + final_logits_bias */
#include "models/marian.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/checkpoint.h"
#include "kaskad/nn.h"

/* --- configuration -------------------------------------------------------------------------------
 */

typedef struct stack_config {
    int layers, heads, ffn;
} stack_config;

typedef struct marian_config {
    int width, vocabulary, decoder_vocabulary, positions;
    stack_config encoder, decoder;
    ksk_activation activation;
    bool scale_embedding, shared_embeddings, tied_output;
} marian_config;

enum { most_width = 1 << 16, most_layers = 64, most_vocabulary = 1 << 22 };

static stack_config read_stack(ksk_config *json, const char *side)
{
    char layers[40], heads[40], ffn[40];
    snprintf(layers, sizeof layers, "%s_layers", side);
    snprintf(heads, sizeof heads, "%s_attention_heads", side);
    snprintf(ffn, sizeof ffn, "%s_ffn_dim", side);
    return (stack_config){.layers = ksk_config_int(json, layers, 12, 1, most_layers),
                          .heads = ksk_config_int(json, heads, 16, 1, most_width),
                          .ffn = ksk_config_int(json, ffn, 4096, 1, most_width)};
}

/* Variants of the architecture that were never published with this model_type. */
static bool refuse(ksk_config *json, const char *setting, ksk_error *err)
{
    return !ksk_config_bool(json, setting, false) ||
           ksk_fail(err, KSK_UNSUPPORTED, "config.json: %s true is not a Marian Transformer",
                    setting);
}

static bool heads_fit(const marian_config *config, const stack_config *stack, const char *side,
                      ksk_error *err)
{
    return config->width % stack->heads == 0 ||
           ksk_fail(err, KSK_BAD_FORMAT,
                    "config.json: d_model %d is not a multiple of %s_attention_heads %d",
                    config->width, side, stack->heads);
}

static bool read_config(ksk_config *json, marian_config *config, ksk_error *err)
{
    *config = (marian_config){
        .width = ksk_config_int(json, "d_model", 1024, 2, most_width),
        .vocabulary = ksk_config_int(json, "vocab_size", 58101, 1, most_vocabulary),
        .positions = ksk_config_int(json, "max_position_embeddings", 1024, 1, 1 << 20),
        .encoder = read_stack(json, "encoder"),
        .decoder = read_stack(json, "decoder"),
        .scale_embedding = ksk_config_bool(json, "scale_embedding", false),
        .shared_embeddings = ksk_config_bool(json, "share_encoder_decoder_embeddings", true),
        .tied_output = ksk_config_bool(json, "tie_word_embeddings", true),
    };
    config->decoder_vocabulary =
        ksk_config_int(json, "decoder_vocab_size", config->vocabulary, 1, most_vocabulary);
    const char *activation = ksk_config_string(json, "activation_function", "gelu");
    if (!ksk_config_ok(json, err) || !refuse(json, "normalize_before", err) ||
        !refuse(json, "normalize_embedding", err) || !refuse(json, "add_final_layer_norm", err))
        return false;
    if (!ksk_nn_activation(activation, &config->activation))
        return ksk_fail(err, KSK_UNSUPPORTED, "config.json: activation_function '%s' is not known",
                        activation);
    if (config->shared_embeddings && config->decoder_vocabulary != config->vocabulary)
        return ksk_fail(err, KSK_BAD_FORMAT,
                        "config.json: decoder_vocab_size %d differs from vocab_size %d, yet "
                        "share_encoder_decoder_embeddings is true",
                        config->decoder_vocabulary, config->vocabulary);
    return heads_fit(config, &config->encoder, "encoder", err) &&
           heads_fit(config, &config->decoder, "decoder", err);
}

/* --- parameters ----------------------------------------------------------------------------------
 */

static const double norm_epsilon = 1e-5;

static ksk_module *declare_layer(const marian_config *config, const stack_config *stack, bool cross)
{
    ksk_module *layer = ksk_module_new(cross ? "MarianDecoderLayer" : "MarianEncoderLayer");
    ksk_module_child(layer, "self_attn", ksk_nn_attention(config->width, stack->heads));
    ksk_module_child(layer, "self_attn_layer_norm", ksk_nn_layer_norm(config->width, norm_epsilon));
    if (cross) {
        ksk_module_child(layer, "encoder_attn", ksk_nn_attention(config->width, stack->heads));
        ksk_module_child(layer, "encoder_attn_layer_norm",
                         ksk_nn_layer_norm(config->width, norm_epsilon));
    }
    ksk_nn_feed_forward(layer, config->width, stack->ffn, config->activation);
    ksk_module_child(layer, "final_layer_norm", ksk_nn_layer_norm(config->width, norm_epsilon));
    return layer;
}

static ksk_module *declare_stack(const marian_config *config, bool decoder)
{
    const stack_config *stack = decoder ? &config->decoder : &config->encoder;
    ksk_module *module = ksk_module_new(decoder ? "MarianDecoder" : "MarianEncoder");
    ksk_module *layers = ksk_module_new("Layers");
    if (!config->shared_embeddings)
        ksk_module_child(module, "embed_tokens",
                         ksk_nn_embedding(decoder ? config->decoder_vocabulary : config->vocabulary,
                                          config->width));
    for (int i = 0; i < stack->layers; i++) {
        char name[12];
        snprintf(name, sizeof name, "%d", i);
        ksk_module_child(layers, name, declare_layer(config, stack, decoder));
    }
    ksk_module_child(module, "layers", layers);
    return module;
}

ksk_module *ksk_marian_declare(ksk_config *json, ksk_error *err)
{
    marian_config config;
    if (!read_config(json, &config, err))
        return NULL;
    ksk_module *model = ksk_module_new("MarianModel");
    ksk_module_setting(model, "positions", config.positions);
    ksk_module_setting(model, "scale", config.scale_embedding ? sqrt(config.width) : 1);
    if (config.shared_embeddings)
        ksk_module_child(model, "shared", ksk_nn_embedding(config.vocabulary, config.width));
    ksk_module_child(model, "encoder", declare_stack(&config, false));
    ksk_module_child(model, "decoder", declare_stack(&config, true));
    ksk_module *root = ksk_module_new("MarianMTModel");
    ksk_module_child(root, "model", model);
    if (!config.tied_output)
        ksk_module_child(root, "lm_head",
                         ksk_nn_linear(config.width, config.decoder_vocabulary, false));
    ksk_module_buffer(root, "final_logits_bias", 2,
                      (const int64_t[]){1, config.decoder_vocabulary});
    if (!root)
        ksk_fail_memory(err);
    return root;
}

/* --- forward -------------------------------------------------------------------------------------
 */

static const ksk_module *token_embedding(const ksk_module *root, const char *side)
{
    const ksk_module *model = ksk_module_get(root, "model");
    const ksk_module *shared = ksk_module_get(model, "shared");
    return shared ? shared : ksk_module_get(ksk_module_get(model, side), "embed_tokens");
}

static ksk_sym embed(const ksk_module *root, const char *side, ksk_sym ids, ksk_sym positions,
                     ksk_noise *noise)
{
    const ksk_module *model = ksk_module_get(root, "model");
    const ksk_module *table = token_embedding(root, side);
    const ksk_sym position =
        ksk_nn_positions(positions, (int64_t)ksk_module_number(model, "positions"),
                         ksk_tensor_size(ksk_module_tensor(table, "weight"), 1));
    const float scale = (float)ksk_module_number(model, "scale");
    return ksk_drop(noise,
                    ksk_add(ksk_scale(ksk_nn_embedding_forward(table, ids), scale), position));
}

/* LN(x + Dropout(branch)): what every branch of a post-norm layer ends in. */
static ksk_sym residual(const ksk_module *layer, const char *norm, ksk_sym x, ksk_sym branch,
                        ksk_noise *noise)
{
    return ksk_nn_layer_norm_forward(ksk_module_get(layer, norm),
                                     ksk_add(x, ksk_drop(noise, branch)));
}

static ksk_sym encode(const ksk_module *root, ksk_sym ids, ksk_sym positions,
                      const ksk_pattern *self, ksk_noise *noise)
{
    const ksk_module *layers =
        ksk_module_get(ksk_module_get(ksk_module_get(root, "model"), "encoder"), "layers");
    ksk_sym x = embed(root, "encoder", ids, positions, noise);
    for (int i = 0; i < ksk_module_children(layers); i++) {
        const ksk_module *layer = ksk_module_child_at(layers, i);
        const ksk_sym attended =
            ksk_nn_attention_self(ksk_module_get(layer, "self_attn"), x, self, "encoder");
        x = residual(layer, "self_attn_layer_norm", x, attended, noise);
        x = residual(layer, "final_layer_norm", x, ksk_nn_feed_forward_forward(layer, x), noise);
    }
    return x;
}

static const ksk_module *decoder_layers(const ksk_module *root)
{
    return ksk_module_get(ksk_module_get(ksk_module_get(root, "model"), "decoder"), "layers");
}

static const char *cache_name(char name[32], const char *kind, int layer)
{
    snprintf(name, 32, "decoder.%d.%s", layer, kind);
    return name;
}

static int remember(const ksk_module *root, ksk_sym memory, ksk_sym slots,
                    ksk_sym caches[KSK_MAX_CACHES])
{
    const ksk_module *layers = decoder_layers(root);
    const int count = ksk_module_children(layers);
    char name[32];
    for (int i = 0; i < count; i++)
        ksk_nn_attention_remember(ksk_module_get(ksk_module_child_at(layers, i), "encoder_attn"),
                                  memory, slots, cache_name(name, "cross", i), &caches[2 * i]);
    return 2 * count;
}

static ksk_sym decode(const ksk_module *root, const ksk_decoder_input *input)
{
    const ksk_module *layers = decoder_layers(root);
    ksk_sym x = embed(root, "decoder", input->ids, input->positions, input->noise);
    char name[32];
    for (int i = 0; i < ksk_module_children(layers); i++) {
        const ksk_module *layer = ksk_module_child_at(layers, i);
        const ksk_sym own = ksk_nn_attention_self(ksk_module_get(layer, "self_attn"), x,
                                                  &input->self, cache_name(name, "self", i));
        x = residual(layer, "self_attn_layer_norm", x, own, input->noise);
        const ksk_sym source =
            ksk_nn_attention_cross(ksk_module_get(layer, "encoder_attn"), x, input->memory,
                                   &input->cross, cache_name(name, "cross", i));
        x = residual(layer, "encoder_attn_layer_norm", x, source, input->noise);
        x = residual(layer, "final_layer_norm", x, ksk_nn_feed_forward_forward(layer, x),
                     input->noise);
    }
    return x;
}

static ksk_sym project(const ksk_module *root, ksk_sym decoded)
{
    const ksk_module *head = ksk_module_get(root, "lm_head");
    const ksk_module *weights = head ? head : token_embedding(root, "decoder");
    ksk_error err = {0};
    const ksk_tensor *bias = ksk_module_tensor(root, "final_logits_bias");
    const int64_t count = ksk_tensor_count(bias);
    ksk_tensor *flat = ksk_tensor_reshape(bias, 1, &count, &err);
    const ksk_sym logits = ksk_linear(decoded, ksk_param(decoded.graph, weights, "weight"),
                                      ksk_constant(decoded.graph, flat));
    ksk_tensor_release(flat);
    return logits;
}

const ksk_seq2seq ksk_marian_parts = {encode, remember, decode, project};

const ksk_alias ksk_marian_aliases[] = {
    {"model.shared.weight", "shared.weight"},
    {"model.shared.weight", "model.encoder.embed_tokens.weight"},
    {"model.shared.weight", "model.decoder.embed_tokens.weight"},
    {"model.shared.weight", "lm_head.weight"},
    {"model.decoder.embed_tokens.weight", "lm_head.weight"},
    {NULL, NULL}};

const ksk_model_type ksk_marian = {
    .name = "marian",
    .citation = "Junczys-Dowmunt et al. 2018, Marian: Fast Neural Machine Translation in C++",
    .declare = ksk_marian_declare,
    .aliases = ksk_marian_aliases,
    .seq2seq = &ksk_marian_parts,
};
