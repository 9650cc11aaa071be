/* Diverse beam search: groups of beams, each told to differ from those before it.
 *
 * Vijayakumar et al. 2016, "Diverse Beam Search: Decoding Diverse Solutions from Neural Sequence
 * Models". The beams are split into groups that search one after the other at every step. A token
 * costs a group STRENGTH for each hypothesis of an earlier group that has just taken it (the
 * Hamming diversity of section 4); the cost decides what is kept, and is not part of its score. A
 * group ends when as many hypotheses have ended as it has beams. */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct candidate {
    double rank, log_prob; /* of the whole, with and without the cost of its last token */
    int32_t row, token;
} candidate;

typedef struct search {
    int groups, width;
    float strength;
    candidate *best; /* [2 width], best first, and one that falls out */
    float *costs;    /* [vocabulary]: what tokens cost the groups to come */
    int *ended;      /* [sentences * beams]: hypotheses of the group that is this owner */
} search;

static void offer(search *s, candidate c)
{
    int at = 2 * s->width;
    for (; at > 0 && s->best[at - 1].rank < c.rank; at--)
        s->best[at] = s->best[at - 1];
    s->best[at] = c;
}

/* Ends or forks the best of a group; what it forks with costs the next groups. */
static bool choose(search *s, ksk_job *job, int first, ksk_error *err)
{
    const int length = job->now.lengths[first] + 1 - job->prompt, owner = job->now.owners[first];
    const double divisor = pow(length, job->request->options->length_penalty);
    int running = 0;
    for (int i = 0; i < 2 * s->width && running < s->width && s->ended[owner] < s->width; i++) {
        const candidate *const c = &s->best[i];
        if (c->rank == -INFINITY)
            break;
        if (!ksk_job_ends(job, c->row, c->token)) {
            ksk_job_fork(job, c->row, c->token, c->log_prob);
            s->costs[c->token] += s->strength;
            running++;
        } else if (i < s->width) {
            if (!ksk_job_finish(job, c->row, c->token, c->log_prob, c->log_prob / divisor, err))
                return false;
            s->ended[owner]++;
        }
    }
    return running > 0 || s->ended[owner] > 0 || ksk_job_stuck(job, first, err);
}

static bool select_group(void *state, ksk_job *job, int first, int rows, const float *values,
                         ksk_error *err)
{
    search *const s = state;
    const int vocabulary = job->request->scorer->vocabulary, *const owners = job->now.owners;
    if (first == 0 || owners[first - 1] / job->copies != owners[first] / job->copies)
        memset(s->costs, 0, (size_t)vocabulary * sizeof *s->costs); /* a sentence's first group */
    for (int i = 0; i < 2 * s->width; i++)
        s->best[i].rank = -INFINITY;
    for (int row = first; row < first + rows; row++, values += vocabulary)
        for (int32_t t = 0; t < vocabulary; t++) {
            const double log_prob = job->now.log_probs[row] + values[t];
            offer(s, (candidate){log_prob - s->costs[t], log_prob, row, t});
        }
    return choose(s, job, first, err);
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *o, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, o, numbers, results};
    search s = {.groups = o->beams, .strength = 0.5F};
    ksk_job job;
    if (!ksk_options_check(o, scorer->vocabulary, scorer->max_target, err))
        return false;
    const bool read = !o->argument || sscanf(o->argument, "%d,%f", &s.groups, &s.strength) > 0;
    if (!read || s.groups < 1 || o->beams % s.groups || o->n_best > o->beams || !(s.strength >= 0))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "diverse takes GROUPS,STRENGTH: the groups (%d) must divide the beams "
                        "(%d), n_best (%d) be no more than those, the strength (%g) 0 or more",
                        s.groups, o->beams, o->n_best, (double)s.strength);
    s.width = o->beams / s.groups;
    s.best = ksk_calloc(2 * (size_t)s.width + 1, sizeof *s.best);
    s.costs = ksk_calloc((size_t)scorer->vocabulary, sizeof *s.costs);
    s.ended = ksk_calloc((size_t)sentences + 1, (size_t)o->beams * sizeof *s.ended);
    const bool ok = ((s.best && s.costs && s.ended) || ksk_fail_memory(err)) &&
                    ksk_job_end(&job, ksk_job_begin(&job, &request, o->beams, NULL, 0, err) &&
                                          ksk_search(&job, s.groups, select_group, &s, err));
    ksk_free(s.best);
    ksk_free(s.costs);
    ksk_free(s.ended);
    return ok;
}

static const ksk_decoder diverse = {
    .name = "diverse",
    .citation = "Vijayakumar et al. 2016, Diverse Beam Search",
    .searches = true,
    .takes = "GROUPS,STRENGTH",
    .decode = decode,
};
static const ksk_decoder *const decoders[] = {&diverse, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "diverse", .decoders = decoders};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
