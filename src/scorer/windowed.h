/* A Markov Transformer read from left to right. */
#ifndef KSK_SCORER_WINDOWED_H
#define KSK_SCORER_WINDOWED_H

#include "scorer/seq2seq.h"

/* As ksk_seq2seq_scorer_new, which calls this for rules with a block; plans to generate. */
ksk_l2r *ksk_windowed_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                 int threads, ksk_error *err);

#endif
