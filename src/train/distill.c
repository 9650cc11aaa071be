/* Distillation: Kim & Rush 2016, "Sequence-Level Knowledge Distillation". The data are cut into
 * chunks; the sources of a chunk that are new are translated together, which packs them by length
 * and decodes batches side by side. */
#include "kaskad/distill.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "api/translator.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/string.h"
#include "data/corpus.h"
#include "io/json.h"
#include "kaskad/memory.h"
#include "train/describe.h"
#include "train/partial.h"

typedef struct job {
    const ksk_model *teacher;
    const ksk_distill_options *options;
    ksk_translator *translator;
    ksk_corpus corpus;
    size_t *owners; /* [lines]: the first line with the same source */
    char **texts;   /* [lines]: an owner's translation, "" for one that is left out; NULL: not yet,
                       or no owner */
    json_t *settings;
    ksk_partial *out;
    size_t done, pairs, translated, resumed;
    double began;
} job;

ksk_distill_options ksk_distill_defaults(void)
{
    return (ksk_distill_options){.chunk = 4096};
}

/* --- the data -----------------------------------------------------------------------------------
 */

typedef struct numbered {
    const char *text;
    size_t number;
} numbered;

static int by_text(const void *a, const void *b)
{
    const numbered *const x = a, *const y = b;
    const int order = strcmp(x->text, y->text);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* Equal sources stand side by side once they are sorted, the first line of them first. */
static bool find_owners(job *j, ksk_error *err)
{
    const size_t count = j->corpus.count;
    numbered *lines = ksk_calloc(count, sizeof *lines);
    j->owners = ksk_calloc(count, sizeof *j->owners);
    j->texts = ksk_calloc(count, sizeof *j->texts);
    const bool ok = (lines && j->owners && j->texts) || ksk_fail_memory(err);
    for (size_t i = 0; ok && i < count; i++)
        lines[i] = (numbered){ksk_corpus_source(&j->corpus, i), i};
    if (ok)
        qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0, first = 0; ok && i < count; i++) {
        if (strcmp(lines[i].text, lines[first].text) != 0)
            first = i;
        j->owners[lines[i].number] = lines[first].number;
    }
    ksk_free(lines);
    return ok;
}

static bool read_data(job *j, ksk_error *err)
{
    const ksk_distill_options *const o = j->options;
    if (!o->data == !o->source)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "distilling needs either a file of pairs or one of sources");
    if (o->chunk < 1 || o->limit < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "chunk is %d and limit %lld; at least 1 and 0",
                        o->chunk, (long long)o->limit);
    return (o->data ? ksk_corpus_read(o->data, NULL, o->limit, &j->corpus, err)
                    : ksk_corpus_read_sources(o->source, o->limit, &j->corpus, err)) &&
           find_owners(j, err);
}

/* --- what it is made of -------------------------------------------------------------------------
 */

/* All that decides which text is written. */
static bool describe(job *j, ksk_error *err)
{
    static const char *const stopping[] = {"no", "yes", "never"};
    static const char *const precisions[] = {"f32", "bf16", "int8"};
    const ksk_decode_options *const d = &j->translator->options.decode;
    ksk_digest teacher, data;
    if (!ksk_describe_weights(j->teacher->directory, &teacher, err) ||
        !ksk_digest_file(j->options->data ? j->options->data : j->options->source, &data, err))
        return false;
    j->settings = json_pack(
        "{s:s, s:s, s:b, s:I, s:s, s:s, s:i, s:f, s:s, s:b, s:i}", "teacher", teacher.text, "data",
        data.text, "tsv", j->options->data != NULL, "limit", (json_int_t)j->options->limit,
        "precision", precisions[j->teacher->compile.precision], "decoder",
        j->translator->decoder->name, "beam", d->beams, "length_penalty", (double)d->length_penalty,
        "early_stopping", stopping[d->early_stopping], "end_in_length",
        d->length_rule == KSK_LENGTH_WITHOUT_END, "max_length", d->max_length);
    return j->settings || ksk_fail_memory(err);
}

static bool open_translator(job *j, const ksk_translate_options *translate, ksk_error *err)
{
    ksk_translate_options options = translate ? *translate : ksk_translate_defaults(j->teacher);
    options.decode.n_best = 1;
    j->translator = ksk_translator_new(j->teacher, &options, err);
    return j->translator != NULL;
}

