#include "decode/common.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "kaskad/memory.h"

ksk_decode_options ksk_decode_defaults(void)
{
    return (ksk_decode_options){
        .beams = 1,
        .n_best = 1,
        .length_penalty = 1,
        .early_stopping = KSK_STOP_HEURISTIC,
        .length_rule = KSK_LENGTH_WITH_END,
        .temperature = 1,
        .top_p = 1,
        .repetition_penalty = 1,
        .forced_first = -1,
        .forced_last = -1,
        .cascade = {.topk = 16,
                    .delta = 3,
                    .threshold = INFINITY,
                    .length_a = NAN,
                    .length_b = NAN,
                    .memory = (int64_t)1 << 30},
    };
}

void ksk_nbest_clear(ksk_nbest *nbest)
{
    for (int i = 0; i < nbest->count; i++)
        ksk_free(nbest->hypotheses[i].ids);
    ksk_free(nbest->hypotheses);
    *nbest = (ksk_nbest){0};
}

void ksk_nbest_rank(ksk_nbest *nbest, int most)
{
    for (int i = 1; i < nbest->count; i++) {
        const ksk_hypothesis item = nbest->hypotheses[i];
        int at = i;
        for (; at > 0 && nbest->hypotheses[at - 1].score < item.score; at--)
            nbest->hypotheses[at] = nbest->hypotheses[at - 1];
        nbest->hypotheses[at] = item;
    }
    while (nbest->count > most)
        ksk_free(nbest->hypotheses[--nbest->count].ids);
}

/* --- options --- */

static bool check_search(const ksk_decode_options *o, ksk_error *err)
{
    if (o->beams < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "beams is %d; it must be at least 1", o->beams);
    if (o->n_best < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "n_best is %d; it must be at least 1", o->n_best);
    if (o->at_once < 0 || o->at_once_tokens < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "at_once is %d and at_once_tokens %d; they must be 0 (all) or more",
                        o->at_once, o->at_once_tokens);
    if (!isfinite(o->length_penalty))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "length_penalty is not a finite number");
    if (o->early_stopping < KSK_STOP_HEURISTIC || o->early_stopping > KSK_STOP_NEVER)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "early_stopping is %d; there is no such rule",
                        (int)o->early_stopping);
    if (o->length_rule < KSK_LENGTH_WITH_END || o->length_rule > KSK_LENGTH_WITHOUT_END)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "length_rule is %d; there is no such rule",
                        (int)o->length_rule);
    return true;
}

static bool check_sampling(const ksk_decode_options *o, ksk_error *err)
{
    if (!(o->temperature >= 0) || isinf(o->temperature))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "temperature is %g; it must be above 0",
                        (double)o->temperature);
    if (o->top_k < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "top_k is %d; it must be 0 (all tokens) or the number of tokens to keep",
                        o->top_k);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "top_p is %g; it must be above 0 and at most 1",
                        (double)o->top_p);
    return true;
}

static bool check_lengths(const ksk_decode_options *o, int max_target, ksk_error *err)
{
    if (o->max_length < 0 || o->max_length > max_target)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "max_length is %d; the model takes 1 to %d tokens (0: its own limit)",
                        o->max_length, max_target);
    const int max_length = o->max_length ? o->max_length : max_target;
    if (o->min_length < 0 || o->min_length > max_length)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "min_length is %d; it must be 0 to max_length (%d)",
                        o->min_length, max_length);
    if (o->prefix_length < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "prefix_length is %d; it cannot be negative",
                        o->prefix_length);
    if (o->prefix_length >= max_length - 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "max_length %d leaves no room after the start token and %d of prefix",
                        max_length, o->prefix_length);
    return true;
}

/* Every id of a list must be a token of the vocabulary. */
static bool check_ids(const char *name, const int32_t *ids, int count, int vocabulary,
                      ksk_error *err)
{
    if (count < 0 || (count > 0 && !ids))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s has %d tokens but no list of them", name, count);
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "%s holds token %d; the vocabulary has %d", name,
                            (int)ids[i], vocabulary);
    return true;
}

