#include "kaskad/nn.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"

/* --- linear -------------------------------------------------------------------------------------
 */

ksk_module *ksk_nn_linear(int64_t in, int64_t out, bool bias)
{
    ksk_module *module = ksk_module_new("Linear");
    const float bound = sqrtf(6.0F / (float)(in + out));
    ksk_module_param(module, "weight", 2, (const int64_t[]){out, in},
                     (ksk_initializer){KSK_INIT_UNIFORM, bound});
    if (bias)
        ksk_module_param(module, "bias", 1, &out, (ksk_initializer){KSK_INIT_ZEROS, 0});
    return module;
}

ksk_sym ksk_nn_linear_forward(const ksk_module *module, ksk_sym x)
{
    const ksk_sym bias =
        ksk_module_tensor(module, "bias") ? ksk_param(x.graph, module, "bias") : ksk_none(x.graph);
    return ksk_linear(x, ksk_param(x.graph, module, "weight"), bias);
}

/* --- layer norm ---------------------------------------------------------------------------------
 */

ksk_module *ksk_nn_layer_norm(int64_t width, double epsilon)
{
    ksk_module *module = ksk_module_new("LayerNorm");
    ksk_module_setting(module, "epsilon", epsilon);
    ksk_module_param(module, "weight", 1, &width, (ksk_initializer){KSK_INIT_ONES, 0});
    ksk_module_param(module, "bias", 1, &width, (ksk_initializer){KSK_INIT_ZEROS, 0});
    return module;
}

ksk_sym ksk_nn_layer_norm_forward(const ksk_module *module, ksk_sym x)
{
    return ksk_layer_norm(x, ksk_param(x.graph, module, "weight"),
                          ksk_param(x.graph, module, "bias"),
                          (float)ksk_module_number(module, "epsilon"));
}

/* --- embedding ----------------------------------------------------------------------------------
 */

ksk_module *ksk_nn_embedding(int64_t count, int64_t width)
{
    ksk_module *module = ksk_module_new("Embedding");
    ksk_module_param(module, "weight", 2, (const int64_t[]){count, width},
                     (ksk_initializer){KSK_INIT_NORMAL, 1 / sqrtf((float)width)});
    return module;
}

ksk_sym ksk_nn_embedding_forward(const ksk_module *module, ksk_sym ids)
{
    return ksk_rows(ksk_param(ids.graph, module, "weight"), ids);
}

ksk_tensor *ksk_nn_sinusoids(int64_t count, int64_t width, ksk_error *err)
{
    ksk_tensor *table = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){count, width}, err);
    float *const rows = table ? ksk_tensor_fill(table) : NULL;
    const int64_t sines = (width + 1) / 2;
    for (int64_t j = 0; table && j < width; j++) {
        const int64_t i = j < sines ? j : j - sines;
        const double period = pow(10000, 2 * (double)i / (double)width);
        for (int64_t p = 0; p < count; p++) {
            const double angle = (double)p / period;
            rows[p * width + j] = (float)(j < sines ? sin(angle) : cos(angle));
        }
    }
    return table;
}

ksk_sym ksk_nn_positions(ksk_sym positions, int64_t count, int64_t width)
{
    ksk_error err = {0};
    ksk_tensor *const table = ksk_nn_sinusoids(count, width, &err);
    if (!table)
        return ksk_graph_fail(positions.graph, err.status, "%s", err.message);
    const ksk_sym rows = ksk_rows(ksk_constant(positions.graph, table), positions);
    ksk_tensor_release(table);
    return rows;
}

/* --- attention ----------------------------------------------------------------------------------
 */

ksk_module *ksk_nn_attention(int64_t width, int heads)
{
    ksk_module *module = ksk_module_new("Attention");
    ksk_module_setting(module, "heads", heads);
    static const char *const projections[] = {"k_proj", "v_proj", "q_proj", "out_proj"};
    for (int i = 0; i < 4; i++)
        ksk_module_child(module, projections[i], ksk_nn_linear(width, width, true));
    return module;
}

static ksk_sym project(const ksk_module *module, const char *name, ksk_sym x)
{
    return ksk_nn_linear_forward(ksk_module_get(module, name), x);
}

