/* One training step: gradients of a batch, summed over batches, then an update. */
#ifndef KSK_TRAIN_STEP_H
#define KSK_TRAIN_STEP_H

#include "kaskad/model.h"
#include "scorer/seq2seq.h"
#include "train/optimiser.h"

/* Sentence pairs; sources end as the tokenizer ends them, targets with the end token and without
 * the start token. */
typedef struct ksk_batch {
    int sentences;
    const int32_t *const *sources;
    const int *source_lengths;
    const int32_t *const *targets;
    const int *target_lengths;
} ksk_batch;

/* What a step makes small. */
typedef struct ksk_objective {
    const ksk_loss *loss; /* NULL: cross entropy */
    const char *argument; /* of the loss, borrowed; NULL: "" */
    float label_smoothing;
} ksk_objective;

typedef struct ksk_step_options {
    float dropout;
    ksk_objective objective;
    float clip_norm; /* of the whole gradient; 0: none */
    ksk_optimiser optimiser;
    int threads;
} ksk_step_options;

/* A module in training with its optimiser's state; one thread at a time uses it. */
typedef struct ksk_trainer ksk_trainer;

/* Starts from `module` (shared; converted to F32). Caller frees. Errors: BAD_ARGUMENT (options),
 * UNSUPPORTED, OUT_OF_MEMORY; those of tracing the model and the loss. */
ksk_trainer *ksk_trainer_new(const ksk_model_type *type, const ksk_module *module,
                             const ksk_sequence_rules *rules, const ksk_step_options *options,
                             ksk_error *err);
void ksk_trainer_free(ksk_trainer *trainer);

/* Adds the batch's gradient to what the next update uses. `loss` is the sum over target tokens (in
 * nats, smoothing included), `tokens` their number. `key` decides what is dropped out and where
 * blocks begin. Errors: BAD_ARGUMENT (ids, lengths), OUT_OF_MEMORY. */
bool ksk_trainer_accumulate(ksk_trainer *trainer, const ksk_batch *batch, ksk_key key, double *loss,
                            int64_t *tokens, ksk_error *err);

/* The sum of gradients that the next update will use, a tree of the module's structure; caller
 * releases. Errors: BAD_ARGUMENT when there is none yet, OUT_OF_MEMORY. */
ksk_module *ksk_trainer_gradients(const ksk_trainer *trainer, ksk_error *err);

/* The mean gradient per token, clipped, through the optimiser at this learning rate; the module is
 * replaced by the next one. `norm` (may be NULL) gets the gradient's norm before clipping. What was
 * accumulated is used up or, on failure, dropped; the module is then as before. Errors:
 * BAD_ARGUMENT when a loss or gradient was not finite, or nothing was accumulated; OUT_OF_MEMORY.
 */
bool ksk_trainer_update(ksk_trainer *trainer, float learning_rate, double *norm, ksk_error *err);

/* Cross entropy without dropout and smoothing, whatever the step makes small; a Markov
 * Transformer's blocks begin at the start. */
bool ksk_trainer_loss(ksk_trainer *trainer, const ksk_batch *batch, double *loss, int64_t *tokens,
                      ksk_error *err);

/* The module as it is now; borrowed until the next update. Share it to keep it: an update then
 * leaves it untouched. */
const ksk_module *ksk_trainer_module(const ksk_trainer *trainer);

/* Updates so far. */
int64_t ksk_trainer_updates(const ksk_trainer *trainer);

/* Writes all that an exact continuation needs (parameters, optimiser's state, count of updates) to
 * a safetensors file, whole or not at all; and reads it back, bit for bit, into a trainer made with
 * the same type and options, which is as before on failure. Both are for the moments between an
 * update and the next batch: gradients are not written, and restoring drops them. Errors: BAD_FILE,
 * BAD_FORMAT, OUT_OF_MEMORY. */
bool ksk_trainer_save(const ksk_trainer *trainer, const char *path, ksk_error *err);
bool ksk_trainer_restore(ksk_trainer *trainer, const char *directory, const char *name,
                         ksk_error *err);

#endif
