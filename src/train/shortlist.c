/* Learning a shortlist: the lexicon's likeliest entries, and the tokens that are frequent anyway.
 */
#include "kaskad/shortlist.h"

#include <stdlib.h>

#include "api/model.h"
#include "base/clock.h"
#include "data/lexicon.h"
#include "kaskad/memory.h"
#include "text/shortlist.h"

/* Less likely entries do not come among a token's best, nor do they change those. */
static const float least_probability = 1e-6f;

typedef struct job {
    const ksk_model *model;
    const ksk_shortlist_options *options;
    ksk_shortlist_scope scope;
    ksk_pairs pairs;
    ksk_lexicon lexicon;
    bool *is_always;     /* [target_size] */
    int32_t *always;     /* [always_count] */
    uint32_t *offsets;   /* [source_size + 1] */
    int32_t *candidates; /* [offsets[source_size]] */
    size_t always_count, candidate_capacity;
    double began;
} job;

ksk_shortlist_options ksk_shortlist_defaults(void)
{
    return (ksk_shortlist_options){.per_token = 50, .frequent = 100, .iterations = 3};
}

static bool show(const job *j, const char *stage, int done)
{
    const ksk_shortlist_progress progress = {.stage = stage,
                                             .done = done,
                                             .iterations = j->options->iterations,
                                             .seconds = ksk_clock_now() - j->began};
    return !j->options->watch || j->options->watch(j->options->context, &progress);
}

static bool enter(const job *j, const char *stage, ksk_error *err)
{
    return show(j, stage, 0) || ksk_fail(err, KSK_INTERRUPTED, "stopped before %s", stage);
}

static bool show_iteration(void *context, int done)
{
    return show(context, "learning", done);
}

/* --- the data -----------------------------------------------------------------------------------
 */

static bool read_pairs(const job *j, const char *source, const char *target, int64_t limit,
                       ksk_pairs *pairs, ksk_error *err)
{
    const ksk_sequence_rules *const rules = &j->model->rules;
    const int longest =
        rules->max_source < rules->max_target ? rules->max_source : rules->max_target;
    ksk_corpus corpus = {0};
    const bool ok = ksk_corpus_read(source, target, limit, &corpus, err) &&
                    ksk_pairs_encode(&corpus, j->model->tokenizer, longest, pairs, err);
    ksk_corpus_clear(&corpus);
    return ok;
}

static bool check(const ksk_shortlist_options *o, ksk_error *err)
{
    if (!o->data == !(o->source && o->target) || !o->source != !o->target)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "a shortlist needs either a file of pairs or one of sources and one of "
                        "targets");
    if (o->per_token < 1 || o->frequent < 0 || o->iterations < 1 || o->limit < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "per_token is %d, frequent %d, iterations %d and limit %lld; at least 1, "
                        "0, 1 and 0",
                        o->per_token, o->frequent, o->iterations, (long long)o->limit);
    return true;
}

static bool learn(job *j, ksk_error *err)
{
    const ksk_shortlist_options *const o = j->options;
    const ksk_lexicon_options how = {.source_size = j->scope.source_size,
                                     .target_size = j->scope.target_size,
                                     .iterations = o->iterations,
                                     .least = least_probability,
                                     .watch = show_iteration,
                                     .context = j};
    return enter(j, "reading", err) &&
           read_pairs(j, o->data ? o->data : o->source, o->data ? NULL : o->target, o->limit,
                      &j->pairs, err) &&
           enter(j, "learning", err) && ksk_lexicon_learn(&j->pairs, &how, &j->lexicon, err);
}

/* --- the tokens that every list has -------------------------------------------------------------
 */

typedef struct frequency {
    int32_t id;
    int64_t count;
} frequency;

static int by_count(const void *a, const void *b)
{
    const frequency *const x = a, *const y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : (x->id > y->id) - (x->id < y->id);
}

static void count_targets(const ksk_pairs *pairs, frequency *frequencies, int size)
{
    for (int32_t id = 0; id < size; id++)
        frequencies[id] = (frequency){.id = id};
    for (size_t i = 0; i < pairs->count; i++)
        for (int k = 0; k < pairs->pairs[i].target_length - 1; k++)
            frequencies[pairs->ids[pairs->pairs[i].target + (size_t)k]].count++;
}

static bool choose_always(job *j, ksk_error *err)
{
    const int size = j->scope.target_size;
    frequency *frequencies = ksk_calloc((size_t)size, sizeof *frequencies);
    j->is_always = ksk_calloc((size_t)size, sizeof *j->is_always);
    j->always = ksk_calloc((size_t)size, sizeof *j->always);
    const bool ok = (frequencies && j->is_always && j->always) || ksk_fail_memory(err);
    if (ok) {
        count_targets(&j->pairs, frequencies, size);
        qsort(frequencies, (size_t)size, sizeof *frequencies, by_count);
        j->is_always[j->model->rules.end_id] = true;
    }
    for (int i = 0; ok && i < size && i < j->options->frequent && frequencies[i].count; i++)
        j->is_always[frequencies[i].id] = true;
    for (int32_t id = 0; ok && id < size; id++)
        if (j->is_always[id])
            j->always[j->always_count++] = id;
    ksk_free(frequencies);
    return ok;
}

/* --- candidates ---------------------------------------------------------------------------------
 */

