/* Greedy search: the likeliest token, again and again.
 *
 * Used since the first neural translators (Sutskever, Vinyals and Le 2014, "Sequence to Sequence
 * Learning with Neural Networks", where it is a beam of one). The processed logits decide; of equal
 * tokens the lower wins. */
#include <math.h>

#include "decode/decoders.h"
#include "kaskad/search.h"

static int32_t pick_best(void *state, const ksk_job *job, int row, float *values, double *log_prob)
{
    (void)state;
    (void)row;
    const int vocabulary = job->request->scorer->vocabulary;
    int32_t best;
    float top;
    if (ksk_best_tokens(values, vocabulary, (ksk_norm){0, 0}, 0, 1, -INFINITY, &best, &top) == 0)
        return -1;
    const ksk_norm norm = ksk_row_norm(values, vocabulary);
    *log_prob = (double)(top - norm.largest - norm.log_sum);
    return best;
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, options, numbers, results};
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
        return false;
    if (options->n_best != 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "n_best is %d; greedy search finds one hypothesis, use beam or sample",
                        options->n_best);
    ksk_job job;
    const bool ok =
        ksk_job_begin(&job, &request, 1, NULL, 0, err) && ksk_walk(&job, pick_best, NULL, err);
    return ksk_job_end(&job, ok);
}

const ksk_decoder ksk_decoder_greedy = {
    .name = "greedy",
    .citation = "Sutskever, Vinyals and Le 2014, Sequence to Sequence Learning with Neural "
                "Networks",
    .streams = true,
    .joins = true,
    .decode = decode,
};
