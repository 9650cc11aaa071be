/* Weights from another checkpoint, to begin a run with. */
#ifndef KSK_TRAIN_INHERIT_H
#define KSK_TRAIN_INHERIT_H

#include <jansson.h>

#include "kaskad/module.h"

/* A tree like `module` (trained tensors of F32) with the values of the checkpoint's trained tensors
 * that have the same name and shape: a shallower stack gets the first layers of a deeper one, a
 * Markov Transformer a plain one's weights. `model` is the directory of the run's own tokenizer,
 * which must have the same vocabulary. Caller releases.
 * `*report`, for json_decref, is a line of the log:
 *
 *     {"event": "init", "checkpoint": …, "weights": "sha256:…",
 *      "taken": [names], "not_taken": [names that are not in the checkpoint, or otherwise shaped],
 *      "unused": how many of the checkpoint's}
 *
 * Errors: BAD_ARGUMENT (another vocabulary; nothing fits), those of ksk_model_load. */
ksk_module *ksk_inherit(const ksk_module *module, const char *checkpoint, const char *model,
                        json_t **report, ksk_error *err);

/* The report in a sentence or two. Caller frees with ksk_free. Errors: OUT_OF_MEMORY. */
char *ksk_inherit_summary(const json_t *report, ksk_error *err);

#endif
