/* NAME: a Transformer (Vaswani et al. 2017) of one layer a side, without its norms. Change `encode`
 * and `decode`, and `declare` to match.
 *
 * Author year, "Title". A recipe says `model: NAME`. */
#include <kaskad/extend.h>

/* --- declaring: which parts there are --- */

static ksk_module *declare_layer(int width, int heads, int inner, bool decoder)
{
    ksk_module *const layer = ksk_module_new("Layer");
    ksk_module_child(layer, "self", ksk_nn_attention(width, heads));
    if (decoder)
        ksk_module_child(layer, "cross", ksk_nn_attention(width, heads));
    ksk_nn_feed_forward(layer, width, inner, KSK_RELU);
    return layer;
}

static ksk_module *declare(ksk_config *config, ksk_error *err)
{
    const int width = ksk_config_int(config, "d_model", 256, 2, 1 << 16);
    const int heads = ksk_config_int(config, "encoder_attention_heads", 4, 1, width);
    const int inner = ksk_config_int(config, "encoder_ffn_dim", 1024, 1, 1 << 20);
    const int vocabulary = ksk_config_int(config, "vocab_size", 0, 1, 1 << 22);
    const int positions = ksk_config_int(config, "max_position_embeddings", 512, 1, 1 << 20);
    if (!ksk_config_ok(config, err))
        return NULL;
    ksk_module *const root = ksk_module_new("NAME");
    ksk_module_setting(root, "positions", positions);
    ksk_module_setting(root, "width", width);
    ksk_module_child(root, "words", ksk_nn_embedding(vocabulary, width));
    ksk_module_child(root, "encoder", declare_layer(width, heads, inner, false));
    ksk_module_child(root, "decoder", declare_layer(width, heads, inner, true));
    ksk_module_child(root, "output", ksk_nn_linear(width, vocabulary, true));
    return root;
}

/* --- tracing: what they compute --- */

static ksk_sym embed(const ksk_module *root, ksk_sym ids, ksk_sym positions, ksk_noise *noise)
{
    const ksk_sym words = ksk_nn_embedding_forward(ksk_module_get(root, "words"), ids);
    const ksk_sym places =
        ksk_nn_positions(positions, (int64_t)ksk_module_number(root, "positions"),
                         (int64_t)ksk_module_number(root, "width"));
    return ksk_drop(noise, ksk_add(words, places));
}

static ksk_sym encode(const ksk_module *root, ksk_sym ids, ksk_sym positions,
                      const ksk_pattern *self, ksk_noise *noise)
{
    const ksk_module *const layer = ksk_module_get(root, "encoder");
    ksk_sym x = embed(root, ids, positions, noise);
    x = ksk_add(x, ksk_nn_attention_self(ksk_module_get(layer, "self"), x, self, "encoder"));
    return ksk_add(x, ksk_drop(noise, ksk_nn_feed_forward_forward(layer, x)));
}

/* What `decode` takes from the encoder when it goes a step at a time. */
static int remember(const ksk_module *root, ksk_sym memory, ksk_sym slots,
                    ksk_sym caches[KSK_MAX_CACHES])
{
    const ksk_module *const layer = ksk_module_get(root, "decoder");
    ksk_nn_attention_remember(ksk_module_get(layer, "cross"), memory, slots, "cross", caches);
    return 2;
}

static ksk_sym decode(const ksk_module *root, const ksk_decoder_input *in)
{
    const ksk_module *const layer = ksk_module_get(root, "decoder");
    ksk_sym x = embed(root, in->ids, in->positions, in->noise);
    x = ksk_add(x, ksk_nn_attention_self(ksk_module_get(layer, "self"), x, &in->self, "self"));
    x = ksk_add(x, ksk_nn_attention_cross(ksk_module_get(layer, "cross"), x, in->memory, &in->cross,
                                          "cross"));
    return ksk_add(x, ksk_drop(in->noise, ksk_nn_feed_forward_forward(layer, x)));
}

static ksk_sym project(const ksk_module *root, ksk_sym decoded)
{
    return ksk_nn_linear_forward(ksk_module_get(root, "output"), decoded);
}

static const ksk_seq2seq parts = {encode, remember, decode, project};
static const ksk_model_type NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .declare = declare,
    .seq2seq = &parts,
};
static const ksk_model_type *const models[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .models = models};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
