#include "api/crew.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/narrow.h"
#include "base/clock.h"
#include "base/pool.h"
#include "kaskad/memory.h"

/* A scorer and the vocabulary that it was narrowed to. */
typedef struct seat {
    ksk_scorer scorer;
    ksk_narrow narrow;
} seat;

struct ksk_crew {
    const ksk_model *model;
    const ksk_decoder *decoder;
    const ksk_shortlist *shortlist; /* NULL: the whole vocabulary */
    int threads;
    seat together;  /* uses all threads */
    seat *apart;    /* [threads]: one thread each, made when first needed */
    ksk_pool *pool; /* runs those */
};

/* --- making -------------------------------------------------------------------------------------
 */

static bool open_seat(const ksk_crew *crew, int threads, seat *at, ksk_error *err)
{
    const ksk_model *model = crew->model;
    if (crew->decoder->decode_markov && !model->rules.block)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "the decoder '%s' needs a Markov Transformer; %s is of model_type '%s'",
                        crew->decoder->name, model->directory, model->type->name);
    if (crew->shortlist && !crew->decoder->decode_markov && model->rules.block)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "a Markov Transformer read from left to right takes no shortlist");
    const ksk_purpose purpose = ksk_scorer_purpose(crew->decoder, crew->shortlist);
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, purpose, err);
    return plans && ksk_scorer_open(&at->scorer, crew->decoder, plans, &model->rules, threads, err);
}

static void close_seat(seat *at)
{
    ksk_scorer_close(&at->scorer);
    ksk_narrow_clear(&at->narrow);
}

ksk_crew *ksk_crew_new(const ksk_model *model, const ksk_decoder *decoder,
                       const ksk_shortlist *shortlist, int threads, ksk_error *err)
{
    ksk_crew *crew = ksk_calloc(1, sizeof *crew);
    if (!crew) {
        ksk_fail_memory(err);
        return NULL;
    }
    *crew =
        (ksk_crew){.model = model, .decoder = decoder, .shortlist = shortlist, .threads = threads};
    if (open_seat(crew, threads, &crew->together, err))
        return crew;
    ksk_crew_free(crew);
    return NULL;
}

void ksk_crew_free(ksk_crew *crew)
{
    if (!crew)
        return;
    close_seat(&crew->together);
    for (int i = 0; crew->apart && i < crew->threads; i++)
        close_seat(&crew->apart[i]);
    ksk_pool_free(crew->pool);
    ksk_free(crew->apart);
    ksk_free(crew);
}

bool ksk_crew_check(ksk_crew *crew, const ksk_translate_options *options, ksk_error *err)
{
    return ksk_scorer_decode(&crew->together.scorer, 0, NULL, NULL, &options->decode, NULL, NULL,
                             err);
}

static bool call_apart(ksk_crew *crew, ksk_error *err)
{
    if (!crew->pool && !(crew->pool = ksk_pool_new(crew->threads, err)))
        return false;
    if (!crew->apart && !(crew->apart = ksk_calloc((size_t)crew->threads, sizeof *crew->apart)))
        return ksk_fail_memory(err);
    for (int i = 0; i < crew->threads; i++)
        if (!crew->apart[i].scorer.decoder && !open_seat(crew, 1, &crew->apart[i], err))
            return false;
    return true;
}

/* --- shares -------------------------------------------------------------------------------------
 */

/* Long units first: the last shares to end are then short ones. Equal ones in order. */
static int by_length(const void *a, const void *b)
{
    const ksk_unit *const x = *(ksk_unit *const *)a, *const y = *(ksk_unit *const *)b;
    if (x->count != y->count)
        return y->count - x->count;
    return (x->number > y->number) - (x->number < y->number);
}

/* One call of ksk_crew_decode. */
typedef struct work {
    ksk_crew *crew;
    ksk_decode_options options;
    double time_limit; /* of a source, in seconds; 0: none */
    ksk_unit **units;  /* in order of length */
    size_t *ends;      /* where each share ends */
    size_t shares;
    atomic_size_t next;
    atomic_size_t failed; /* the first share that did, or `shares` */
    ksk_error *errors;    /* one per thread */
    size_t *error_of;     /* the share that each is of */
} work;

/* A batch, which runs at once; or, where sources can join a batch, as much as leaves every thread a
 * second share to take when it is done early. A shortlist holds for a whole share, which is then
 * kept small; and behind a prefix none can join. */
static size_t share_size(const ksk_crew *crew, const ksk_translate_options *options, size_t count)
{
    const size_t batch = (size_t)options->batch_size, threads = (size_t)crew->threads;
    if (!crew->decoder->joins || crew->shortlist || options->decode.prefix_length > 0)
        return batch;
    const size_t shares = threads > 1 && count > batch ? 2 * threads : 1;
    const size_t size = (count + shares - 1) / shares;
    return size > batch ? size : batch;
}

static size_t share_end(const ksk_crew *crew, const ksk_translate_options *options,
                        ksk_unit *const *units, size_t count, size_t first)
{
    const size_t size = share_size(crew, options, count);
    if (size > (size_t)options->batch_size)
        return count - first < size ? count : first + size;
    int64_t tokens = 0;
    size_t end = first;
    while (end < count && end - first < size) {
        tokens += units[end]->count;
        if (end > first && options->batch_tokens && tokens > options->batch_tokens)
            break;
        end++;
    }
    return end;
}

