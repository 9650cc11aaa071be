/* NAME: the likeliest token, again and again, until the end token. Change `choose`.
 *
 * Author year, "Title". */
#include <kaskad/extend.h>
#include <math.h>

/* values: the processed logits of what may follow `row`. */
static int32_t choose(void *state, const ksk_job *job, int row, float *values, double *log_prob)
{
    (void)state, (void)row;
    const int vocabulary = job->request->scorer->vocabulary;
    int32_t best = -1;
    for (int32_t i = 0; i < vocabulary; i++)
        if (values[i] > (best < 0 ? -INFINITY : values[best]))
            best = i;
    ksk_log_softmax_row(values, vocabulary);
    *log_prob = best < 0 ? 0 : (double)values[best];
    return best;
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, options, numbers, results};
    ksk_job job;
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
        return false;
    const bool ok =
        ksk_job_begin(&job, &request, 1, NULL, 0, err) && ksk_walk(&job, choose, NULL, err);
    return ksk_job_end(&job, ok);
}

static const ksk_decoder NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .decode = decode,
};
static const ksk_decoder *const decoders[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .decoders = decoders};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
