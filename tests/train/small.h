/* A small Marian model and batches for the tests of this room. */
#ifndef KSK_TESTS_TRAIN_SMALL_H
#define KSK_TESTS_TRAIN_SMALL_H

#include "train/step.h"

enum { SMALL_START = 1, SMALL_END = 2 };

typedef struct small {
    const ksk_model_type *type;
    ksk_module *module;
    ksk_sequence_rules rules;
} small;

/* The model of fixtures/step, with the weights recorded there; or that of the same sizes with
 * weights drawn from a seed. */
small small_recorded(void);
small small_drawn(uint64_t seed);
/* The same, so wide that every operation is worth several threads. */
small small_wide(uint64_t seed);
void small_clear(small *s);

/* Sentence pairs of up to 16 tokens; `batch` points into the struct. */
typedef struct small_batch {
    int32_t source[64][16], target[64][16];
    const int32_t *sources[64], *targets[64];
    int source_lengths[64], target_lengths[64];
    ksk_batch batch;
} small_batch;

/* The three pairs of fixtures/step. */
void small_recorded_batch(small_batch *b);
/* `sentences` pairs, where the target repeats the source: 1 to `longest` tokens from [3, 31). */
void small_copy_batch(small_batch *b, int sentences, int longest, uint64_t seed);
/* Pairs [first, first + count) of a batch. */
ksk_batch small_part(const small_batch *b, int first, int count);

#endif
