/* What left-to-right decoders share: checked options, running hypotheses as rows of a step, the
 * processors on their scores, the results. The built-in decoders are made of this too. The smallest
 * decoder takes one token a step and leaves the rest to ksk_walk:
 *
 *     static bool decode(…)
 *     {
 *         const ksk_request request = {scorer,  sentences, sources, lengths,
 *                                      options, numbers,   results};
 *         ksk_job job;
 *         if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
 *             return false;
 *         const bool ok = ksk_job_begin(&job, &request, 1, NULL, 0, err) &&
 *                         ksk_walk(&job, choose, NULL, err);
 *         return ksk_job_end(&job, ok);
 *     }
 *
 * One that searches has ksk_search where ksk_walk stands, and forks, ends and drops rows; or goes
 * on by itself:
 *
 *     bool ok = ksk_job_prompt(&job, 1, err);
 *     while (ok && job.now.count > 0) {
 *         ok = ksk_job_step(&job, &logits, err);
 *         … ksk_job_process each row, ksk_job_harvest what ends, ksk_job_fork what goes on …
 *         ok = ok && ksk_job_advance(&job, err);
 *     } */
#ifndef KASKAD_SEARCH_H
#define KASKAD_SEARCH_H

#include "kaskad/decode.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* Rows of a step. Those of one sentence are equally long. */
typedef struct ksk_front {
    int count;
    int *lengths;      /* [capacity]: tokens in each row of ids */
    int32_t *ids;      /* [capacity, max_length]: start, prefix, generated */
    int32_t *parents;  /* [capacity], as ksk_l2r.step takes them */
    int32_t *tokens;   /* [capacity]: the last of each row's ids, not fed yet */
    int *owners;       /* [capacity]: sentence * copies + copy; a fork inherits it */
    double *log_probs; /* [capacity]: sum over the generated tokens */
} ksk_front;

typedef struct ksk_chain ksk_chain; /* the processors of a job, in their order */

/* For a decoder to read; changed by the functions below alone. */
typedef struct ksk_job {
    const ksk_request *request;
    int copies;     /* most rows a sentence */
    int max_length; /* tokens, start included */
    int prompt;     /* tokens of start and prefix */
    int running;    /* sentences that have begun and not ended */
    int begun;      /* sentences that have begun; the others wait */
    int wide;       /* rows that a sentence begins with */
    ksk_chain *chain;
    ksk_front now, next;
} ksk_job;

/* Checks the options against the scorer's vocabulary and longest target (start token included) and
 * each other. Errors: BAD_ARGUMENT names the option. */
KSK_API bool ksk_options_check(const ksk_decode_options *options, int vocabulary, int max_target,
                               ksk_error *err);

/* Takes memory, starts the scorer with the sentences that run at once (options.at_once), and gives
 * every sentence room for `copies` hypotheses. `last`
 * [last_count] are processors of the decoder's own, after the user's and before renormalisation.
 * End the job even after a failure. Errors: BAD_ARGUMENT, OUT_OF_MEMORY, the scorer's. */
KSK_API bool ksk_job_begin(ksk_job *job, const ksk_request *request, int copies,
                           const ksk_processor *last, int last_count, ksk_error *err);

/* Frees the job. Unless `ok`, clears the results too. Returns `ok`. */
KSK_API bool ksk_job_end(ksk_job *job, bool ok);

/* Feeds start and prefix but for the last of their tokens, one row a sentence, and leaves `copies`
 * rows a sentence about to be fed that token; at most as many as the job has. Errors: the scorer's.
 */
KSK_API bool ksk_job_prompt(ksk_job *job, int copies, ksk_error *err);

/* Feeds the last token of every row; logits [now.count, vocabulary] are the scorer's, to be written
 * to until the next step. Errors: the scorer's. */
KSK_API bool ksk_job_step(ksk_job *job, float **logits, ksk_error *err);

