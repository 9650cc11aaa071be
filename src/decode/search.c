/* Decoding with search: what every step has, around the choice of what goes on. */
#include "kaskad/search.h"

bool ksk_job_finish(const ksk_job *job, int row, int32_t token, double log_prob, double score,
                    ksk_error *err)
{
    ksk_nbest *const result = &job->request->results[job->now.owners[row] / job->copies];
    if (!ksk_job_harvest(job, row, token, log_prob, score, &result->hypotheses[result->count], err))
        return false;
    result->count++;
    return true;
}

/* The rows of one owner, from `first` on; gives the row after the last, or -1 after a failure. */
static int select_rows(ksk_job *job, int first, float *logits, ksk_select *select, void *state,
                       ksk_error *err)
{
    const size_t vocabulary = (size_t)job->request->scorer->vocabulary;
    const ksk_front *const now = &job->now;
    int row = first;
    for (; row < now->count && now->owners[row] == now->owners[first]; row++) {
        float *const values = logits + (size_t)row * vocabulary;
        ksk_log_softmax_row(values, (int)vocabulary);
        ksk_job_process(job, row, values);
    }
    const float *const values = logits + (size_t)first * vocabulary;
    return select(state, job, first, row - first, values, err) ? row : -1;
}

bool ksk_search(ksk_job *job, int copies, ksk_select *select, void *state, ksk_error *err)
{
    if (!ksk_job_prompt(job, copies, err))
        return false;
    while (job->now.count > 0) {
        float *logits;
        if (!ksk_job_step(job, &logits, err))
            return false;
        for (int row = 0; row < job->now.count;)
            if ((row = select_rows(job, row, logits, select, state, err)) < 0)
                return false;
        if (!ksk_job_advance(job, err))
            return false;
    }
    for (int i = 0; i < job->request->sentences; i++)
        ksk_nbest_rank(&job->request->results[i], job->request->options->n_best);
    return true;
}
