/* Optimisers: functions from (parameters, gradients, state) to (parameters, state), all trees of
 * one structure. A buffer that nobody else holds is written in place; one that somebody holds is
 * left as it is, and the next tree gets a fresh one. */
#ifndef KSK_TRAIN_OPTIMISER_H
#define KSK_TRAIN_OPTIMISER_H

#include "base/pool.h"
#include "kaskad/extend.h"

/* With momentum beta1 (0: plain); weight_decay added to the gradient; weight_decay apart from it.
 */
extern const ksk_optimiser_type ksk_sgd, ksk_adam, ksk_adamw;

extern const ksk_optimiser_type *const ksk_built_in_optimisers[]; /* ends with NULL */

/* An optimiser with its settings. */
typedef struct ksk_optimiser {
    const ksk_optimiser_type *type;
    double beta1, beta2, epsilon, weight_decay;
} ksk_optimiser;

/* Adam's settings for Transformers: 0.9, 0.98, 1e-9, 0. */
ksk_optimiser ksk_optimiser_defaults(const ksk_optimiser_type *type);

/* Moments are trees of the module's shape, zeros at first; those that the optimiser lacks are NULL.
 */
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
