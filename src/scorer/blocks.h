/* The blocks of a Markov Transformer (Deng & Rush 2020): rows that attend no further back than the
 * start of their block. */
#ifndef KSK_SCORER_BLOCKS_H
#define KSK_SCORER_BLOCKS_H

#include "kaskad/random.h"
#include "scorer/ragged.h"
#include "scorer/seq2seq.h"

/* What the module says of its contexts goes into the rules: `block` is 0 unless it is a Markov
 * Transformer. */
void ksk_blocks_read(const ksk_module *module, ksk_sequence_rules *rules);

/* Where the first whole block of a batch's sentence begins: uniform in [0, block). */
int ksk_blocks_offset(ksk_key key, int sentence, int block);

/* Puts barriers into targets that were packed causally behind the start token: sentence i's blocks
 * begin at its positions o, o + block …, with o drawn from `key` (NULL: 0). */
void ksk_blocks_cut(ksk_ragged *shifted, int sentences, const ksk_sequence_rules *rules,
                    const ksk_key *key);

/* Rows that score every token of the targets from as many of its predecessors as the order allows.
 * The tokens at the start of a sentence share their first block; each later one has a block of its
 * own, of which only the last row counts. */
typedef struct ksk_windows {
    ksk_ragged rows;   /* ids, positions, spans; sentence: none */
    int32_t *targets;  /* [rows]: what each row is asked for */
    int32_t *sentence; /* [rows] */
    int32_t *token;    /* [rows]: number of the target's token over all sentences, -1: none */
} ksk_windows;

/* Of checked targets. Errors: OUT_OF_MEMORY, BAD_ARGUMENT (too many rows). Clear it also after a
 * failure. */
bool ksk_windows_fill(ksk_windows *windows, int sentences, const int32_t *const *targets,
                      const int *lengths, const ksk_sequence_rules *rules, ksk_error *err);
void ksk_windows_clear(ksk_windows *windows);

#endif
