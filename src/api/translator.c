/* Lines to translations: cut into pieces, packed into batches of alike lengths, decoded, and put
 * together again in order. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/model.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "text/sentences.h"

struct ksk_translator {
    const ksk_model *model;
    const ksk_decoder *decoder;
    ksk_translate_options options;
    ksk_l2r *scorer;
    ksk_workspace *workspace; /* for scoring, made when first needed */
    uint64_t lines;           /* translated so far */
};

ksk_translate_options ksk_translate_defaults(const ksk_model *model)
{
    return (ksk_translate_options){.decode = model->decode, .batch_size = 32};
}

/* --- making -------------------------------------------------------------------------------------
 */

static int processors(void)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 64 ? 64 : (int)count;
}

static bool choose_decoder(ksk_translator *translator, ksk_error *err)
{
    const ksk_translate_options *options = &translator->options;
    const char *name = options->decoder            ? options->decoder
                       : options->decode.beams > 1 ? "beam"
                                                   : "greedy";
    translator->decoder = ksk_decoder_find(name);
    if (translator->decoder)
        return true;
    ksk_string known = {0};
    for (int i = 0; ksk_decoder_at(i); i++)
        ksk_string_add(&known, "%s%s", i ? ", " : "", ksk_decoder_at(i)->name);
    char *list = ksk_string_take(&known);
    ksk_fail(err, KSK_BAD_ARGUMENT, "there is no decoder '%s'; known are: %s", name,
             list ? list : "");
    ksk_free(list);
    return false;
}

static bool check_options(const ksk_translate_options *options, ksk_error *err)
{
    if (options->batch_size < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "batch_size %d: expected at least 1",
                        options->batch_size);
    if (options->batch_tokens < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "batch_tokens %d: expected 0 (no limit) or more",
                        options->batch_tokens);
    return true;
}

ksk_translator *ksk_translator_new(const ksk_model *model, const ksk_translate_options *options,
                                   ksk_error *err)
{
    ksk_translator *translator = ksk_calloc(1, sizeof *translator);
    if (!translator) {
        ksk_fail_memory(err);
        return NULL;
    }
    translator->model = model;
    translator->options = options ? *options : ksk_translate_defaults(model);
    if (translator->options.threads == 0)
        translator->options.threads = processors();
    const ksk_seq2seq_plans *plans =
        check_options(&translator->options, err) && choose_decoder(translator, err)
            ? ksk_model_plans(model, KSK_TO_GENERATE, err)
            : NULL;
    if (plans)
        translator->scorer =
            ksk_seq2seq_scorer_new(plans, &model->rules, translator->options.threads, err);
    /* Decoding nothing checks the options, here rather than at the first line. */
    if (translator->scorer &&
        translator->decoder->decode(translator->scorer, 0, NULL, NULL, &translator->options.decode,
                                    NULL, NULL, err))
        return translator;
    ksk_translator_free(translator);
    return NULL;
}

void ksk_translator_free(ksk_translator *translator)
{
    if (!translator)
        return;
    if (translator->scorer)
        translator->scorer->free(translator->scorer);
    ksk_workspace_free(translator->workspace);
    ksk_free(translator);
}

void ksk_translation_clear(ksk_translation *translation)
{
    for (int i = 0; i < translation->count; i++) {
        ksk_free(translation->alternatives[i].text);
        ksk_free(translation->alternatives[i].ids);
    }
    ksk_free(translation->alternatives);
    ksk_free(translation->source_ids);
    *translation = (ksk_translation){.text = NULL};
}

/* --- pieces -------------------------------------------------------------------------------------
 */

/* What is decoded at once: a line, one of its sentences, or a part of a sentence that is too long.
 */
typedef struct piece {
    int line;
    uint64_t number; /* in the whole job */
    ksk_span span;   /* in the line */
    int32_t *ids;
    int count;
    ksk_nbest result;
    double seconds; /* of its batch */
} piece;