static bool check_forced(const char *name, int id, int vocabulary, ksk_error *err)
{
    if (id < -1 || id >= vocabulary)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s is %d; the vocabulary has %d tokens (-1: none)",
                        name, id, vocabulary);
    return true;
}

static bool check_constraints(const ksk_decode_options *o, int vocabulary, ksk_error *err)
{
    if (o->no_repeat_ngram < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "no_repeat_ngram is %d; it must be 0 (off) or more",
                        o->no_repeat_ngram);
    if (!(o->repetition_penalty > 0) || isinf(o->repetition_penalty))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "repetition_penalty is %g; it must be above 0",
                        (double)o->repetition_penalty);
    if (o->processor_count < 0 || (o->processor_count > 0 && !o->processors))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "processor_count is %d but there are no processors",
                        o->processor_count);
    for (int i = 0; i < o->processor_count; i++)
        if (!o->processors[i].process)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "processors[%d] has no function", i);
    return check_ids("prefix", o->prefix, o->prefix_length, vocabulary, err) &&
           check_ids("banned", o->banned, o->banned_count, vocabulary, err) &&
           check_forced("forced_first", o->forced_first, vocabulary, err) &&
           check_forced("forced_last", o->forced_last, vocabulary, err);
}

bool ksk_options_check(const ksk_decode_options *options, int vocabulary, int max_target,
                       ksk_error *err)
{
    return check_search(options, err) && check_sampling(options, err) &&
           check_lengths(options, max_target, err) && check_constraints(options, vocabulary, err);
}

/* --- the job --- */

static bool rows_init(ksk_front *rows, size_t capacity, size_t max_length)
{
    rows->lengths = ksk_malloc(capacity * sizeof *rows->lengths);
    rows->ids = ksk_malloc(capacity * max_length * sizeof *rows->ids);
    rows->parents = ksk_malloc(capacity * sizeof *rows->parents);
    rows->tokens = ksk_malloc(capacity * sizeof *rows->tokens);
    rows->owners = ksk_malloc(capacity * sizeof *rows->owners);
    rows->log_probs = ksk_malloc(capacity * sizeof *rows->log_probs);
    return rows->lengths && rows->ids && rows->parents && rows->tokens && rows->owners &&
           rows->log_probs;
}

static void rows_free(ksk_front *rows)
{
    ksk_free(rows->lengths);
    ksk_free(rows->ids);
    ksk_free(rows->parents);
    ksk_free(rows->tokens);
    ksk_free(rows->owners);
    ksk_free(rows->log_probs);
}

static bool results_init(const ksk_request *request, int copies)
{
    for (int i = 0; i < request->sentences; i++) {
        request->results[i].hypotheses = ksk_calloc((size_t)copies, sizeof(ksk_hypothesis));
        if (!request->results[i].hypotheses)
            return false;
    }
    return true;
}

/* Most sentences that may run at the same time. */
static int at_once(const ksk_request *request)
{
    const int most = request->options->at_once;
    return most && most < request->sentences ? most : request->sentences;
}

/* A prompt of several tokens takes steps of its own, which those that run cannot wait for. */
static bool may_wait(const ksk_job *job)
{
    return job->request->scorer->join && job->prompt == 1;
}

static int64_t running_tokens(const ksk_job *job)
{
    int64_t tokens = 0;
    for (int row = 0, before = -1; row < job->now.count; row++) {
        const int sentence = job->now.owners[row] / job->copies;
        tokens += sentence != before ? job->request->lengths[sentence] : 0;
        before = sentence;
    }
    return tokens;
}

/* How many of the sentences that wait there is room for. */
static int may_begin(const ksk_job *job)
{
    const ksk_request *const request = job->request;
    const int limit = request->options->at_once_tokens, waiting = request->sentences - job->begun;
    const int room = at_once(request) - job->running;
    int64_t tokens = limit ? running_tokens(job) : 0;
    int count = 0;
    for (; count < waiting && count < room; count++) {
        tokens += request->lengths[job->begun + count];
        if (limit && tokens > limit && job->running + count > 0)
            break;
    }
    return count;
}