/* --- going on -----------------------------------------------------------------------------------
 */

/* A number of the position, at most `most`; false when it has none. */
static bool read_count(const json_t *position, const char *key, size_t most, size_t *count)
{
    const json_t *const value = json_object_get(position, key);
    const json_int_t number = json_integer_value(value);
    *count = (size_t)number;
    return json_is_integer(value) && number >= 0 && (uint64_t)number <= most;
}

static bool set_text(job *j, size_t owner, const char *text)
{
    if (!j->texts[owner])
        j->texts[owner] = ksk_strdup(text);
    return j->texts[owner] != NULL;
}

/* The pairs written are a subsequence of the lines done: what is not there was left out. */
static bool take_texts(job *j, const ksk_corpus *written, ksk_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < j->done; i++) {
        const bool there = at < written->count && strcmp(ksk_corpus_source(written, at),
                                                         ksk_corpus_source(&j->corpus, i)) == 0;
        if (!set_text(j, j->owners[i], there ? ksk_corpus_target(written, at) : ""))
            return ksk_fail_memory(err);
        at += there;
    }
    return at == written->count || ksk_fail(err, KSK_BAD_FORMAT,
                                            "pair %zu of %s is not of these data; remove the file "
                                            "to begin again",
                                            at + 1, ksk_partial_path(j->out));
}

static bool go_on(job *j, ksk_error *err)
{
    const json_t *const position = ksk_partial_position(j->out);
    ksk_corpus written = {0};
    if (!position)
        return true;
    if (!read_count(position, "lines", j->corpus.count, &j->done) ||
        !read_count(position, "pairs", j->done, &j->pairs) ||
        !read_count(position, "translated", j->done, &j->translated))
        return ksk_fail(err, KSK_BAD_FORMAT, "what goes with %s does not say where it stands",
                        ksk_partial_path(j->out));
    j->resumed = j->done;
    const bool ok =
        (j->pairs == 0 || ksk_corpus_read(ksk_partial_path(j->out), NULL, 0, &written, err)) &&
        take_texts(j, &written, err);
    ksk_corpus_clear(&written);
    return ok;
}

/* --- chunks -------------------------------------------------------------------------------------
 */

/* A line of the file is one line, and has one tab. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

static bool is_usable(const ksk_translation *t)
{
    return t->alternatives[0].finished && t->text[strspn(t->text, " \t\r\n\v\f")] &&
           ksk_utf8_valid(t->text, strlen(t->text));
}

static bool take_translations(job *j, const size_t *numbers, int count,
                              const ksk_translation *translations, ksk_error *err)
{
    for (int i = 0; i < count; i++) {
        if (!set_text(j, numbers[i], is_usable(&translations[i]) ? translations[i].text : ""))
            return ksk_fail_memory(err);
        clean(j->texts[numbers[i]]);
    }
    j->translated += (size_t)count;
    return true;
}

/* Translates the lines from `done` to `end` that own their source. */
static bool translate_chunk(job *j, size_t end, ksk_error *err)
{
    const size_t room = end - j->done;
    const char **sources = ksk_calloc(room, sizeof *sources);
    size_t *numbers = ksk_calloc(room, sizeof *numbers);
    ksk_translation *translations = ksk_calloc(room, sizeof *translations);
    bool ok = (sources && numbers && translations) || ksk_fail_memory(err);
    int count = 0;
    for (size_t i = j->done; ok && i < end; i++)
        if (j->owners[i] == i) {
            sources[count] = ksk_corpus_source(&j->corpus, i);
            numbers[count++] = i;
        }
    ok = ok && ksk_translate(j->translator, count, sources, translations, err) &&
         take_translations(j, numbers, count, translations, err);
    for (int i = 0; translations && i < count; i++)
        ksk_translation_clear(&translations[i]);
    ksk_free(sources);
    ksk_free(numbers);
    ksk_free(translations);
    return ok;
}

