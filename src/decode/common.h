/* What the left-to-right decoders share: the checked job, its running hypotheses as rows of a step,
 * the constraints on logits, and the results.
 *
 *     ksk_job job;
 *     if (ksk_job_begin(&job, &request, copies, err) && ksk_job_prompt(&job, err))
 *         while (job.now.count > 0) {
 *             ksk_job_step(&job, &logits, err);
 *             … ksk_job_process and ksk_job_fork for each row …
 *             ksk_job_advance(&job);
 *         }
 *     ksk_job_end(&job);
 */
#ifndef KSK_DECODE_COMMON_H
#define KSK_DECODE_COMMON_H

#include "kaskad/decode.h"

/* The arguments of ksk_decoder.decode, borrowed. */
typedef struct ksk_request {
    ksk_l2r *scorer;
    int sentences;
    const int32_t *const *sources;
    const int *lengths;
    const ksk_decode_options *options;
    const uint64_t *numbers;
    ksk_nbest *results;
} ksk_request;

/* --- constraints on logits (processors.c) --- */

/* The processors of a job in their order. Not to be moved once built: the steps point into it. */
typedef struct ksk_chain {
    const ksk_decode_options *options;
    int end_id;
    uint8_t *seen;        /* [vocabulary], all zero between calls */
    ksk_processor *steps; /* [count] */
    int count;
} ksk_chain;

/* Builds the chain of `options`; `last` [last_count] come after the user's processors and before
 * renormalisation. Free it even after a failure. Errors: OUT_OF_MEMORY. */
bool ksk_chain_build(ksk_chain *chain, const ksk_l2r *scorer, const ksk_decode_options *options,
                     const ksk_processor *last, int last_count, ksk_error *err);
void ksk_chain_free(ksk_chain *chain);

/* x becomes x − log Σ exp x, along one row of n. A row that is minus infinity all over stays so. */
void ksk_log_softmax_row(float *values, int n);

/* --- running hypotheses --- */

/* Rows of a step. All rows are equally long. */
typedef struct ksk_front {
    int count;
    int length;        /* tokens in each row of ids */
    int32_t *ids;      /* [capacity, max_length]: start, prefix, generated */
    int32_t *parents;  /* [capacity], as ksk_l2r.step takes them */
    int32_t *tokens;   /* [capacity]: the last of each row's ids, not fed yet */
    int *owners;       /* [capacity]: sentence * copies + copy */
    double *log_probs; /* [capacity]: sum over the generated tokens */
} ksk_front;

typedef struct ksk_job {
    const ksk_request *request;
    int copies;     /* most rows a sentence */
    int max_length; /* tokens, start included */
    int prompt;     /* tokens of start and prefix */
    ksk_chain chain;
    ksk_front now, next;
} ksk_job;

/* Checks the options against the scorer's vocabulary and longest target (start token included) and
 * each other. Errors: BAD_ARGUMENT names the option. */
bool ksk_options_check(const ksk_decode_options *options, int vocabulary, int max_target,
                       ksk_error *err);

/* Checks everything, takes memory, starts the scorer and gives every sentence room for `copies`
 * hypotheses. `last` as in ksk_chain_build. End the job even after a failure. Errors: BAD_ARGUMENT,
 * OUT_OF_MEMORY, the scorer's. */
bool ksk_job_begin(ksk_job *job, const ksk_request *request, int copies, const ksk_processor *last,
                   int last_count, ksk_error *err);

/* Frees the job. Unless `ok`, clears the results too. Returns `ok`. */
bool ksk_job_end(ksk_job *job, bool ok);

/* Feeds start and prefix but for the last of their tokens, one row a sentence, and leaves `copies`
 * rows a sentence about to be fed that token. */
bool ksk_job_prompt(ksk_job *job, int copies, ksk_error *err);

/* Feeds the last token of every row; logits [now.count, vocabulary] are the scorer's. */
bool ksk_job_step(ksk_job *job, float **logits, ksk_error *err);

/* Applies the chain to one row's values. */
void ksk_job_process(const ksk_job *job, int row, float *values);

/* Appends to the next rows a copy of `row` that goes on with `token`. */
void ksk_job_fork(ksk_job *job, int row, int32_t token, double log_prob);

/* The next rows become the present ones. */
void ksk_job_advance(ksk_job *job);

/* True when `token` ends whatever row it is appended to now. */
bool ksk_job_ends(const ksk_job *job, int32_t token);

/* Fills a hypothesis with `row` and its last `token`. Errors: OUT_OF_MEMORY. */
bool ksk_job_harvest(const ksk_job *job, int row, int32_t token, double log_prob, double score,
                     ksk_hypothesis *hypothesis, ksk_error *err);

/* The error of a sentence that cannot go on; returns false. */
bool ksk_job_stuck(const ksk_job *job, int sentence, ksk_error *err);

#endif