/* Gives the scorer the next `count` sentences. */
static bool begin(ksk_job *job, int count, ksk_error *err)
{
    const ksk_request *const request = job->request;
    ksk_l2r *const scorer = request->scorer;
    const int32_t *const *const sources = request->sources + job->begun;
    const int *const lengths = request->lengths + job->begun;
    if (job->begun == 0 ? !scorer->start(scorer, count, sources, lengths, err)
                        : !scorer->join(scorer, count, sources, lengths, err))
        return false;
    job->begun += count;
    job->running += count;
    return true;
}

bool ksk_job_begin(ksk_job *job, const ksk_request *request, int copies, const ksk_processor *last,
                   int last_count, ksk_error *err)
{
    const ksk_decode_options *const options = request->options;
    const ksk_l2r *const scorer = request->scorer;
    *job = (ksk_job){.request = request, .copies = copies};
    if (request->sentences < 0 || request->sentences > INT_MAX / copies)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%d sentences with %d hypotheses each are too many",
                        request->sentences, copies);
    job->max_length = options->max_length ? options->max_length : scorer->max_target;
    job->prompt = 1 + options->prefix_length;
    const int most = may_wait(job) ? at_once(request) : request->sentences;
    const size_t capacity = (size_t)most * (size_t)copies;
    if (!rows_init(&job->now, capacity, (size_t)job->max_length) ||
        !rows_init(&job->next, capacity, (size_t)job->max_length) || !results_init(request, copies))
        return ksk_fail_memory(err);
    job->chain = ksk_chain_new(scorer, options, last, last_count, err);
    if (!job->chain)
        return false;
    return request->sentences == 0 ||
           begin(job, may_wait(job) ? may_begin(job) : request->sentences, err);
}

bool ksk_job_end(ksk_job *job, bool ok)
{
    ksk_chain_free(job->chain);
    rows_free(&job->now);
    rows_free(&job->next);
    for (int i = 0; !ok && i < job->request->sentences; i++)
        ksk_nbest_clear(&job->request->results[i]);
    return ok;
}

static int32_t *ids_of(const ksk_job *job, const ksk_front *rows, int row)
{
    return rows->ids + (size_t)row * (size_t)job->max_length;
}

/* Puts a row with the first `length` tokens of the prompt behind those in `rows`. */
static void append_prompt(const ksk_job *job, ksk_front *rows, int length, int32_t parent,
                          int owner)
{
    const int row = rows->count++;
    int32_t *const ids = ids_of(job, rows, row);
    ids[0] = job->request->scorer->start_id;
    for (int i = 1; i < length; i++)
        ids[i] = job->request->options->prefix[i - 1];
    rows->lengths[row] = length;
    rows->parents[row] = parent;
    rows->tokens[row] = ids[length - 1];
    rows->owners[row] = owner;
    rows->log_probs[row] = 0;
}

/* Rows of sentence i, each with the first `length` tokens of the prompt. */
static void append_sentence(const ksk_job *job, ksk_front *rows, int i, int length, int wide)
{
    for (int c = 0; c < wide; c++)
        append_prompt(job, rows, length, length == 1 ? -1 - i : i, i * job->copies + c);
}

static void swap_fronts(ksk_job *job)
{
    const ksk_front old = job->now;
    job->now = job->next;
    job->next = old;
    job->next.count = 0;
}

bool ksk_job_prompt(ksk_job *job, int copies, ksk_error *err)
{
    job->wide = copies;
    for (int length = 1; length <= job->prompt; length++) {
        for (int i = 0; i < job->begun; i++)
            append_sentence(job, &job->next, i, length, length == job->prompt ? copies : 1);
        swap_fronts(job);
        float *ignored;
        if (length < job->prompt && job->now.count > 0 && !ksk_job_step(job, &ignored, err))
            return false;
    }
    return true;
}

bool ksk_in_time(const ksk_decode_options *options, ksk_error *err)
{
    return !(options->deadline > 0) || ksk_clock_now() < options->deadline ||
           ksk_fail(err, KSK_INTERRUPTED,
                    "decoding takes longer than the time limit; raise it, or lower max_length or "
                    "the number of hypotheses");
}

