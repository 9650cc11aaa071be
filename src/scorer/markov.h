/* A Markov scorer over a Markov Transformer. */
#ifndef KSK_SCORER_MARKOV_H
#define KSK_SCORER_MARKOV_H

#include "scorer/seq2seq.h"

/* A scorer with a workspace of its own, over plans to cascade that must outlive it. Caller calls
 * its free. Errors: BAD_ARGUMENT (the rules have no block), OUT_OF_MEMORY. */
ksk_markov *ksk_markov_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                  int threads, ksk_error *err);

/* Makes the tokens [count], which ascend and hold the end, the scorer's whole vocabulary until
 * the next call: a token's id is its place among them. Errors: OUT_OF_MEMORY, BAD_ARGUMENT,
 * UNSUPPORTED. */
bool ksk_markov_scorer_narrow(ksk_markov *scorer, int count, const int32_t *tokens, ksk_error *err);

#endif