static int by_probability(const void *a, const void *b)
{
    const ksk_lexicon_entry *const x = a, *const y = b;
    return x->probability != y->probability
               ? (x->probability < y->probability) - (x->probability > y->probability)
               : (x->target > y->target) - (x->target < y->target);
}

static int by_id(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The best entries of a source token, which are sorted, into `chosen` [per_token + 1]. */
static size_t choose(job *j, int32_t source, int32_t *chosen)
{
    const size_t most = (size_t)j->options->per_token, first = j->lexicon.offsets[source];
    const size_t entries = j->lexicon.offsets[source + 1] - first;
    bool itself = !ksk_tokenizer_is_joint(j->model->tokenizer) || j->is_always[source];
    size_t count = 0;
    if (entries)
        qsort(j->lexicon.entries + first, entries, sizeof *j->lexicon.entries, by_probability);
    for (size_t i = 0; i < entries && count < most; i++) {
        const int32_t target = j->lexicon.entries[first + i].target;
        itself = itself || target == source;
        if (!j->is_always[target])
            chosen[count++] = target;
    }
    if (!itself)
        chosen[count++] = source;
    qsort(chosen, count, sizeof *chosen, by_id);
    return count;
}

static bool choose_candidates(job *j, ksk_error *err)
{
    const size_t most = (size_t)j->options->per_token + 1;
    j->offsets = ksk_calloc((size_t)j->scope.source_size + 1, sizeof *j->offsets);
    if (!j->offsets)
        return ksk_fail_memory(err);
    for (int32_t s = 0; s < j->scope.source_size; s++) {
        const size_t at = j->offsets[s];
        if (at + most > UINT32_MAX)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "a shortlist has no room for %zu candidates",
                            at + most);
        if (!ksk_grow(&j->candidates, &j->candidate_capacity, at + most, sizeof *j->candidates))
            return ksk_fail_memory(err);
        j->offsets[s + 1] = (uint32_t)(at + choose(j, s, j->candidates + at));
    }
    return true;
}

static ksk_shortlist *make(job *j, ksk_error *err)
{
    if (!choose_always(j, err) || !choose_candidates(j, err))
        return NULL;
    const ksk_shortlist_lists lists = {.scope = j->scope,
                                       .always = j->always,
                                       .always_count = j->always_count,
                                       .offsets = j->offsets,
                                       .candidates = j->candidates};
    return ksk_shortlist_new(&lists, err);
}

/* --- coverage -----------------------------------------------------------------------------------
 */

static bool measure_pair(const ksk_shortlist *shortlist, const ksk_pairs *pairs, size_t number,
                         ksk_selection *selection, ksk_shortlist_result *r, ksk_error *err)
{
    const ksk_pair *const pair = &pairs->pairs[number];
    const int32_t *const targets = pairs->ids + pair->target;
    int covered = 0;
    if (!ksk_shortlist_select(shortlist, pairs->ids + pair->source, (size_t)pair->source_length,
                              selection, err))
        return false;
    for (int k = 0; k < pair->target_length - 1; k++)
        covered += ksk_selection_has(selection, targets[k]);
    r->tokens += pair->target_length - 1;
    r->covered += covered;
    r->whole += covered == pair->target_length - 1;
    r->mean_list += (double)selection->count / (double)pairs->count;
    return true;
}

static bool measure(const job *j, const ksk_shortlist *shortlist, ksk_shortlist_result *r,
                    ksk_error *err)
{
    ksk_pairs dev = {0};
    ksk_selection selection = {0};
    if (!j->options->dev)
        return true;
    bool ok = enter(j, "measuring", err) && read_pairs(j, j->options->dev, NULL, 0, &dev, err);
    for (size_t i = 0; ok && i < dev.count; i++)
        ok = measure_pair(shortlist, &dev, i, &selection, r, err);
    r->sentences = (int64_t)dev.count;
    ksk_selection_clear(&selection);
    ksk_pairs_clear(&dev);
    return ok;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static void clear(job *j)
{
    ksk_pairs_clear(&j->pairs);
    ksk_lexicon_clear(&j->lexicon);
    ksk_free(j->is_always);
    ksk_free(j->always);
    ksk_free(j->offsets);
    ksk_free(j->candidates);
}

bool ksk_shortlist_learn(const ksk_model *model, const ksk_shortlist_options *options,
                         const char *out, ksk_shortlist_result *result, ksk_error *err)
{
    job j = {.model = model,
             .options = options,
             .scope = {.source_size = model->rules.source_vocabulary,
                       .target_size = model->rules.vocabulary,
                       .tokenizer = ksk_tokenizer_fingerprint(model->tokenizer)},
             .began = ksk_clock_now()};
    ksk_shortlist_result ignored;
    ksk_shortlist_result *const r = result ? result : &ignored;
    *r = (ksk_shortlist_result){0};
    ksk_shortlist *const shortlist = check(options, err) && learn(&j, err) ? make(&j, err) : NULL;
    const bool ok =
        shortlist && measure(&j, shortlist, r, err) && ksk_shortlist_save(shortlist, out, err);
    if (ok) {
        r->pairs = (int64_t)j.pairs.count;
        r->left_out = (int64_t)j.pairs.left_out;
        r->always = (int64_t)j.always_count;
        r->candidates = j.offsets[j.scope.source_size];
        r->bytes = (int64_t)ksk_shortlist_size(shortlist);
        r->seconds = ksk_clock_now() - j.began;
    }
    ksk_shortlist_free(shortlist);
    clear(&j);
    return ok;
}
