/* How good weights are on the dev pairs. */
#ifndef KSK_TRAIN_EVALUATE_H
#define KSK_TRAIN_EVALUATE_H

#include "data/corpus.h"
#include "kaskad/model.h"
#include "scorer/seq2seq.h"

/* What stays the same from one evaluation to the next; borrowed. */
typedef struct ksk_evaluator {
    const ksk_model_type *type;
    const ksk_sequence_rules *rules;
    const ksk_tokenizer *tokenizer;
    const ksk_corpus *text;
    const ksk_pairs *pairs; /* of `text` */
    int beams;              /* 1: greedy */
    const char *bleu_tokenizer;
    int threads;
} ksk_evaluator;

typedef struct ksk_evaluation {
    double loss; /* nats a target token */
    double bleu; /* of translations of at most twice the tokens of the longest source beside */
} ksk_evaluation;

/* Scores and translates every pair. Errors: those of compiling, decoding and the metric. */
bool ksk_evaluate(const ksk_evaluator *evaluator, const ksk_module *module, ksk_evaluation *result,
                  ksk_error *err);

#endif