/* The cache CACHE.SUFFIX; self-attention and cross-attention count their slots apart. */
static ksk_sym cache_of(ksk_graph *graph, const char *cache, const char *suffix, const char *slots,
                        const ksk_module *module)
{
    const ksk_tensor *bias = ksk_module_tensor(ksk_module_get(module, "k_proj"), "bias");
    char *name = ksk_malloc(strlen(cache) + strlen(suffix) + 2);
    if (!name)
        return ksk_graph_fail(graph, KSK_OUT_OF_MEMORY, "out of memory while tracing");
    strcpy(name, cache);
    strcat(strcat(name, "."), suffix);
    const ksk_sym sym = ksk_cache(graph, name, slots, ksk_tensor_size(bias, 0));
    ksk_free(name);
    return sym;
}

static ksk_sym attend(const ksk_module *module, ksk_sym x, ksk_sym k, ksk_sym v,
                      const ksk_pattern *pattern)
{
    const int heads = (int)ksk_module_number(module, "heads");
    const ksk_sym q = project(module, "q_proj", x);
    return project(module, "out_proj",
                   ksk_attention(q, k, v, pattern->spans, pattern->index, heads));
}

ksk_sym ksk_nn_attention_self(const ksk_module *module, ksk_sym x, const ksk_pattern *pattern,
                              const char *cache)
{
    ksk_sym k = project(module, "k_proj", x), v = project(module, "v_proj", x);
    if (!ksk_is_none(pattern->slots)) {
        k = ksk_append(cache_of(x.graph, cache, "k", "slots", module), k, pattern->slots);
        v = ksk_append(cache_of(x.graph, cache, "v", "slots", module), v, pattern->slots);
    }
    return attend(module, x, k, v, pattern);
}

ksk_sym ksk_nn_attention_cross(const ksk_module *module, ksk_sym x, ksk_sym memory,
                               const ksk_pattern *pattern, const char *cache)
{
    const bool cached = ksk_is_none(memory);
    const ksk_sym k = cached ? cache_of(x.graph, cache, "k", "source slots", module)
                             : project(module, "k_proj", memory);
    const ksk_sym v = cached ? cache_of(x.graph, cache, "v", "source slots", module)
                             : project(module, "v_proj", memory);
    return attend(module, x, k, v, pattern);
}

void ksk_nn_attention_remember(const ksk_module *module, ksk_sym memory, ksk_sym slots,
                               const char *cache, ksk_sym caches[2])
{
    caches[0] = ksk_append(cache_of(memory.graph, cache, "k", "source slots", module),
                           project(module, "k_proj", memory), slots);
    caches[1] = ksk_append(cache_of(memory.graph, cache, "v", "source slots", module),
                           project(module, "v_proj", memory), slots);
}

/* --- feed-forward -------------------------------------------------------------------------------
 */

void ksk_nn_feed_forward(ksk_module *module, int64_t width, int64_t inner,
                         ksk_activation activation)
{
    ksk_module_setting(module, "activation", activation);
    ksk_module_child(module, "fc1", ksk_nn_linear(width, inner, true));
    ksk_module_child(module, "fc2", ksk_nn_linear(inner, width, true));
}

ksk_sym ksk_nn_feed_forward_forward(const ksk_module *module, ksk_sym x)
{
    const ksk_activation kind = (ksk_activation)ksk_module_number(module, "activation");
    return project(module, "fc2", ksk_activate(project(module, "fc1", x), kind));
}

bool ksk_nn_activation(const char *name, ksk_activation *kind)
{
    static const struct {
        const char *name;
        ksk_activation kind;
    } known[] = {{"relu", KSK_RELU},      {"gelu", KSK_GELU},  {"gelu_new", KSK_GELU_NEW},
                 {"silu", KSK_SILU},      {"swish", KSK_SILU}, {"tanh", KSK_TANH},
                 {"linear", KSK_IDENTITY}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *kind = known[i].kind;
            return true;
        }
    }
    return false;
}

ksk_sym ksk_drop(ksk_noise *noise, ksk_sym x)
{
    return noise ? ksk_dropout(x, noise->key, noise->rate, noise->stream++) : x;
}