static bool write_chunk(job *j, size_t end, ksk_error *err)
{
    ksk_string text = {0};
    for (; j->done < end; j->done++) {
        const char *const translation = j->texts[j->owners[j->done]];
        if (!*translation)
            continue;
        ksk_string_add(&text, "%s\t%s\n", ksk_corpus_source(&j->corpus, j->done), translation);
        j->pairs++;
    }
    const size_t size = text.length;
    char *const bytes = ksk_string_take(&text);
    const bool ok = bytes
                        ? ksk_partial_add(j->out, bytes, size,
                                          json_pack("{s:I, s:I, s:I}", "lines", (json_int_t)j->done,
                                                    "pairs", (json_int_t)j->pairs, "translated",
                                                    (json_int_t)j->translated),
                                          err)
                        : ksk_fail_memory(err);
    ksk_free(bytes);
    return ok;
}

static bool watch(const job *j)
{
    const double seconds = ksk_clock_now() - j->began, lines = (double)(j->done - j->resumed);
    const ksk_distill_progress progress = {
        .done = (int64_t)j->done,
        .lines = (int64_t)j->corpus.count,
        .seconds = seconds,
        .left = lines > 0 ? seconds * (double)(j->corpus.count - j->done) / lines : -1};
    return !j->options->watch || j->options->watch(j->options->context, &progress);
}