/* Applies the processors to one row's values [vocabulary]. */
KSK_API void ksk_job_process(const ksk_job *job, int row, float *values);

/* Appends to the next rows a copy of `row` that goes on with `token`; `log_prob` is of the whole.
 * Never more than `copies` a sentence. */
KSK_API void ksk_job_fork(ksk_job *job, int row, int32_t token, double log_prob);

/* The next rows become the present ones. Sentences without rows have ended; when there is room
 * behind them, sentences that wait begin. Errors: the scorer's. */
KSK_API bool ksk_job_advance(ksk_job *job, ksk_error *err);

/* True when `token` ends `row` if it is appended to it. */
KSK_API bool ksk_job_ends(const ksk_job *job, int row, int32_t token);

/* Fills a hypothesis with `row` and its last `token`. Errors: OUT_OF_MEMORY. */
KSK_API bool ksk_job_harvest(const ksk_job *job, int row, int32_t token, double log_prob,
                             double score, ksk_hypothesis *hypothesis, ksk_error *err);

/* The same as one more hypothesis of the row's sentence, which has room for `copies`. */
KSK_API bool ksk_job_finish(const ksk_job *job, int row, int32_t token, double log_prob,
                            double score, ksk_error *err);

/* Puts the best score first and keeps the first `most`; equal ones stay in their order. */
KSK_API void ksk_nbest_rank(ksk_nbest *nbest, int most);

/* The error of a row's sentence that cannot go on; returns false. */
KSK_API bool ksk_job_stuck(const ksk_job *job, int row, ksk_error *err);

/* x becomes x − log Σ exp x, along one row of n. A row that is minus infinity all over stays so. */
KSK_API void ksk_log_softmax_row(float *values, int n);

/* What that takes off: x − largest − log_sum is x's log-probability. */
typedef struct ksk_norm {
    float largest, log_sum;
} ksk_norm;
KSK_API ksk_norm ksk_row_norm(const float *values, int n);

/* True when all that the processors do is to forbid tokens, whatever the scores: then they may see
 * logits where they expect log-probabilities. */
KSK_API bool ksk_job_only_forbids(const ksk_job *job);

/* The tokens of a row with the best scores base + (x − largest − log_sum), best first, of equal
 * ones the lower first: `most` of them, as far as they exceed `least`. Fills tokens and scores
 * [most] and returns how many there are. A row of which few tokens exceed `least` is hardly looked
 * at. */
KSK_API int ksk_best_tokens(const float *values, int n, ksk_norm norm, float base, int most,
                            float least, int32_t *tokens, float *scores);

/* Chooses the token that follows `row` from its processed logits [vocabulary], which it may change,
 * and gives the token's log-probability. Returns -1 when no token is possible. */
typedef int32_t ksk_choose(void *state, const ksk_job *job, int row, float *values,
                           double *log_prob);

/* Walks all `copies` hypotheses of each sentence to their ends, one token a step, shows each token
 * to the options' watcher, and fills the results, copy c of a sentence as its hypothesis c. A
 * decoder that walks streams. Errors: as ksk_decoder.decode. */
KSK_API bool ksk_walk(ksk_job *job, ksk_choose *choose, void *state, ksk_error *err);

/* Decides what comes of the `rows` rows from `first` on, which have one owner: ksk_job_fork for
 * what goes on, ksk_job_finish for what ends; a row that gets neither is dropped. values [rows,
 * vocabulary] are the processed log-probabilities of what may follow. Owners come in ascending
 * order. Errors: as ksk_decoder.decode. */
typedef bool ksk_select(void *state, ksk_job *job, int first, int rows, const float *values,
                        ksk_error *err);

/* Searches from `copies` rows a sentence until no row is left, then ranks the results by score and
 * keeps the options' n_best. Errors: as ksk_decoder.decode. */
KSK_API bool ksk_search(ksk_job *job, int copies, ksk_select *select, void *state, ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
