/* Diverse beam search: groups of beams, each told to differ from those before it.
 *
 * Vijayakumar et al. 2016, "Diverse Beam Search: Decoding Diverse Solutions from Neural Sequence
 * Models". The beams are split into groups that search one after the other at every step. A token
 * costs a group `strength` for each hypothesis of an earlier group that has just taken it (the
 * Hamming diversity of section 4); the cost decides what is kept, and is not part of its score. A
 * group ends when as many hypotheses have ended as it has beams. */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

typedef struct candidate {
    double rank; /* log-probability of the whole, less the cost of its last token */
    int row;
    int32_t token;
} candidate;

typedef struct search {
    ksk_job job;
    int groups, width;
    float strength;
    candidate *best; /* [2 width], best first */
    int *ended;      /* [sentences * beams]: of the group that is this owner */
} search;

static void offer(search *s, candidate c)
{
    int at = 2 * s->width - 1;
    if (!(c.rank > s->best[at].rank))
        return;
    for (; at > 0 && s->best[at - 1].rank < c.rank; at--)
        s->best[at] = s->best[at - 1];
    s->best[at] = c;
}

/* Whether the i-th next row is of another group of the owner's sentence, so of an earlier one. */
static bool is_earlier(const search *s, int i, int owner)
{
    const int other = s->job.next.owners[i], copies = s->job.copies;
    return other != owner && other / copies == owner / copies;
}

static double without_cost(const search *s, const candidate *c, int owner)
{
    double log_prob = c->rank;
    for (int i = 0; i < s->job.next.count; i++)
        if (s->job.next.tokens[i] == c->token && is_earlier(s, i, owner))
            log_prob += s->strength;
    return log_prob;
}

/* Ends or forks the best of a group. */
static bool choose(search *s, int owner, ksk_error *err)
{
    const int sentence = owner / s->job.copies, length = s->job.now.length + 1 - s->job.prompt;
    ksk_nbest *const result = &s->job.request->results[sentence];
    int running = 0;
    for (int i = 0; i < 2 * s->width && running < s->width && s->ended[owner] < s->width; i++) {
        const candidate *const c = &s->best[i];
        const double log_prob = without_cost(s, c, owner);
        const double score = log_prob / pow(length, s->job.request->options->length_penalty);
        if (c->rank == -INFINITY)
            break;
        if (!ksk_job_ends(&s->job, c->token)) {
            ksk_job_fork(&s->job, c->row, c->token, log_prob);
            running++;
        } else if (i < s->width) {
            if (!ksk_job_harvest(&s->job, c->row, c->token, log_prob, score,
                                 &result->hypotheses[result->count], err))
                return false;
            result->count++;
            s->ended[owner]++;
        }
    }
    return running > 0 || s->ended[owner] > 0 || ksk_job_stuck(&s->job, sentence, err);
}

/* One group's step, from its first row on; gives the row after its last. */
static int read_group(search *s, int row, float *logits)
{
    const int owner = s->job.now.owners[row], vocabulary = s->job.request->scorer->vocabulary;
    for (int i = 0; i < 2 * s->width; i++)
        s->best[i].rank = -INFINITY;
    for (; row < s->job.now.count && s->job.now.owners[row] == owner; row++) {
        float *const values = logits + (size_t)row * (size_t)vocabulary;
        ksk_log_softmax_row(values, vocabulary);
        ksk_job_process(&s->job, row, values);
        for (int i = 0; i < s->job.next.count; i++)
            if (is_earlier(s, i, owner))
                values[s->job.next.tokens[i]] -= s->strength;
        for (int32_t t = 0; t < vocabulary; t++)
            offer(s, (candidate){s->job.now.log_probs[row] + values[t], row, t});
    }
    return row;
}

static bool run(search *s, ksk_error *err)
{
    if (!ksk_job_prompt(&s->job, s->groups, err))
        return false;
    for (float *logits; s->job.now.count > 0; ksk_job_advance(&s->job)) {
        if (!ksk_job_step(&s->job, &logits, err))
            return false;
        for (int row = 0; row < s->job.now.count;) {
            const int owner = s->job.now.owners[row];
            row = read_group(s, row, logits);
            if (!choose(s, owner, err))
                return false;
        }
    }
    for (int i = 0; i < s->job.request->sentences; i++)
        ksk_nbest_rank(&s->job.request->results[i], s->job.request->options->n_best);
    return true;
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, options, numbers, results};
    search s = {.groups = options->beams, .strength = 0.5F};
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
        return false;
    if (options->argument && sscanf(options->argument, "%d,%f", &s.groups, &s.strength) < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "diverse takes GROUPS,STRENGTH, not '%s'",
                        options->argument);
    if (s.groups < 1 || options->beams % s.groups || options->n_best > options->beams)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "diverse: the groups (%d) must divide the beams (%d), and n_best (%d) be "
                        "no more than those",
                        s.groups, options->beams, options->n_best);
    if (!(s.strength >= 0))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "diverse: STRENGTH is 0 or more");
    s.width = options->beams / s.groups;
    s.best = ksk_calloc((size_t)s.width, 2 * sizeof *s.best);
    s.ended = ksk_calloc((size_t)sentences + 1, (size_t)options->beams * sizeof *s.ended);
    bool ok = (s.best && s.ended) || ksk_fail_memory(err);
    if (ok)
        ok = ksk_job_end(&s.job, ksk_job_begin(&s.job, &request, options->beams, NULL, 0, err) &&
                                     run(&s, err));
    ksk_free(s.best);
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
