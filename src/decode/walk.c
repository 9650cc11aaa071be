/* Decoding without search: every hypothesis takes one token a step until it ends. */
#include "kaskad/search.h"

static bool show(const ksk_job *job, int row, int32_t token, bool last, ksk_error *err)
{
    const ksk_token_watcher *const watcher = job->request->options->watcher;
    if (!watcher)
        return true;
    const int owner = job->now.owners[row];
    const ksk_token_view view = {.number = job->request->numbers[owner / job->copies],
                                 .copy = owner % job->copies,
                                 .position = job->now.lengths[row] - job->prompt,
                                 .id = token,
                                 .last = last};
    return watcher->see(watcher->context, &view) ||
           ksk_fail(err, KSK_INTERRUPTED, "stopped by whoever watched the tokens");
}

static bool walk_row(ksk_job *job, int row, float *values, ksk_choose *choose, void *state,
                     ksk_error *err)
{
    const int sentence = job->now.owners[row] / job->copies;
    const int copy = job->now.owners[row] % job->copies;
    ksk_job_process(job, row, values);
    double log_prob = 0;
    const int32_t token = choose(state, job, row, values, &log_prob);
    if (token < 0)
        return ksk_job_stuck(job, row, err);
    log_prob += job->now.log_probs[row];
    const bool last = ksk_job_ends(job, row, token);
    if (!show(job, row, token, last, err))
        return false;
    if (last)
        return ksk_job_harvest(job, row, token, log_prob, log_prob,
                               &job->request->results[sentence].hypotheses[copy], err);
    ksk_job_fork(job, row, token, log_prob);
    return true;
}

bool ksk_walk(ksk_job *job, ksk_choose *choose, void *state, ksk_error *err)
{
    const size_t vocabulary = (size_t)job->request->scorer->vocabulary;
    for (int i = 0; i < job->request->sentences; i++)
        job->request->results[i].count = job->copies;
    if (!ksk_job_prompt(job, job->copies, err))
        return false;
    while (job->now.count > 0) {
        float *logits;
        if (!ksk_job_step(job, &logits, err))
            return false;
        for (int row = 0; row < job->now.count; row++)
            if (!walk_row(job, row, logits + (size_t)row * vocabulary, choose, state, err))
                return false;
        if (!ksk_job_advance(job, err))
            return false;
    }
    return true;
}
