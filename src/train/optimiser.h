/* Optimisers: functions from (parameters, gradients, state) to (parameters, state), all trees of
 * one structure. A buffer that nobody else holds is written in place; one that somebody holds is
 * left as it is, and the next tree gets a fresh one. */
#ifndef KSK_TRAIN_OPTIMISER_H
#define KSK_TRAIN_OPTIMISER_H

#include "base/pool.h"
#include "kaskad/module.h"

typedef enum ksk_optimiser_kind {
    KSK_SGD,   /* with momentum beta1 (0: plain) */
    KSK_ADAM,  /* Kingma & Ba 2015; weight_decay is added to the gradient */
    KSK_ADAMW, /* Loshchilov & Hutter 2019; weight_decay apart from the gradient */
} ksk_optimiser_kind;

typedef struct ksk_optimiser {
    ksk_optimiser_kind kind;
    double beta1, beta2, epsilon, weight_decay;
} ksk_optimiser;

/* Adam's defaults for Transformers: 0.9, 0.98, 1e-9, 0; momentum 0.9 for SGD. */
ksk_optimiser ksk_optimiser_defaults(ksk_optimiser_kind kind);

/* Moments are trees of the module's shape, zeros at first; second is NULL for SGD. */
typedef struct ksk_optimiser_state {
    ksk_module *first, *second;
    int64_t updates;
} ksk_optimiser_state;

/* Errors: OUT_OF_MEMORY (the state is then empty). */
bool ksk_optimiser_start(const ksk_optimiser *optimiser, const ksk_module *module,
                         ksk_optimiser_state *state, ksk_error *err);
void ksk_optimiser_clear(ksk_optimiser_state *state);

/* Replaces the caller's reference `*module` by one to the next module, and the moments likewise; on
 * failure all is as before. Every trained leaf is F32; gradients are multiplied by `scale` first
 * (1 / tokens, clipping); buffers pass through. The same bits on any number of threads. Errors:
 * OUT_OF_MEMORY; BAD_ARGUMENT when leaves do not fit each other. */
bool ksk_optimiser_update(const ksk_optimiser *optimiser, ksk_module **module,
                          const ksk_module *gradients, float scale, float learning_rate,
                          ksk_optimiser_state *state, ksk_pool *pool, ksk_error *err);

/* Square root of the sum of squares of all trained leaves, in double precision and a fixed order.
 */
double ksk_global_norm(const ksk_module *gradients, ksk_pool *pool);

#endif
