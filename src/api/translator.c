/* Lines to translations: cut into pieces, packed into batches of alike lengths, decoded, and put
 * together again in order. */
#include <string.h>
#include <unistd.h>

#include "api/need.h"
#include "api/translator.h"
#include "base/ledger.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "kaskad/sink.h"
#include "text/sentences.h"

ksk_translate_options ksk_translate_defaults(const ksk_model *model)
{
    return (ksk_translate_options){
        .decode = model->decode, .batch_size = 32, .line_limit = 1 << 20};
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
    const char *name = options->decoder                     ? options->decoder
                       : translator->model->rules.block > 1 ? "cascade"
                       : options->decode.beams > 1          ? "beam"
                                                            : "greedy";
    const ksk_decoder *const decoder = translator->decoder = ksk_decoder_find(name);
    if (decoder && options->decode.argument && !decoder->takes)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "the decoder '%s' takes no argument, but got '%s'",
                        name, options->decode.argument);
    if (decoder)
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

/* Random numbers follow (line, piece), and so do tokens; no line has more pieces than this. */
enum { most_pieces = 1 << 20 };

static bool pass_token(void *context, const ksk_token_view *view)
{
    const ksk_translator *const translator = context;
    const ksk_translate_options *const options = &translator->options;
    const ksk_token token = {.line = (int)(view->number / most_pieces - translator->lines),
                             .piece = (int)(view->number % most_pieces),
                             .sample = view->copy,
                             .id = view->id,
                             .last = view->last};
    return options->on_token(options->context, &token);
}

static bool watch_tokens(ksk_translator *translator, ksk_error *err)
{
    ksk_translate_options *const options = &translator->options;
    if (!options->on_token)
        return true;
    if (!translator->decoder->streams)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "on_token: the decoder '%s' does not choose one token after the other; "
                        "greedy and sample do",
                        translator->decoder->name);
    translator->watcher = (ksk_token_watcher){pass_token, translator};
    options->decode.watcher = &translator->watcher;
    return true;
}

static bool check_options(const ksk_translate_options *options, ksk_error *err)
{
    if (options->batch_size < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "batch_size %d: expected at least 1",
                        options->batch_size);
    if (options->batch_tokens < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "batch_tokens %d: expected 0 (no limit) or more",
                        options->batch_tokens);
    if (options->memory_limit < 0 || options->line_limit < 0 || !(options->time_limit >= 0))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "memory_limit, line_limit and time_limit are 0 (no limit) or more");
    return true;
}

/* A shortlist says nothing of tokens that a processor may have in mind. */
static bool load_shortlist(ksk_translator *translator, ksk_error *err)
{
    const ksk_translate_options *options = &translator->options;
    const ksk_model *model = translator->model;
    if (!options->shortlist)
        return true;
    if (options->decode.processor_count > 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "a shortlist changes the tokens' numbers, which processors do not expect");
    const ksk_shortlist_scope scope = {model->rules.source_vocabulary, model->rules.vocabulary,
                                       ksk_tokenizer_fingerprint(model->tokenizer)};
    translator->shortlist = ksk_shortlist_load(options->shortlist, &scope, err);
    return translator->shortlist;
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
    /* Decoding nothing checks the options, here rather than at the first line. */
    if (check_options(&translator->options, err) && choose_decoder(translator, err) &&
        watch_tokens(translator, err) &&
        ksk_model_fits(model, translator->options.memory_limit, err) &&
        load_shortlist(translator, err) &&
        (translator->crew = ksk_crew_new(model, translator->decoder, translator->shortlist,
                                         translator->options.threads, err)) &&
        ksk_crew_check(translator->crew, &translator->options, err) &&
        ksk_translator_fits(translator, err))
        return translator;
    ksk_translator_free(translator);
    return NULL;
}

void ksk_translator_free(ksk_translator *translator)
{
    if (!translator)
        return;
    ksk_crew_free(translator->crew);
    ksk_shortlist_free(translator->shortlist);
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
    ksk_span span; /* in the line */
    ksk_unit unit;
} piece;

/* One call of ksk_translate. */
typedef struct job {
    ksk_translator *translator;
    const char *const *lines;
    piece *pieces;
    size_t count, room;
    ksk_error *err;
} job;

