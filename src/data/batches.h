/* An epoch's batches: sentence pairs of similar lengths, filled up to a number of tokens. */
#ifndef KSK_DATA_BATCHES_H
#define KSK_DATA_BATCHES_H

#include "data/corpus.h"
#include "kaskad/random.h"

/* Every pair stands in exactly one batch. Zero it first. */
typedef struct ksk_batches {
    size_t *order;       /* [pairs]: pairs, batch after batch */
    size_t (*ranges)[2]; /* [count]: where each begins and ends in `order` */
    size_t count;
    size_t largest; /* most pairs in one */
} ksk_batches;

/* Plans an epoch: pairs ordered by length, those of equal lengths at random; cut so that neither
 * side of a batch has more than `tokens` tokens (a longer pair stands alone); the batches then in
 * random order. The same pairs and key give the same plan. Errors: OUT_OF_MEMORY. */
bool ksk_batches_plan(const ksk_pairs *pairs, int64_t tokens, ksk_key key, ksk_batches *batches,
                      ksk_error *err);
void ksk_batches_clear(ksk_batches *batches);

/* One batch as arrays with room for `room` sentences; zero it first. */
typedef struct ksk_batch_view {
    int sentences;
    const int32_t **sources, **targets;
    int *source_lengths, *target_lengths;
    size_t room;
} ksk_batch_view;

/* Points the view at the sentences of a batch. Errors: OUT_OF_MEMORY. */
bool ksk_batches_get(const ksk_batches *batches, const ksk_pairs *pairs, size_t batch,
                     ksk_batch_view *view, ksk_error *err);
void ksk_batch_view_clear(ksk_batch_view *view);

#endif
