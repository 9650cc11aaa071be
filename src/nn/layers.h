/* Layers: each declares a module and traces it. Names of children and parameters are those of
 * PyTorch and of Hugging Face's checkpoints. */
#ifndef KSK_NN_LAYERS_H
#define KSK_NN_LAYERS_H

#include "kaskad/model.h"

/* weight [out, in] (Glorot & Bengio 2010, uniform), bias [out] (zeros) unless left out. */
ksk_module *ksk_nn_linear(int64_t in, int64_t out, bool bias);
ksk_sym ksk_nn_linear_forward(const ksk_module *module, ksk_sym x);

/* weight [width] (ones), bias [width] (zeros); epsilon is a setting. */
ksk_module *ksk_nn_layer_norm(int64_t width, double epsilon);
ksk_sym ksk_nn_layer_norm_forward(const ksk_module *module, ksk_sym x);

/* weight [count, width], normal with deviation 1/sqrt(width). */
ksk_module *ksk_nn_embedding(int64_t count, int64_t width);
ksk_sym ksk_nn_embedding_forward(const ksk_module *module, ksk_sym ids);

/* The sinusoidal positions of Marian: sines in the first half of a row, cosines in the second.
 * [count, width]. Caller releases. */
ksk_tensor *ksk_nn_sinusoids(int64_t count, int64_t width, ksk_error *err);

/* Multi-head attention (Vaswani et al. 2017): q_proj, k_proj, v_proj, out_proj, all [width, width]
 * with biases. */
ksk_module *ksk_nn_attention(int64_t width, int heads);

/* Rows attend each other as the pattern says; with slots, keys and values go through the caches
 * CACHE.k and CACHE.v. */
ksk_sym ksk_nn_attention_self(const ksk_module *module, ksk_sym x, const ksk_pattern *pattern,
                              const char *cache);

/* Rows attend the memory's; without one, what ksk_nn_attention_remember put into the caches. */
ksk_sym ksk_nn_attention_cross(const ksk_module *module, ksk_sym x, ksk_sym memory,
                               const ksk_pattern *pattern, const char *cache);
void ksk_nn_attention_remember(const ksk_module *module, ksk_sym memory, ksk_sym slots,
                               const char *cache, ksk_sym caches[2]);

/* An activation by the name that config.json uses; false if unknown. */
bool ksk_nn_activation(const char *name, ksk_activation *kind);

#endif
