/* Sentence pairs as an encoder–decoder's graph takes them: its inputs while tracing, and their
 * tensors at run time, in the same order. */
#ifndef KSK_TRAIN_BATCH_H
#define KSK_TRAIN_BATCH_H

#include "kaskad/model.h"
#include "scorer/ragged.h"
#include "scorer/seq2seq.h"
#include "tensor/tensor.h"
#include "train/step.h"

/* The inputs: source ids, positions, spans; target ids, positions, spans; the targets' source
 * spans; targets; the words of a key. */
enum { KSK_BATCH_INPUTS = 9 };

/* Declares the inputs and traces the loss of a batch: the sum over target tokens, [1]. A loss of
 * another type or shape fails the graph. */
ksk_sym ksk_batch_trace(ksk_graph *graph, const ksk_model_type *type, const ksk_module *module,
                        float dropout, const ksk_objective *objective);

typedef struct ksk_packed_batch {
    ksk_ragged source, target, shifted;
    int32_t (*cross)[2]; /* [target rows] */
    int32_t key[2];
    ksk_tensor tensors[KSK_BATCH_INPUTS];
} ksk_packed_batch;

/* `key` decides what is dropped out and where a Markov Transformer's blocks begin; NULL: nothing,
 * and at the start. Errors: BAD_ARGUMENT (ids, lengths, no sentence at all), OUT_OF_MEMORY. The
 * tensors point into the struct, which must stay where it is. Clear it also after a failure. */
bool ksk_batch_pack(ksk_packed_batch *packed, const ksk_batch *batch,
                    const ksk_sequence_rules *rules, const ksk_key *key, ksk_error *err);
void ksk_batch_clear(ksk_packed_batch *packed);

#endif