static bool distill_chunks(job *j, ksk_error *err)
{
    const size_t chunk = (size_t)j->options->chunk, count = j->corpus.count;
    bool more = watch(j);
    while (j->done < count) {
        const size_t end = count - j->done < chunk ? count : j->done + chunk;
        if (!more)
            return ksk_fail(err, KSK_INTERRUPTED,
                            "stopped after %zu of %zu lines, which are kept; --resume goes on",
                            j->done, count);
        if (!translate_chunk(j, end, err) || !write_chunk(j, end, err))
            return false;
        more = watch(j);
    }
    return true;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static bool estimate(const job *j, const ksk_corpus *corpus, ksk_length_line *line, ksk_error *err)
{
    const ksk_sequence_rules *const rules = &j->teacher->rules;
    const int longest =
        rules->max_source < rules->max_target ? rules->max_source : rules->max_target;
    ksk_pairs pairs = {0};
    const bool ok = ksk_pairs_encode(corpus, j->teacher->tokenizer, longest, &pairs, err);
    if (ok)
        ksk_pairs_length_line(&pairs, &line->a, &line->b);
    ksk_pairs_clear(&pairs);
    return ok;
}

static bool estimate_both(const job *j, ksk_distill_result *result, ksk_error *err)
{
    ksk_corpus written = {0};
    result->raw = result->distilled = (ksk_length_line){NAN, NAN};
    bool ok = j->pairs > 0 || ksk_fail(err, KSK_BAD_FORMAT,
                                       "the teacher translated no line of %zu; nothing is written",
                                       j->corpus.count);
    ok = ok && ksk_corpus_read(ksk_partial_path(j->out), NULL, 0, &written, err) &&
         estimate(j, &written, &result->distilled, err) &&
         (!j->options->data || estimate(j, &j->corpus, &result->raw, err));
    ksk_corpus_clear(&written);
    return ok;
}

static json_t *pack_line(ksk_length_line line)
{
    return isnan(line.a) ? json_null() : json_pack("{s:f, s:f}", "a", line.a, "b", line.b);
}

/* The directory and the name of `out`.json, both to be freed; false when memory runs out. */
static bool name_result(const char *out, char **directory, char **name)
{
    ksk_string file = {0};
    const char *const slash = strrchr(out, '/');
    ksk_string_add(&file, "%s.json", slash ? slash + 1 : out);
    *name = ksk_string_take(&file);
    *directory = ksk_strdup(slash ? out : ".");
    if (slash && *directory)
        (*directory)[slash == out ? 1 : slash - out] = '\0';
    return *directory && *name;
}

/* out.json: the settings, the counts, the length lines. */
static bool write_result(const job *j, const char *out, const ksk_distill_result *r, ksk_error *err)
{
    char *directory, *name;
    const bool named = name_result(out, &directory, &name);
    json_t *object =
        json_pack("{s:s, s:O, s:I, s:I, s:I, s:{s:o, s:o}}", "kaskad", ksk_version(), "settings",
                  j->settings, "lines", (json_int_t)r->lines, "pairs", (json_int_t)r->pairs,
                  "translated", (json_int_t)r->translated, "length_line", "distilled",
                  pack_line(r->distilled), "raw", pack_line(r->raw));
    const bool ok =
        named && object ? ksk_json_write(directory, name, object, err) : ksk_fail_memory(err);
    json_decref(object);
    ksk_free(name);
    ksk_free(directory);
    return ok;
}

static ksk_length_line unpack_line(const json_t *lines, const char *name)
{
    const json_t *const line = json_object_get(lines, name);
    const json_t *const a = json_object_get(line, "a"), *const b = json_object_get(line, "b");
    const bool there = json_is_number(a) && json_is_number(b);
    return (ksk_length_line){there ? json_number_value(a) : NAN,
                             there ? json_number_value(b) : NAN};
}

/* What an earlier session wrote. */
static bool read_result(const char *out, ksk_distill_result *r, ksk_error *err)
{
    char *directory, *name, *file = NULL;
    const bool named = name_result(out, &directory, &name);
    json_t *object = named ? ksk_json_read(directory, name, &file, err) : NULL;
    if (!named)
        ksk_fail_memory(err);
    const json_t *const lines = json_object_get(object, "length_line");
    *r = (ksk_distill_result){.lines = json_integer_value(json_object_get(object, "lines")),
                              .pairs = json_integer_value(json_object_get(object, "pairs")),
                              .translated =
                                  json_integer_value(json_object_get(object, "translated")),
                              .distilled = unpack_line(lines, "distilled"),
                              .raw = unpack_line(lines, "raw"),
                              .whole = true};
    const bool ok = object != NULL;
    json_decref(object);
    ksk_free(file);
    ksk_free(name);
    ksk_free(directory);
    return ok;
}

/* The file comes last: once it is there, all is. */
static bool finish(const job *j, const char *out, ksk_distill_result *result, ksk_error *err)
{
    result->lines = (int64_t)j->corpus.count;
    result->pairs = (int64_t)j->pairs;
    result->translated = (int64_t)j->translated;
    if (!estimate_both(j, result, err))
        return false;
    result->seconds = ksk_clock_now() - j->began;
    return write_result(j, out, result, err) && ksk_partial_finish(j->out, err);
}

static void clear(job *j)
{
    for (size_t i = 0; j->texts && i < j->corpus.count; i++)
        ksk_free(j->texts[i]);
    ksk_free(j->texts);
    ksk_free(j->owners);
    ksk_corpus_clear(&j->corpus);
    ksk_translator_free(j->translator);
    ksk_partial_close(j->out);
    json_decref(j->settings);
}

bool ksk_distill(const ksk_model *teacher, const ksk_translate_options *translate,
                 const ksk_distill_options *options, const char *out, ksk_distill_result *result,
                 ksk_error *err)
{
    job j = {.teacher = teacher, .options = options, .began = ksk_clock_now()};
    ksk_distill_result ignored;
    ksk_distill_result *const r = result ? result : &ignored;
    *r = (ksk_distill_result){0};
    bool whole = false;
    if (options->resume && !ksk_partial_whole(out, &whole, err))
        return false;
    if (whole)
        return read_result(out, r, err);
    const bool ok = open_translator(&j, translate, err) && read_data(&j, err) &&
                    describe(&j, err) &&
                    (j.out = ksk_partial_open(out, j.settings, options->resume, err)) &&
                    go_on(&j, err) && distill_chunks(&j, err) && finish(&j, out, r, err);
    clear(&j);
    return ok;
}

/* --- the length line ----------------------------------------------------------------------------
 */

bool ksk_length_line_write(const char *checkpoint, ksk_length_line line, ksk_error *err)
{
    ksk_config *config = ksk_config_load(checkpoint, "config.json", err);
    if (!config)
        return false;
    bool ok = ksk_config_has(config, "markov_order") ||
              ksk_fail(err, KSK_BAD_ARGUMENT,
                       "%s is no Markov Transformer (its config.json has no markov_order), which "
                       "alone has a length line",
                       checkpoint);
    ok = ok && ((isfinite(line.a) && isfinite(line.b)) ||
                ksk_fail(err, KSK_BAD_ARGUMENT, "a length line is made of finite numbers"));
    ksk_config_set_number(config, "length_a", line.a);
    ksk_config_set_number(config, "length_b", line.b);
    ok = ok && ksk_config_save(config, checkpoint, "config.json", err);
    ksk_config_free(config);
    return ok;
}