static bool add_piece(job *j, int line, int part, ksk_span span)
{
    if (part >= most_pieces)
        return ksk_fail(j->err, KSK_BAD_ARGUMENT, "line %d has more than %d pieces", line + 1,
                        most_pieces);
    if (!ksk_grow(&j->pieces, &j->room, j->count + 1, sizeof *j->pieces))
        return ksk_fail_memory(j->err);
    j->pieces[j->count++] = (piece){
        .line = line,
        .span = span,
        .unit.number = (j->translator->lines + (uint64_t)line) * most_pieces + (uint64_t)part};
    return true;
}

static bool encode(job *j, piece *p, int *replaced)
{
    ksk_ids ids = {0};
    const bool ok = ksk_tokenizer_encode_source(
        j->translator->model->tokenizer, j->lines[p->line] + p->span.begin,
        p->span.end - p->span.begin, &ids, replaced, j->err);
    p->unit.ids = ids.ids;
    p->unit.count = (int)ids.count;
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
    if (ok)
        ksk_say(KSK_WARNING,
                "line %d has %zu tokens, the model takes %d; it is cut into %zu pieces", line + 1,
                ids.count, most, cuts.count);
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
    const int64_t limit = j->translator->options.line_limit;
    if (limit && length > (uint64_t)limit)
        return ksk_fail(j->err, KSK_BAD_ARGUMENT,
                        "line %d has %zu bytes, the line limit is %lld; raise it, or cut the line",
                        line + 1, length, (long long)limit);
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

/* --- putting together ---------------------------------------------------------------------------
 */

/* The k-th hypothesis, or the last where a piece has fewer. */
static const ksk_hypothesis *hypothesis(const piece *p, int k)
{
    return &p->unit.result.hypotheses[k < p->unit.result.count ? k : p->unit.result.count - 1];
}

static int most_alternatives(const piece *pieces, size_t count)
{
    int most = 0;
    for (size_t i = 0; i < count; i++)
        most = pieces[i].unit.result.count > most ? pieces[i].unit.result.count : most;
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
        total += (size_t)pieces[i].unit.count;
    translation->source_ids = ksk_malloc(total * sizeof *translation->source_ids);
    if (!translation->source_ids)
        return ksk_fail_memory(j->err);
    for (size_t i = 0; i < count; i++) {
        memcpy(translation->source_ids + translation->source_id_count, pieces[i].unit.ids,
               (size_t)pieces[i].unit.count * sizeof *pieces[i].unit.ids);
        translation->source_id_count += pieces[i].unit.count;
        if (pieces[i].unit.seconds > translation->seconds)
            translation->seconds = pieces[i].unit.seconds;
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

static bool decode_pieces(const job *j)
{
    ksk_unit **units = ksk_calloc(j->count + 1, sizeof *units);
    if (!units)
        return ksk_fail_memory(j->err);
    for (size_t i = 0; i < j->count; i++)
        units[i] = &j->pieces[i].unit;
    const bool ok =
        ksk_crew_decode(j->translator->crew, &j->translator->options, j->count, units, j->err);
    ksk_free(units);
    return ok;
}

static void free_pieces(job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        ksk_free(j->pieces[i].unit.ids);
        ksk_nbest_clear(&j->pieces[i].unit.result);
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
    const int outside = ksk_turn_to("tokenizer");
    for (int i = 0; ok && i < count; i++)
        ok = cut_line(&j, i);
    for (size_t i = 0; ok && i < j.count; i++) {
        int replaced = 0;
        ok = encode(&j, &j.pieces[i], &replaced);
        translations[j.pieces[i].line].replaced_bytes += replaced;
        if (ok && replaced)
            ksk_say(KSK_WARNING, "line %d has %d bytes that are not UTF-8; each is read as U+FFFD",
                    j.pieces[i].line + 1, replaced);
    }
    if (ok) {
        const int before = ksk_turn_to("search");
        ok = decode_pieces(&j);
        ksk_turn_back(before);
    }
    ok = ok && assemble_lines(&j, count, translations);
    free_pieces(&j);
    ksk_turn_back(outside);
    for (int i = 0; !ok && i < count; i++)
        ksk_translation_clear(&translations[i]);
    translator->lines += ok ? (uint64_t)count : 0;
    return ok;
}