typedef struct share {
    const int32_t **sources;
    int *lengths;
    uint64_t *numbers;
    ksk_nbest *results;
} share;

static bool decode_at(const work *w, seat *at, const share *b, int count, ksk_error *err)
{
    const ksk_crew *crew = w->crew;
    ksk_decode_options timed = w->options;
    const ksk_decode_options *const options = &timed;
    if (w->time_limit > 0)
        timed.deadline = ksk_clock_now() + w->time_limit * count;
    if (!crew->shortlist)
        return ksk_scorer_decode(&at->scorer, count, b->sources, b->lengths, options, b->numbers,
                                 b->results, err);
    if (!ksk_narrow_to(&at->narrow, crew->shortlist, &at->scorer, &crew->model->rules, count,
                       b->sources, b->lengths, options, err) ||
        !ksk_scorer_decode(&at->scorer, count, b->sources, b->lengths, &at->narrow.options,
                           b->numbers, b->results, err))
        return false;
    ksk_narrow_widen(&at->narrow, count, b->results);
    return true;
}

static bool decode_units(const work *w, seat *at, const share *b, ksk_unit *const *units,
                         size_t count, ksk_error *err)
{
    for (size_t i = 0; i < count; i++) {
        b->sources[i] = units[i]->ids;
        b->lengths[i] = units[i]->count;
        b->numbers[i] = units[i]->number;
        b->results[i] = (ksk_nbest){0};
    }
    const double began = ksk_clock_now();
    if (!decode_at(w, at, b, (int)count, err))
        return false;
    const double seconds = ksk_clock_now() - began;
    for (size_t i = 0; i < count; i++) {
        units[i]->result = b->results[i];
        units[i]->seconds = seconds;
    }
    return true;
}

static bool decode_share(const work *w, seat *at, size_t number, ksk_error *err)
{
    const size_t first = number ? w->ends[number - 1] : 0, count = w->ends[number] - first;
    share b = {ksk_calloc(count, sizeof *b.sources), ksk_calloc(count, sizeof *b.lengths),
               ksk_calloc(count, sizeof *b.numbers), ksk_calloc(count, sizeof *b.results)};
    const bool ok = ((b.sources && b.lengths && b.numbers && b.results) || ksk_fail_memory(err)) &&
                    decode_units(w, at, &b, w->units + first, count, err);
    ksk_free(b.sources);
    ksk_free(b.lengths);
    ksk_free(b.numbers);
    ksk_free(b.results);
    return ok;
}

/* --- sharing ------------------------------------------------------------------------------------
 */

static void note_failure(work *w, size_t number)
{
    size_t known = atomic_load(&w->failed);
    while (number < known && !atomic_compare_exchange_weak(&w->failed, &known, number))
        continue;
}

/* Takes shares until there are none, or one has failed. */
static void take_shares(void *context, int slice)
{
    work *w = context;
    while (atomic_load(&w->failed) == w->shares) {
        const size_t number = atomic_fetch_add(&w->next, 1);
        if (number >= w->shares)
            return;
        if (!decode_share(w, &w->crew->apart[slice], number, &w->errors[slice])) {
            w->error_of[slice] = number;
            note_failure(w, number);
        }
    }
}

static bool decode_apart(work *w, ksk_error *err)
{
    const size_t threads = (size_t)w->crew->threads;
    w->errors = ksk_calloc(threads, sizeof *w->errors);
    w->error_of = ksk_calloc(threads, sizeof *w->error_of);
    bool ok = (w->errors && w->error_of) || ksk_fail_memory(err);
    if (ok) {
        atomic_store(&w->failed, w->shares);
        ksk_pool_run(w->crew->pool, w->crew->threads, take_shares, w);
        ok = atomic_load(&w->failed) == w->shares;
    }
    for (size_t i = 0; !ok && w->errors && w->error_of && i < threads; i++)
        if (w->errors[i].status != KSK_OK && w->error_of[i] == atomic_load(&w->failed))
            ksk_fail(err, w->errors[i].status, "%s", w->errors[i].message);
    ksk_free(w->errors);
    ksk_free(w->error_of);
    return ok;
}

static bool decode_together(const work *w, ksk_error *err)
{
    for (size_t i = 0; i < w->shares; i++)
        if (!decode_share(w, &w->crew->together, i, err))
            return false;
    return true;
}

bool ksk_crew_decode(ksk_crew *crew, const ksk_translate_options *options, size_t count,
                     ksk_unit *const *units, ksk_error *err)
{
    work w = {.crew = crew, .options = options->decode, .time_limit = options->time_limit};
    w.options.at_once = options->batch_size;
    w.options.at_once_tokens = options->batch_tokens;
    w.units = ksk_calloc(count + 1, sizeof *w.units);
    w.ends = ksk_calloc(count + 1, sizeof *w.ends);
    bool ok = (w.units && w.ends) || ksk_fail_memory(err);
    if (ok && count) {
        memcpy(w.units, units, count * sizeof *w.units);
        qsort(w.units, count, sizeof *w.units, by_length);
        for (size_t first = 0; first < count; first = w.ends[w.shares - 1]) {
            const size_t end = share_end(crew, options, w.units, count, first);
            w.ends[w.shares++] = end;
        }
        if (crew->threads > 1 && w.shares >= (size_t)crew->threads)
            ok = call_apart(crew, err) && decode_apart(&w, err);
        else
            ok = decode_together(&w, err);
    }
    ksk_free(w.units);
    ksk_free(w.ends);
    return ok;
}
