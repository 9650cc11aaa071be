/* Beam search: of all one-token continuations of the best hypotheses keep the best again.
 *
 * Lowerre 1976, "The HARPY Speech Recognition System"; for neural translation Sutskever, Vinyals
 * and Le 2014, "Sequence to Sequence Learning with Neural Networks"; the length penalty after Wu et
 * al. 2016, "Google's Neural Machine Translation System".
 *
 * With B beams each step ranks the 2B best continuations of a sentence. One that ends is a finished
 * hypothesis if it ranks among the first B; the best B that do not end run on. A sentence is done
 * when it has B finished hypotheses and `early_stopping` sees no hope in the running ones. This
 * is the search of transformers 4.57: processors see log-probabilities, sums are single precision,
 * and a hypothesis scores sum / length^penalty. A sentence that is done leaves the batch, which
 * changes nothing for it. Of equal continuations the one of the better beam, then the lower token,
 * comes first. */
#include <math.h>

#include "decode/decoders.h"
#include "kaskad/memory.h"
#include "kaskad/search.h"

/* A continuation: `row` goes on with `token`. */
typedef struct candidate {
    float score;
    int32_t row, token;
} candidate;

typedef struct beam {
    ksk_job job;
    int width;             /* B */
    candidate *candidates; /* [2B]: while a step is read a heap, its worst first; then best first */
    int count;
    candidate *running; /* [B]: those that go on, best first */
    int32_t *tokens;    /* [2B]: the best continuations of one row, and their scores */
    float *scores;
} beam;

/* --- the best 2B --- */

static bool worse(const candidate *a, const candidate *b)
{
    if (a->score != b->score)
        return a->score < b->score;
    return a->row != b->row ? a->row > b->row : a->token > b->token;
}