/* One call of ksk_translate. */
typedef struct job {
    ksk_translator *translator;
    const char *const *lines;
    piece *pieces;
    size_t count, room;
    ksk_error *err;
} job;

/* Random numbers follow (line, piece); no line has more pieces than this. */
enum { most_pieces = 1 << 20 };

static bool add_piece(job *j, int line, int part, ksk_span span)
{
    if (part >= most_pieces)
        return ksk_fail(j->err, KSK_BAD_ARGUMENT, "line %d has more than %d pieces", line + 1,
                        most_pieces);
    if (!ksk_grow(&j->pieces, &j->room, j->count + 1, sizeof *j->pieces))
        return ksk_fail_memory(j->err);
    j->pieces[j->count++] =
        (piece){.line = line,
                .number = (j->translator->lines + (uint64_t)line) * most_pieces + (uint64_t)part,
                .span = span};
    return true;
}

static bool encode(job *j, piece *p, int *replaced)
{
    ksk_ids ids = {0};
    const bool ok = ksk_tokenizer_encode_source(
        j->translator->model->tokenizer, j->lines[p->line] + p->span.begin,
        p->span.end - p->span.begin, &ids, replaced, j->err);
    p->ids = ids.ids;
    p->count = (int)ids.count;
    return ok;
}

/* The piece as it is, or cut to what the model takes. */
static bool fit_piece(job *j, int line, int *part, ksk_span span)
{
    const ksk_model *model = j->translator->model;
    const int most = model->rules.max_source;
    ksk_ids ids = {0};
    ksk_spans cuts = {0};
    const char *text = j->lines[line] + span.begin;
    bool ok = ksk_tokenizer_encode_source(model->tokenizer, text, span.end - span.begin, &ids, NULL,
                                          j->err);
    const bool fits = (int64_t)ids.count <= most;
    ksk_free(ids.ids);
    if (ok && fits)
        return add_piece(j, line, (*part)++, span);
    if (ok && j->translator->options.long_lines == KSK_LONG_ERROR)
        return ksk_fail(
            j->err, KSK_BAD_ARGUMENT,
            "line %d of the batch has %zu tokens, the model takes %d; translate it with "
            "long lines split",
            line + 1, ids.count, most);
    ok = ok && ksk_sentences_cut(model->tokenizer, text, span.end - span.begin, (size_t)most, &cuts,
                                 j->err);
    for (size_t i = 0; ok && i < cuts.count; i++)
        ok =
            add_piece(j, line, (*part)++,
                      (ksk_span){span.begin + cuts.spans[i].begin, span.begin + cuts.spans[i].end});
    ksk_free(cuts.spans);
    return ok;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static bool cut_line(job *j, int line)
{
    const char *text = j->lines[line];
    const size_t length = strlen(text);
    int part = 0;
    if (is_blank(text))
        return true;
    if (!j->translator->options.split_sentences)
        return fit_piece(j, line, &part, (ksk_span){0, length});
    ksk_spans sentences = {0};
    bool ok = ksk_sentences_split(text, length, &sentences, j->err);
    for (size_t i = 0; ok && i < sentences.count; i++)
        ok = fit_piece(j, line, &part, sentences.spans[i]);
    ksk_free(sentences.spans);
    return ok;
}

/* --- batches ------------------------------------------------------------------------------------
 */

/* Long pieces first; equal ones in order. */
static int by_length(const void *a, const void *b)
{
    const piece *const x = *(piece *const *)a, *const y = *(piece *const *)b;
    if (x->count != y->count)
        return y->count - x->count;
    return (x->number > y->number) - (x->number < y->number);
}

static int batch_end(const job *j, piece *const *order, int first)
{
    const ksk_translate_options *options = &j->translator->options;
    int64_t tokens = 0;
    int end = first;
    while (end < (int)j->count && end - first < options->batch_size) {
        tokens += order[end]->count;
        if (end > first && options->batch_tokens && tokens > options->batch_tokens)
            break;
        end++;
    }
    return end;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct batch {
    const int32_t **sources;
    int *lengths;
    uint64_t *numbers;
    ksk_nbest *results;
} batch;

static bool decode_batch(job *j, const batch *b, piece **pieces, int count)
{
    ksk_translator *t = j->translator;
    for (int i = 0; i < count; i++) {
        b->sources[i] = pieces[i]->ids;
        b->lengths[i] = pieces[i]->count;
        b->numbers[i] = pieces[i]->number;
        b->results[i] = (ksk_nbest){0};
    }
    const double began = now();
    if (!t->decoder->decode(t->scorer, count, b->sources, b->lengths, &t->options.decode,
                            b->numbers, b->results, j->err))
        return false;
    for (int i = 0; i < count; i++) {
        pieces[i]->result = b->results[i];
        pieces[i]->seconds = now() - began;
    }
    return true;
}

static bool decode_pieces(job *j)
{
    const size_t most = (size_t)j->translator->options.batch_size < j->count
                            ? (size_t)j->translator->options.batch_size
                            : j->count;
    piece **order = ksk_calloc(j->count + 1, sizeof *order);
    batch b = {ksk_calloc(most + 1, sizeof *b.sources), ksk_calloc(most + 1, sizeof *b.lengths),
               ksk_calloc(most + 1, sizeof *b.numbers), ksk_calloc(most + 1, sizeof *b.results)};
    bool ok =
        (order && b.sources && b.lengths && b.numbers && b.results) || ksk_fail_memory(j->err);
    for (size_t i = 0; ok && i < j->count; i++)
        order[i] = &j->pieces[i];
    if (ok)
        qsort(order, j->count, sizeof *order, by_length);
    for (int first = 0, end; ok && first < (int)j->count; first = end) {
        end = batch_end(j, order, first);
        ok = decode_batch(j, &b, order + first, end - first);
    }
    ksk_free(order);
    ksk_free(b.sources);
    ksk_free(b.lengths);
    ksk_free(b.numbers);
    ksk_free(b.results);
    return ok;
}

/* --- putting together ---------------------------------------------------------------------------
 */

/* The k-th hypothesis, or the last where a piece has fewer. */
static const ksk_hypothesis *hypothesis(const piece *p, int k)
{
    return &p->result.hypotheses[k < p->result.count ? k : p->result.count - 1];
}

static int most_alternatives(const piece *pieces, size_t count)
{
    int most = 0;
    for (size_t i = 0; i < count; i++)
        most = pieces[i].result.count > most ? pieces[i].result.count : most;
    return most;
}

static void add_gap(ksk_string *text, const char *gap, size_t length)
{
    if (length)
        ksk_string_add(text, "%.*s", (int)length, gap);
}

/* What stands between two pieces of the line, so that it comes back between their translations. The
 * parts of a long sentence keep their white space at their end, where translating drops it. */
static void add_between(ksk_string *text, const char *line, const piece *a, const piece *b)
{
    size_t from = a->span.end;
    while (from > a->span.begin && strchr(" \t", line[from - 1]))
        from--;
    add_gap(text, line + from, b->span.begin - from);
}

static bool join_text(const job *j, const piece *pieces, size_t count, int k,
                      ksk_alternative *alternative)
{
    ksk_string text = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        const ksk_hypothesis *h = hypothesis(&pieces[i], k);
        if (i)
            add_between(&text, j->lines[pieces[i].line], &pieces[i - 1], &pieces[i]);
        char *part = ksk_tokenizer_decode(j->translator->model->tokenizer, h->ids,
                                          (size_t)h->length, j->err);
        ok = part != NULL;
        if (part && *part)
            ksk_string_add(&text, "%s", part);
        ksk_free(part);
    }
    alternative->text = ksk_string_take(&text);
    return ok && (alternative->text || ksk_fail_memory(j->err));
}

static bool join_ids(const job *j, const piece *pieces, size_t count, int k,
                     ksk_alternative *alternative)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)hypothesis(&pieces[i], k)->length;
    alternative->ids = ksk_malloc(total * sizeof *alternative->ids);
    if (!alternative->ids)
        return ksk_fail_memory(j->err);
    alternative->finished = true;
    for (size_t i = 0; i < count; i++) {
        const ksk_hypothesis *h = hypothesis(&pieces[i], k);
        memcpy(alternative->ids + alternative->id_count, h->ids,
               (size_t)h->length * sizeof *h->ids);
        alternative->id_count += h->length;
        alternative->log_prob += h->log_prob;
        alternative->score += h->score;
        alternative->finished &= h->finished;
    }
    return true;
}

