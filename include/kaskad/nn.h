/* Layers that models are made of: each declares a module and traces it. Names of children and
 * parameters are those of PyTorch and of Hugging Face's checkpoints, so weights go back and forth.
 *
 *     ksk_module *ffn = ksk_module_new("Layer");                     declaring, in `declare`
 *     ksk_nn_feed_forward(ffn, 256, 1024, KSK_RELU);
 *
 *     x = ksk_add(x, ksk_nn_feed_forward_forward(ffn, x));           tracing, in `encode`
 *
 * What declares gives a module that the caller owns (NULL when memory runs out, which sticks to the
 * parent that it is given to); what traces puts its errors on the graph. */
#ifndef KASKAD_NN_H
#define KASKAD_NN_H

#include "kaskad/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* weight [out, in] (Glorot & Bengio 2010, uniform), bias [out] (zeros) unless left out.
 * x [rows, in] → [rows, out] */
KSK_API ksk_module *ksk_nn_linear(int64_t in, int64_t out, bool bias);
KSK_API ksk_sym ksk_nn_linear_forward(const ksk_module *module, ksk_sym x);

/* weight [width] (ones), bias [width] (zeros); epsilon is a setting (Ba et al. 2016). */
KSK_API ksk_module *ksk_nn_layer_norm(int64_t width, double epsilon);
KSK_API ksk_sym ksk_nn_layer_norm_forward(const ksk_module *module, ksk_sym x);

/* weight [count, width], normal with deviation 1/sqrt(width). ids i32 [rows] → [rows, width] */
KSK_API ksk_module *ksk_nn_embedding(int64_t count, int64_t width);
KSK_API ksk_sym ksk_nn_embedding_forward(const ksk_module *module, ksk_sym ids);

/* The sinusoidal positions of Vaswani et al. 2017 as Marian has them: sines in the first half of a
 * row, cosines in the second. f32 [count, width]. Caller releases. Errors: OUT_OF_MEMORY. */
KSK_API ksk_tensor *ksk_nn_sinusoids(int64_t count, int64_t width, ksk_error *err);

/* Rows of that table: positions i32 [rows] below `count` → [rows, width] */
KSK_API ksk_sym ksk_nn_positions(ksk_sym positions, int64_t count, int64_t width);

/* Multi-head attention (Vaswani et al. 2017): q_proj, k_proj, v_proj, out_proj, all [width, width]
 * with biases. `heads` divide width. */
KSK_API ksk_module *ksk_nn_attention(int64_t width, int heads);

/* Rows attend each other as the pattern says; with slots, keys and values go through the caches
 * CACHE.k and CACHE.v, so every layer names a cache of its own. */
KSK_API ksk_sym ksk_nn_attention_self(const ksk_module *module, ksk_sym x,
                                      const ksk_pattern *pattern, const char *cache);

/* Rows attend the memory's; without one, what ksk_nn_attention_remember put into the caches. */
KSK_API ksk_sym ksk_nn_attention_cross(const ksk_module *module, ksk_sym x, ksk_sym memory,
                                       const ksk_pattern *pattern, const char *cache);
KSK_API void ksk_nn_attention_remember(const ksk_module *module, ksk_sym memory, ksk_sym slots,
                                       const char *cache, ksk_sym caches[2]);

/* Adds fc1 [inner, width] and fc2 [width, inner] to `module`, and its setting "activation". They
 * give fc2(f(fc1(x))). */
KSK_API void ksk_nn_feed_forward(ksk_module *module, int64_t width, int64_t inner,
                                 ksk_activation activation);
KSK_API ksk_sym ksk_nn_feed_forward_forward(const ksk_module *module, ksk_sym x);

/* An activation by the name that config.json uses; false if unknown. */
KSK_API bool ksk_nn_activation(const char *name, ksk_activation *kind);

#ifdef __cplusplus
}
#endif
#endif
