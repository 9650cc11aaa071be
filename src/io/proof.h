/* A checkpoint's proof, kaskad.json: texts with their ids and some of the logits they gave where
 * the checkpoint was made, so that a tokenizer or a conversion gone wrong does not stay silent.
 *
 *     {"format": 1, "library": "kaskad 0.1.0", "precision": "f32",
 *      "texts": [{"source": "Guten Morgen!", "source_ids": [5, 9, 0], "target_ids": [7, 3, 0],
 *                 "probes": [[0, 7, 11.25], …]}],
 *      "origin": {"recipe": "sha256:…", "data": "…"}} */
#ifndef KSK_IO_PROOF_H
#define KSK_IO_PROOF_H

#include <stdint.h>

#include "kaskad/error.h"

/* The logit of `id` when the target's first `step` ids have been fed (0: only the start token). */
typedef struct ksk_probe {
    int step; /* below the text's target_count */
    int32_t id;
    float logit;
} ksk_probe;

typedef struct ksk_proof_text {
    char *source;        /* UTF-8 */
    int32_t *source_ids; /* as the tokenizer gives them, end token included */
    int source_count;
    int32_t *target_ids; /* what greedy decoding gives, end token included, start token not */
    int target_count;
    ksk_probe *probes;
    int probe_count;
} ksk_proof_text;

/* All memory in it is ksk_malloc's. */
typedef struct ksk_proof {
    char *library; /* what computed it */
    ksk_proof_text *texts;
    int count;
    char *recipe;    /* digest of the training recipe, or NULL */
    char *data;      /* where the training data came from, or NULL */
    char *precision; /* of the products, "f32", "bf16" or "int8"; NULL: f32 */
} ksk_proof;

/* Reads directory/kaskad.json into *proof (overwritten; cleared by the caller). On failure it holds
 * nothing. Errors: BAD_FILE, BAD_FORMAT (names the field), UNSUPPORTED (another format number),
 * OUT_OF_MEMORY. */
bool ksk_proof_read(const char *directory, ksk_proof *proof, ksk_error *err);

/* Writes directory/kaskad.json, whole or not at all. Errors: BAD_ARGUMENT (text that is not UTF-8,
 * a logit that is not finite, an id or step out of range), BAD_FILE, OUT_OF_MEMORY. */
bool ksk_proof_write(const char *directory, const ksk_proof *proof, ksk_error *err);

void ksk_proof_clear(ksk_proof *proof); /* frees the content; zeroes *proof */

/* Compare what was computed now with text number `text` of the proof. BAD_FORMAT tells of the first
 * difference. A logit may be off by `tolerance` times the larger of 1 and its size; NaN is off. */
bool ksk_proof_check_source(const ksk_proof *proof, int text, const int32_t *ids, int count,
                            ksk_error *err);
bool ksk_proof_check_target(const ksk_proof *proof, int text, const int32_t *ids, int count,
                            ksk_error *err);
bool ksk_proof_check_logit(const ksk_proof *proof, int text, int probe, float logit,
                           double tolerance, ksk_error *err);

#endif