static bool join_sources(const job *j, const piece *pieces, size_t count,
                         ksk_translation *translation)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)pieces[i].count;
    translation->source_ids = ksk_malloc(total * sizeof *translation->source_ids);
    if (!translation->source_ids)
        return ksk_fail_memory(j->err);
    for (size_t i = 0; i < count; i++) {
        memcpy(translation->source_ids + translation->source_id_count, pieces[i].ids,
               (size_t)pieces[i].count * sizeof *pieces[i].ids);
        translation->source_id_count += pieces[i].count;
        if (pieces[i].seconds > translation->seconds)
            translation->seconds = pieces[i].seconds;
    }
    return true;
}

static bool empty_translation(const job *j, ksk_translation *translation)
{
    translation->alternatives = ksk_calloc(1, sizeof *translation->alternatives);
    if (!translation->alternatives)
        return ksk_fail_memory(j->err);
    translation->count = 1;
    translation->alternatives[0].finished = true;
    translation->alternatives[0].text = ksk_strdup("");
    translation->text = translation->alternatives[0].text;
    return translation->text || ksk_fail_memory(j->err);
}

static bool assemble(const job *j, const piece *pieces, size_t count, ksk_translation *translation)
{
    if (count == 0)
        return empty_translation(j, translation);
    const int alternatives = most_alternatives(pieces, count);
    translation->alternatives = ksk_calloc((size_t)alternatives, sizeof *translation->alternatives);
    if (!translation->alternatives)
        return ksk_fail_memory(j->err);
    translation->count = alternatives;
    for (int k = 0; k < alternatives; k++)
        if (!join_text(j, pieces, count, k, &translation->alternatives[k]) ||
            !join_ids(j, pieces, count, k, &translation->alternatives[k]))
            return false;
    translation->text = translation->alternatives[0].text;
    return join_sources(j, pieces, count, translation);
}

