/* The last product of a model, decoded rows to logits, over chosen tokens alone. */
#ifndef KSK_SCORER_HEAD_H
#define KSK_SCORER_HEAD_H

#include "kaskad/graph.h"

/* The weights of the product; immutable, shared by all choices. */
typedef struct ksk_head ksk_head;

/* From the traced logits [rows, vocabulary]; shares their weights. Caller frees. Errors:
 * UNSUPPORTED unless they are a bare product with weights that never change; OUT_OF_MEMORY. */
ksk_head *ksk_head_new(ksk_sym logits, ksk_error *err);
void ksk_head_free(ksk_head *head);

/* Tokens of the vocabulary, with their weights packed side by side in f32. Zero it first. As a
 * vocabulary of its own, a token's id is its place in the choice. */
typedef struct ksk_choice {
    int count;
    int32_t *tokens; /* [count] */
    /* private */
    struct ksk_packed *packed;
    float *bias;
    int64_t width;
    size_t token_room, bias_room;
} ksk_choice;

/* Makes the choice, unless it is made already. The tokens lie in the vocabulary; they are copied.
 * Errors: OUT_OF_MEMORY, after which nothing is chosen. */
bool ksk_choice_make(ksk_choice *choice, const ksk_head *head, int count, const int32_t *tokens,
                     ksk_error *err);
void ksk_choice_clear(ksk_choice *choice);

/* The place of a token among tokens [count] that ascend; -1: it is not there. */
int ksk_token_place(const int32_t *tokens, int count, int32_t token);

/* Decoded rows x [rows, width] → logits [rows, choice->count]. */
void ksk_choice_logits(const ksk_choice *choice, int64_t rows, const float *x, float *logits);

#endif
