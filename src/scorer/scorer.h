/* A decoder's scorer, of whichever kind it works over. */
#ifndef KSK_SCORER_SCORER_H
#define KSK_SCORER_SCORER_H

#include "scorer/seq2seq.h"

typedef struct ksk_scorer {
    const ksk_decoder *decoder;
    ksk_l2r *l2r; /* one of the two */
    ksk_markov *markov;
} ksk_scorer;

/* What a model's plans are to be for; `narrow`: its scorers will be narrowed. */
ksk_purpose ksk_scorer_purpose(const ksk_decoder *decoder, bool narrow);

/* Makes the tokens [count], which ascend and hold start and end, the scorer's whole vocabulary
 * until the next call: a token's id is its place among them. Errors: OUT_OF_MEMORY, BAD_ARGUMENT,
 * UNSUPPORTED. */
bool ksk_scorer_narrow(ksk_scorer *scorer, int count, const int32_t *tokens, ksk_error *err);

/* Over plans for that purpose, which must outlive it; on failure the scorer is zero. Errors:
 * BAD_ARGUMENT (the decoder needs a Markov Transformer), OUT_OF_MEMORY. */
bool ksk_scorer_open(ksk_scorer *scorer, const ksk_decoder *decoder, const ksk_seq2seq_plans *plans,
                     const ksk_sequence_rules *rules, int threads, ksk_error *err);
void ksk_scorer_close(ksk_scorer *scorer);

/* As ksk_decoder's decode. */
bool ksk_scorer_decode(const ksk_scorer *scorer, int sentences, const int32_t *const *sources,
                       const int *lengths, const ksk_decode_options *options,
                       const uint64_t *numbers, ksk_nbest *results, ksk_error *err);

#endif