static bool assemble_lines(const job *j, int count, ksk_translation *translations)
{
    size_t at = 0;
    for (int line = 0; line < count; line++) {
        const size_t first = at;
        while (at < j->count && j->pieces[at].line == line)
            at++;
        if (!assemble(j, j->pieces + first, at - first, &translations[line]))
            return false;
    }
    return true;
}

/* --- translating --------------------------------------------------------------------------------
 */

static void free_pieces(job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        ksk_free(j->pieces[i].ids);
        ksk_nbest_clear(&j->pieces[i].result);
    }
    ksk_free(j->pieces);
}

bool ksk_translate(ksk_translator *translator, int count, const char *const *lines,
                   ksk_translation *translations, ksk_error *err)
{
    job j = {.translator = translator, .lines = lines, .err = err};
    bool ok = true;
    for (int i = 0; i < count; i++)
        ksk_translation_clear(&translations[i]);
    for (int i = 0; ok && i < count; i++)
        ok = cut_line(&j, i);
    for (size_t i = 0; ok && i < j.count; i++) {
        int replaced = 0;
        ok = encode(&j, &j.pieces[i], &replaced);
        translations[j.pieces[i].line].replaced_bytes += replaced;
    }
    ok = ok && decode_pieces(&j) && assemble_lines(&j, count, translations);
    free_pieces(&j);
    for (int i = 0; !ok && i < count; i++)
        ksk_translation_clear(&translations[i]);
    translator->lines += ok ? (uint64_t)count : 0;
    return ok;
}