static void sink(candidate *heap, int count, candidate item)
{
    int at = 0;
    for (int child = 1; child < count; at = child, child = 2 * child + 1) {
        if (child + 1 < count && worse(&heap[child + 1], &heap[child]))
            child++;
        if (!worse(&heap[child], &item))
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void push(beam *b, candidate item)
{
    if (b->count == 2 * b->width) {
        sink(b->candidates, b->count, item);
        return;
    }
    int at = b->count++;
    for (; at > 0 && worse(&item, &b->candidates[(at - 1) / 2]); at = (at - 1) / 2)
        b->candidates[at] = b->candidates[(at - 1) / 2];
    b->candidates[at] = item;
}

/* What a continuation must exceed; an equal one comes later in the order, so it loses. */
static float threshold(const beam *b)
{
    return b->count < 2 * b->width ? -INFINITY : b->candidates[0].score;
}

/* Offers the continuations of a row that may be among the best 2B. */
static void offer(beam *b, int row, const float *values, ksk_norm norm)
{
    const int count = ksk_best_tokens(values, b->job.request->scorer->vocabulary, norm,
                                      (float)b->job.now.log_probs[row], 2 * b->width, threshold(b),
                                      b->tokens, b->scores);
    for (int i = 0; i < count && b->scores[i] > threshold(b); i++)
        push(b, (candidate){b->scores[i], row, b->tokens[i]});
}

/* Processors that look at scores want log-probabilities; otherwise what log-softmax would take off
 * is taken off the few tokens that matter. */
static void offer_logits(beam *b, int row, float *logits)
{
    const int vocabulary = b->job.request->scorer->vocabulary;
    ksk_norm norm = {0, 0};
    if (ksk_job_only_forbids(&b->job))
        norm = ksk_row_norm(logits, vocabulary);
    else
        ksk_log_softmax_row(logits, vocabulary);
    ksk_job_process(&b->job, row, logits);
    offer(b, row, logits, norm);
}

static void sort_best_first(beam *b)
{
    for (int left = b->count - 1; left > 0; left--) {
        const candidate worst = b->candidates[0];
        sink(b->candidates, left, b->candidates[left]);
        b->candidates[left] = worst;
    }
}

/* --- finished hypotheses: the results themselves, best first --- */

static float normalized(const beam *b, float sum, int length)
{
    return sum /
           (float)pow(length > 0 ? length : 1, (double)b->job.request->options->length_penalty);
}

/* Generated tokens that count, `token` appended to `row`. */
static int counted_length(const beam *b, int row, int32_t token)
{
    const int generated = b->job.now.lengths[row] + 1 - b->job.prompt;
    const bool drop = b->job.request->options->length_rule == KSK_LENGTH_WITHOUT_END &&
                      token == b->job.request->scorer->end_id;
    return drop ? generated - 1 : generated;
}

static bool finish(beam *b, ksk_nbest *best, const candidate *c, ksk_error *err)
{
    const double score = (double)normalized(b, c->score, counted_length(b, c->row, c->token));
    if (best->count == b->width && score <= best->hypotheses[b->width - 1].score)
        return true;
    ksk_hypothesis item;
    if (!ksk_job_harvest(&b->job, c->row, c->token, (double)c->score, score, &item, err))
        return false;
    if (best->count == b->width)
        ksk_free(best->hypotheses[--best->count].ids);
    int at = best->count++;
    for (; at > 0 && best->hypotheses[at - 1].score < score; at--)
        best->hypotheses[at] = best->hypotheses[at - 1];
    best->hypotheses[at] = item;
    return true;
}

/* True when a full list cannot get better, as far as the rule of early stopping can tell from the
 * best running one. */
static bool settled(const beam *b, const ksk_nbest *best, const candidate *running)
{
    const ksk_decode_options *const options = b->job.request->options;
    if (best->count < b->width)
        return false;
    if (options->early_stopping == KSK_STOP_AT_ONCE)
        return true;
    const bool longest = options->early_stopping == KSK_STOP_NEVER && options->length_penalty > 0;
    const int next = b->job.now.lengths[running->row] + 1;
    const int length = (longest ? b->job.max_length : next) - b->job.prompt;
    return !((double)normalized(b, running->score, length) > best->hypotheses[b->width - 1].score);
}

/* --- the search --- */

/* Sorts the candidates of the sentence whose last row that is into finished and running, and forks
 * the rows that run. */
static bool choose(beam *b, int row, ksk_error *err)
{
    ksk_nbest *const best = &b->job.request->results[b->job.now.owners[row] / b->job.copies];
    int running = 0;
    for (int rank = 0; rank < b->count; rank++) {
        const candidate *const c = &b->candidates[rank];
        if (!ksk_job_ends(&b->job, c->row, c->token)) {
            if (running < b->width)
                b->running[running++] = *c;
        } else if (rank < b->width && !finish(b, best, c, err)) {
            return false;
        }
    }
    if (running == 0)
        return best->count > 0 || ksk_job_stuck(&b->job, row, err);
    if (settled(b, best, &b->running[0]))
        return true;
    for (int i = 0; i < running; i++)
        ksk_job_fork(&b->job, b->running[i].row, b->running[i].token, (double)b->running[i].score);
    return true;
}

static bool step(beam *b, ksk_error *err)
{
    ksk_job *const job = &b->job;
    const int vocabulary = job->request->scorer->vocabulary;
    float *logits;
    if (!ksk_job_step(job, &logits, err))
        return false;
    for (int row = 0; row < job->now.count;) {
        const int owner = job->now.owners[row];
        b->count = 0;
        for (; row < job->now.count && job->now.owners[row] == owner; row++)
            offer_logits(b, row, logits + (size_t)row * (size_t)vocabulary);
        sort_best_first(b);
        if (!choose(b, row - 1, err))
            return false;
    }
    return ksk_job_advance(job, err);
}

static bool search(beam *b, ksk_error *err)
{
    if (!ksk_job_prompt(&b->job, 1, err))
        return false;
    while (b->job.now.count > 0)
        if (!step(b, err))
            return false;
    for (int i = 0; i < b->job.request->sentences; i++)
        ksk_nbest_rank(&b->job.request->results[i], b->job.request->options->n_best);
    return true;
}

static bool check(const ksk_decode_options *options, const ksk_l2r *scorer, ksk_error *err)
{
    enum { most = 1024 };
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
        return false;
    if (options->beams > most)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "beams is %d; beam search takes up to %d",
                        options->beams, most);
    if (options->n_best > options->beams)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "n_best is %d but beams is %d; beam search returns at most its beams",
                        options->n_best, options->beams);
    return true;
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, options, numbers, results};
    if (!check(options, scorer, err))
        return false;
    const size_t width = (size_t)options->beams;
    beam b = {.width = options->beams,
              .candidates = ksk_malloc(2 * width * sizeof *b.candidates),
              .running = ksk_malloc(width * sizeof *b.running),
              .tokens = ksk_malloc(2 * width * sizeof *b.tokens),
              .scores = ksk_malloc(2 * width * sizeof *b.scores)};
    bool ok = (b.candidates && b.running && b.tokens && b.scores) || ksk_fail_memory(err);
    if (ok)
        ok = ksk_job_end(&b.job, ksk_job_begin(&b.job, &request, options->beams, NULL, 0, err) &&
                                     search(&b, err));
    ksk_free(b.candidates);
    ksk_free(b.running);
    ksk_free(b.tokens);
    ksk_free(b.scores);
    return ok;
}

const ksk_decoder ksk_decoder_beam = {
    .name = "beam",
    .searches = true,
    .joins = true,
    .citation = "Sutskever, Vinyals and Le 2014, Sequence to Sequence Learning with Neural "
                "Networks",
    .decode = decode,
};
