/* Scoring with an encoder–decoder: a left-to-right scorer, and whole targets at once. */
#ifndef KSK_SCORER_SEQ2SEQ_H
#define KSK_SCORER_SEQ2SEQ_H

#include "kaskad/decode.h"
#include "kaskad/model.h"

/* The compiled parts of one model; immutable, shared by all scorers. */
typedef struct ksk_seq2seq_plans ksk_seq2seq_plans;

/* What plans are for: a step at a time, the same with chosen tokens alone, whole targets, or the
 * rounds of a Markov scorer. Each packs the weights it needs. */
typedef enum ksk_purpose {
    KSK_TO_GENERATE,
    KSK_TO_SELECT,
    KSK_TO_SCORE,
    KSK_TO_CASCADE,
    KSK_PURPOSES
} ksk_purpose;

/* Caller frees; neither type nor module is needed afterwards. Errors: those of ksk_compile. */
ksk_seq2seq_plans *ksk_seq2seq_plans_new(const ksk_model_type *type, const ksk_module *module,
                                         ksk_purpose purpose, const ksk_compile_options *options,
                                         ksk_error *err);
void ksk_seq2seq_plans_free(ksk_seq2seq_plans *plans);

/* What a model's configuration says about its sequences. */
typedef struct ksk_sequence_rules {
    int source_vocabulary, vocabulary; /* ids that may come in, ids that may go out */
    int start_id, end_id, pad_id;      /* pad_id may be -1 */
    int max_source, max_target;        /* tokens, start and end included */
    int block;                 /* of a Markov Transformer: its order and one more; 0: none */
    double length_a, length_b; /* of a Markov Transformer: its length line */
} ksk_sequence_rules;

/* A scorer with a workspace of its own, over plans that must outlive it. Caller calls its free.
 * Markov Transformers give what follows the last tokens that their order allows; a step then takes
 * as many rows as a block has, for a row is different in every context. */
ksk_l2r *ksk_seq2seq_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                int threads, ksk_error *err);

/* Makes the tokens [count], which ascend and hold start and end, the scorer's whole vocabulary
 * until the next call: a token's id is its place among them. For plans to select. Errors:
 * OUT_OF_MEMORY, BAD_ARGUMENT. */
bool ksk_seq2seq_scorer_narrow(ksk_l2r *scorer, int count, const int32_t *tokens, ksk_error *err);

/* Natural logarithms of the probabilities of each target token given the source and the tokens
 * before it: log_probs holds the targets' rows one after another (targets without start, end token
 * included). Sentence i's target has target_lengths[i] tokens. `workspace` is the caller's. */
bool ksk_seq2seq_score(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                       ksk_workspace *workspace, int sentences, const int32_t *const *sources,
                       const int *source_lengths, const int32_t *const *targets,
                       const int *target_lengths, float *log_probs, ksk_error *err);

#endif