bool ksk_job_step(ksk_job *job, float **logits, ksk_error *err)
{
    ksk_l2r *const scorer = job->request->scorer;
    if (!ksk_in_time(job->request->options, err))
        return false;
    return scorer->step(scorer, job->now.count, job->now.parents, job->now.tokens, logits, err);
}

void ksk_job_process(const ksk_job *job, int row, float *values)
{
    const ksk_request *const request = job->request;
    const int sentence = job->now.owners[row] / job->copies;
    ksk_scores scores = {.ids = ids_of(job, &job->now, row),
                         .length = job->now.lengths[row],
                         .max_length = job->max_length,
                         .values = values,
                         .vocabulary = request->scorer->vocabulary,
                         .source = request->sources[sentence],
                         .source_length = request->lengths[sentence]};
    for (int i = 0; i < job->chain->count; i++)
        job->chain->steps[i].process(job->chain->steps[i].settings, &scores);
}

bool ksk_job_only_forbids(const ksk_job *job)
{
    return job->chain->only_forbids;
}

void ksk_job_fork(ksk_job *job, int row, int32_t token, double log_prob)
{
    const ksk_front *const now = &job->now;
    ksk_front *const next = &job->next;
    const int child = next->count++;
    int32_t *const ids = ids_of(job, next, child);
    const int length = now->lengths[row];
    memcpy(ids, ids_of(job, now, row), (size_t)length * sizeof *ids);
    ids[length] = token;
    next->lengths[child] = length + 1;
    next->parents[child] = row;
    next->tokens[child] = token;
    next->owners[child] = now->owners[row];
    next->log_probs[child] = log_prob;
}

/* Sentences of the old rows that have no row now. Both are in ascending order. */
static void leave(ksk_job *job, const ksk_front *old)
{
    ksk_l2r *const scorer = job->request->scorer;
    const int copies = job->copies;
    for (int row = 0, at = 0, before = -1; row < old->count; row++) {
        const int sentence = old->owners[row] / copies;
        if (sentence == before)
            continue;
        before = sentence;
        while (at < job->now.count && job->now.owners[at] / copies < sentence)
            at++;
        if (at < job->now.count && job->now.owners[at] / copies == sentence)
            continue;
        job->running--;
        if (scorer->leave)
            scorer->leave(scorer, sentence);
    }
}

/* Sentences begin some at a time, for encoding one costs nearly as much as encoding a few. */
static bool join(ksk_job *job, ksk_error *err)
{
    enum { share = 4 };
    const int first = job->begun, room = at_once(job->request) - job->running;
    const int count = room * share >= at_once(job->request) ? may_begin(job) : 0;
    if (count == 0)
        return true;
    if (!begin(job, count, err))
        return false;
    for (int i = first; i < job->begun; i++)
        append_sentence(job, &job->now, i, 1, job->wide);
    return true;
}

bool ksk_job_advance(ksk_job *job, ksk_error *err)
{
    const ksk_front old = job->now;
    swap_fronts(job);
    leave(job, &old);
    return job->begun == job->request->sentences || join(job, err);
}

bool ksk_job_ends(const ksk_job *job, int row, int32_t token)
{
    return token == job->request->scorer->end_id || job->now.lengths[row] + 1 >= job->max_length;
}

bool ksk_job_harvest(const ksk_job *job, int row, int32_t token, double log_prob, double score,
                     ksk_hypothesis *hypothesis, ksk_error *err)
{
    const int length = job->now.lengths[row]; /* the start token goes, `token` comes */
    int32_t *const ids = ksk_malloc((size_t)length * sizeof *ids);
    if (!ids)
        return ksk_fail_memory(err);
    memcpy(ids, ids_of(job, &job->now, row) + 1, (size_t)(length - 1) * sizeof *ids);
    ids[length - 1] = token;
    *hypothesis = (ksk_hypothesis){.ids = ids,
                                   .length = length,
                                   .log_prob = log_prob,
                                   .score = score,
                                   .finished = token == job->request->scorer->end_id};
    return true;
}

bool ksk_job_stuck(const ksk_job *job, int row, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_ARGUMENT,
                    "sentence %d: no token is left to choose at position %d; the constraints ban "
                    "all of them, or the model's scores are not finite",
                    job->now.owners[row] / job->copies, job->now.lengths[row]);
}