/* --- scoring ------------------------------------------------------------------------------------
 */

typedef struct pairs {
    ksk_ids *sources, *targets;
    const int32_t **source_ids, **target_ids;
    int *source_lengths, *target_lengths;
} pairs;

static bool encode_pairs(const ksk_tokenizer *tokenizer, pairs *p, int count,
                         const char *const *sources, const char *const *targets, ksk_error *err)
{
    for (int i = 0; i < count; i++) {
        if (!ksk_tokenizer_encode_source(tokenizer, sources[i], strlen(sources[i]), &p->sources[i],
                                         NULL, err) ||
            !ksk_tokenizer_encode_target(tokenizer, targets[i], strlen(targets[i]), &p->targets[i],
                                         NULL, err))
            return false;
        p->source_ids[i] = p->sources[i].ids;
        p->source_lengths[i] = (int)p->sources[i].count;
        p->target_ids[i] = p->targets[i].ids;
        p->target_lengths[i] = (int)p->targets[i].count;
    }
    return true;
}

/* Sums in order, in double precision. */
static void sum_up(const pairs *p, int count, const float *rows, double *log_probs, int *tokens)
{
    for (int i = 0; i < count; i++) {
        log_probs[i] = 0;
        for (int j = 0; j < p->target_lengths[i]; j++)
            log_probs[i] += *rows++;
        if (tokens)
            tokens[i] = p->target_lengths[i];
    }
}

static bool score_pairs(ksk_translator *translator, const pairs *p, int count, double *log_probs,
                        int *tokens, ksk_error *err)
{
    const ksk_model *model = translator->model;
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, KSK_TO_SCORE, err);
    if (plans && !translator->workspace)
        translator->workspace = ksk_workspace_new(translator->options.threads, err);
    if (!plans || !translator->workspace)
        return false;
    size_t rows = 0;
    for (int i = 0; i < count; i++)
        rows += (size_t)p->target_lengths[i];
    float *values = ksk_malloc((rows + 1) * sizeof *values);
    if (!values)
        return ksk_fail_memory(err);
    const bool ok =
        ksk_seq2seq_score(plans, &model->rules, translator->workspace, count, p->source_ids,
                          p->source_lengths, p->target_ids, p->target_lengths, values, err);
    if (ok)
        sum_up(p, count, values, log_probs, tokens);
    ksk_free(values);
    return ok;
}

bool ksk_score(ksk_translator *translator, int count, const char *const *sources,
               const char *const *targets, double *log_probs, int *tokens, ksk_error *err)
{
    const size_t n = (size_t)count + 1;
    pairs p = {ksk_calloc(n, sizeof *p.sources),        ksk_calloc(n, sizeof *p.targets),
               ksk_calloc(n, sizeof *p.source_ids),     ksk_calloc(n, sizeof *p.target_ids),
               ksk_calloc(n, sizeof *p.source_lengths), ksk_calloc(n, sizeof *p.target_lengths)};
    bool ok = (p.sources && p.targets && p.source_ids && p.target_ids && p.source_lengths &&
               p.target_lengths) ||
              ksk_fail_memory(err);
    ok = ok && encode_pairs(translator->model->tokenizer, &p, count, sources, targets, err) &&
         score_pairs(translator, &p, count, log_probs, tokens, err);
    for (int i = 0; p.sources && p.targets && i < count; i++) {
        ksk_free(p.sources[i].ids);
        ksk_free(p.targets[i].ids);
    }
    ksk_free(p.sources);
    ksk_free(p.targets);
    ksk_free(p.source_ids);
    ksk_free(p.target_ids);
    ksk_free(p.source_lengths);
    ksk_free(p.target_lengths);
    return ok;
}
