/* kaskad translate: one line in, one line out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cascade.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/processors.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "cli/window.h"
#include "kaskad/kaskad.h"

enum { NOT_GIVEN = -1, WINDOW_BATCHES = 8, MOST_PREFIX = 1024 };

static const char precisions[] = "f32|bf16|int8|auto";
static const char yes_no_never[] = "yes|no|never";
static const char yes_no[] = "yes|no";
static const char long_rules[] = "split|error";

/* What the command line says; NOT_GIVEN and NAN leave the model's own settings. */
typedef struct settings {
    const char *model, *decoder, *prefix;
    const char *argument; /* of the decoder */
    const char *shortlist;
    const char *precision_name; /* what auto became */
    ksk_texts processors;
    int precision, threads, batch_size, batch_tokens;
    int beams, n_best, top_k, max_length, min_length, no_repeat_ngram;
    int early_stopping, end_in_length, long_rule;
    double length_penalty, temperature, top_p, repetition_penalty;
    ksk_cascade_given cascade;
    uint64_t seed;
    int64_t memory_limit, max_line;
    double time_limit;
    bool scores, json, split, quiet, profile;
} settings;

static const settings nothing_given = {
    .precision = KSK_PRECISION_AUTO,
    .threads = NOT_GIVEN,
    .batch_size = NOT_GIVEN,
    .batch_tokens = NOT_GIVEN,
    .beams = NOT_GIVEN,
    .n_best = NOT_GIVEN,
    .cascade = KSK_CASCADE_NOT_GIVEN,
    .top_k = NOT_GIVEN,
    .max_length = NOT_GIVEN,
    .min_length = NOT_GIVEN,
    .no_repeat_ngram = NOT_GIVEN,
    .early_stopping = NOT_GIVEN,
    .end_in_length = NOT_GIVEN,
    .long_rule = NOT_GIVEN,
    .length_penalty = NAN,
    .temperature = NAN,
    .top_p = NAN,
    .repetition_penalty = NAN,
    .max_line = NOT_GIVEN,
};

static bool parse(int argc, char **argv, settings *s, int *status)
{
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "checkpoint in Hugging Face's layout", &s->model),
        KSK_CHOICE("precision", 0, precisions,
                   "of products and embeddings; auto is the fastest (auto)", &s->precision),
        KSK_INT("threads", 't', "N", "0: one per processor (0)", &s->threads, 0, 1024),
        KSK_INT("batch-size", 0, "N", "sentences decoded at once", &s->batch_size, 1, 4096),
        KSK_INT("batch-tokens", 0, "N", "source tokens decoded at once; 0: any number",
                &s->batch_tokens, 0, 1 << 24),
        KSK_HEADING("Limits"),
        KSK_BYTES("memory-limit", 0, "refuse before the work what may need more memory (none)",
                  &s->memory_limit),
        KSK_BYTES("max-line", 0, "longest line, in bytes (1M; with --memory-limit 16K)",
                  &s->max_line),
        KSK_NUMBER("time-limit", 0, "SECONDS", "most time for a sentence's search; 0: any (0)",
                   &s->time_limit, 0, 1e9),
        KSK_HEADING("Search (defaults are the model's own)"),
        KSK_TEXT("decode", 0, "NAME[=ARG]",
                 "greedy, beam, sample, cascade (of Markov Transformers) or a plugin's",
                 &s->decoder),
        KSK_TEXT("shortlist", 0, "FILE",
                 "decode with the tokens alone that it selects; made by `kaskad shortlist`",
                 &s->shortlist),
        KSK_INT("beam", 0, "N", "hypotheses kept", &s->beams, 1, 1024),
        KSK_NUMBER("length-penalty", 0, "X", "score is log-probability / length^X",
                   &s->length_penalty, -100, 100),
        KSK_CHOICE("early-stopping", 0, yes_no_never,
                   "yes: when as many as --beam have ended; no: when better ones are unlikely",
                   &s->early_stopping),
        KSK_CHOICE("eos-in-length", 0, yes_no, "count the end token in the length",
                   &s->end_in_length),
        KSK_HEADING("Cascade"),
        KSK_CASCADE_OPTIONS(&s->cascade),
        KSK_HEADING("Sampling"),
        KSK_NUMBER("temperature", 0, "X", "under 1 sharper, over 1 flatter", &s->temperature, 1e-6,
                   1e6),
        KSK_INT("top-k", 0, "N", "only the N likeliest tokens; 0: all", &s->top_k, 0, 1 << 30),
        KSK_NUMBER("top-p", 0, "X", "only the likeliest tokens that hold X of the probability",
                   &s->top_p, 0, 1),
        KSK_UINT64("seed", 0, "N", "the same seed gives the same output (0)", &s->seed),
        KSK_HEADING("Constraints"),
        KSK_INT("max-length", 0, "N", "tokens at most, start and end included", &s->max_length, 2,
                1 << 24),
        KSK_INT("min-length", 0, "N", "tokens at least, start and end included", &s->min_length, 0,
                1 << 24),
        KSK_INT("no-repeat-ngram", 0, "N", "no N tokens occur twice; 0: off", &s->no_repeat_ngram,
                0, 1 << 24),
        KSK_NUMBER("repetition-penalty", 0, "X", "over 1: tokens used before are less likely",
                   &s->repetition_penalty, 1e-6, 1e6),
        KSK_TEXT("prefix-ids", 0, "ID,ID...", "every output begins with these tokens", &s->prefix),
        KSK_TEXTS_OF("processor", 0, "NAME[=ARG]", "a plugin's; may be given again",
                     &s->processors),
        KSK_HEADING("Lines"),
        KSK_FLAG("split", 0, "cut lines into sentences and join the translations", &s->split),
        KSK_CHOICE("long", 0, long_rules, "a line longer than the model's positions",
                   &s->long_rule),
        KSK_HEADING("Output"),
        KSK_INT("n-best", 0, "N", "hypotheses a line: number, score, text between tabs", &s->n_best,
                1, 1024),
        KSK_FLAG("scores", 0, "score and a tab before each text", &s->scores),
        KSK_FLAG("json", 0, "one JSON object a line", &s->json),
        KSK_FLAG("profile", 0, "where the time went, on standard error, at the end", &s->profile),
        KSK_FLAG("quiet", 'q', "no progress, no warnings", &s->quiet),
        KSK_OPTIONS_END,
    };
    return ksk_options_parse(&ksk_command_translate, options, argc, argv, NULL, status);
}

/* "5,17,300" as ids; false (said on stderr) when it is something else. */
static bool read_prefix(const char *text, int32_t *ids, int *count)
{
    for (*count = 0; *count < MOST_PREFIX;) {
        char *end;
        errno = 0;
        const long id = strtol(text, &end, 10);
        if (end == text || errno || id < 0 || id > INT32_MAX || (*end && *end != ','))
            break;
        ids[(*count)++] = (int32_t)id;
        if (!*end)
            return true;
        text = end + 1;
    }
    ksk_complain("--prefix-ids takes up to %d token ids with commas between, as in 5,17,300",
                 MOST_PREFIX);
    return false;
}

static void set_int(int *option, int given)
{
    if (given != NOT_GIVEN)
        *option = given;
}

static void set_number(float *option, double given)
{
    if (!isnan(given))
        *option = (float)given;
}

static bool searches(const settings *s)
{
    return !s->decoder || ksk_decoder_find(s->decoder)->searches;
}

/* A decoder that exists, and goes with the other options; said on stderr when not. */
static bool check_decoder(const settings *s)
{
    if (s->decoder && !ksk_decoder_find(s->decoder)) {
        char known[200] = "";
        for (int i = 0; ksk_decoder_at(i); i++) {
            const size_t length = strlen(known);
            snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                     ksk_decoder_at(i)->name);
        }
        ksk_complain("--decode %s: there is no such decoder; known are %s", s->decoder, known);
        return false;
    }
    if (s->beams > 1 && !searches(s)) {
        ksk_complain("--beam %d goes with --decode beam, not with %s", s->beams, s->decoder);
        return false;
    }
    return true;
}

static ksk_translate_options translate_options(const settings *s, const ksk_model *model,
                                               const int32_t *prefix, int prefix_length)
{
    static const ksk_early_stopping stopping[] = {KSK_STOP_AT_ONCE, KSK_STOP_HEURISTIC,
                                                  KSK_STOP_NEVER};
    ksk_translate_options t = ksk_translate_defaults(model);
    ksk_decode_options *d = &t.decode;
    if (s->decoder)
        t.decoder = s->decoder;
    set_int(&t.threads, s->threads);
    set_int(&t.batch_size, s->batch_size);
    set_int(&t.batch_tokens, s->batch_tokens);
    t.split_sentences = s->split;
    if (s->long_rule != NOT_GIVEN)
        t.long_lines = s->long_rule ? KSK_LONG_ERROR : KSK_LONG_SPLIT;
    t.memory_limit = s->memory_limit;
    t.time_limit = s->time_limit;
    t.line_limit = s->max_line != NOT_GIVEN ? s->max_line : s->memory_limit ? 16 << 10 : 1 << 20;
    d->argument = s->argument;
    t.shortlist = s->shortlist;
    set_int(&d->beams, searches(s) ? s->beams : 1);
    set_int(&d->n_best, s->n_best);
    ksk_cascade_set(&s->cascade, &d->cascade);
    set_number(&d->length_penalty, s->length_penalty);
    if (s->early_stopping != NOT_GIVEN)
        d->early_stopping = stopping[s->early_stopping];
    if (s->end_in_length != NOT_GIVEN)
        d->length_rule = s->end_in_length ? KSK_LENGTH_WITHOUT_END : KSK_LENGTH_WITH_END;
    set_number(&d->temperature, s->temperature);
    set_int(&d->top_k, s->top_k);
    set_number(&d->top_p, s->top_p);
    d->seed = s->seed;
    set_int(&d->max_length, s->max_length);
    set_int(&d->min_length, s->min_length);
    set_int(&d->no_repeat_ngram, s->no_repeat_ngram);
    set_number(&d->repetition_penalty, s->repetition_penalty);
    if (prefix_length) {
        d->prefix = prefix;
        d->prefix_length = prefix_length;
    }
    return t;
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_alternative_json(const ksk_alternative *alternative)
{
    ksk_json_name("text", true);
    ksk_json_text(alternative->text);
    ksk_json_name("ids", false);
    ksk_json_ids(alternative->ids, alternative->id_count);
    ksk_json_name("log_prob", false);
    ksk_json_number(alternative->log_prob);
    ksk_json_name("score", false);
    ksk_json_number(alternative->score);
    ksk_json_name("finished", false);
    fputs(alternative->finished ? "true" : "false", stdout);
}

static void print_json(const ksk_line *line, int64_t number, const ksk_translation *translation,
                       const char *precision)
{
    putchar('{');
    ksk_json_name("line", true);
    ksk_json_integer(number);
    ksk_json_name("source", false);
    ksk_json_text(line->text);
    ksk_json_name("source_ids", false);
    ksk_json_ids(translation->source_ids, translation->source_id_count);
    fputs(", ", stdout);
    print_alternative_json(&translation->alternatives[0]);
    ksk_json_name("alternatives", false);
    for (int i = 1; i < translation->count; i++) {
        fputs(i == 1 ? "[{" : ", {", stdout);
        print_alternative_json(&translation->alternatives[i]);
        putchar('}');
    }
    fputs(translation->count > 1 ? "]" : "[]", stdout);
    ksk_json_name("seconds", false);
    ksk_json_number(translation->seconds);
    ksk_json_name("precision", false);
    ksk_json_text(precision);
    ksk_json_name("replaced_bytes", false);
    ksk_json_integer(translation->replaced_bytes + line->nul_bytes);
    puts("}");
}

static void print_end(const ksk_line *line, bool last)
{
    if (line->cr)
        putchar('\r');
    if (line->newline || !last)
        putchar('\n');
}

static void print_text(const settings *s, const ksk_line *line, int64_t number,
                       const ksk_translation *translation)
{
    if (s->n_best <= 1) {
        if (s->scores)
            printf("%.6f\t", translation->alternatives[0].score);
        fputs(translation->text, stdout);
        print_end(line, true);
        return;
    }
    for (int i = 0; i < translation->count; i++) {
        const ksk_alternative *alternative = &translation->alternatives[i];
        printf("%lld\t%.6f\t%s", (long long)number, alternative->score, alternative->text);
        print_end(line, i + 1 == translation->count);
    }
}

/* --- the work --------------------------------------------------------------------------------- */

typedef struct translation_job {
    const settings *settings;
    ksk_translator *translator;
    ksk_window window;
    ksk_translation *translations;
    int64_t replaced_bytes, replaced_lines, first_replaced;
} translation_job;

static void print_line(translation_job *job, int i)
{
    const ksk_line *line = &job->window.lines[i];
    const ksk_translation *translation = &job->translations[i];
    const int64_t number = job->window.first + i;
    const int replaced = translation->replaced_bytes + line->nul_bytes;
    if (replaced) {
        if (!job->replaced_lines++)
            job->first_replaced = number;
        job->replaced_bytes += replaced;
    }
    if (job->settings->json)
        print_json(line, number, translation, job->settings->precision_name);
    else
        print_text(job->settings, line, number, translation);
}

/* Translates and prints the lines from `first` on. When that fails and there are several, goes line
 * by line, so that what comes before the culprit is printed and the culprit is named. */
static bool translate_lines(translation_job *job, int first, int count)
{
    ksk_error err = {0};
    if (ksk_translate(job->translator, count, job->window.texts + first, job->translations + first,
                      &err)) {
        for (int i = first; i < first + count; i++) {
            print_line(job, i);
            ksk_translation_clear(&job->translations[i]);
        }
        return true;
    }
    if (count == 1) {
        ksk_complain("line %lld: %s", (long long)job->window.first + first, err.message);
        return false;
    }
    for (int i = first; i < first + count; i++)
        if (!translate_lines(job, i, 1))
            return false;
    return true;
}

/* Lines that were begun when a signal asks to stop are still translated and printed. */
static bool translate_all(translation_job *job, ksk_lines *input)
{
    ksk_lines_status status = KSK_LINES_END;
    while (!ksk_stop_asked() && (status = ksk_window_fill(&job->window, input)) == KSK_LINES_LINE) {
        const bool ok = translate_lines(job, 0, job->window.count);
        if (!ksk_flush_output() || !ok)
            return false;
        ksk_progress_show(input, job->window.first + job->window.count - 1);
    }
    return status == KSK_LINES_END || ksk_stop_asked();
}

static void warn(const translation_job *job)
{
    if (job->replaced_lines)
        ksk_complain("%lld bytes in %lld lines were not UTF-8 text and were read as U+FFFD; the "
                     "first are in line %lld",
                     (long long)job->replaced_bytes, (long long)job->replaced_lines,
                     (long long)job->first_replaced);
}

static bool run_job(const settings *s, ksk_translator *translator,
                    const ksk_translate_options *options)
{
    translation_job job = {.settings = s, .translator = translator};
    ksk_lines *input = ksk_lines_open("-");
    const int capacity = WINDOW_BATCHES * options->batch_size;
    if (input)
        ksk_lines_limit(input, options->line_limit);
    bool ok = input && ksk_window_make(&job.window, capacity);
    if (ok && !(job.translations = ksk_calloc((size_t)capacity, sizeof *job.translations)))
        ok = !ksk_complain("out of memory");
    if (ok) {
        if (!s->quiet)
            ksk_progress_start(input);
        ok = translate_all(&job, input);
        ksk_progress_end();
        if (!s->quiet)
            warn(&job);
    }
    ksk_free(job.translations);
    ksk_window_free(&job.window);
    ksk_lines_close(input);
    return ok;
}

static bool print_profile(ksk_profile *profile)
{
    ksk_error err = {0};
    ksk_profile_stop(profile);
    char *const table = ksk_profile_print(profile, &err);
    if (table)
        fputs(table, stderr);
    else
        ksk_complain("%s", err.message);
    ksk_free(table);
    return table != NULL;
}

static bool run_profiled(const settings *s, ksk_translator *translator,
                         const ksk_translate_options *options)
{
    ksk_error err = {0};
    ksk_profile *const profile = ksk_profile_start(&err);
    if (!profile)
        return !ksk_complain("%s", err.message);
    bool ok = run_job(s, translator, options);
    ok = print_profile(profile) && ok;
    ksk_profile_free(profile);
    return ok;
}

static bool translate(settings *s, const ksk_model *model, const ksk_translate_options *options)
{
    ksk_error err = {0};
    ksk_translator *translator = ksk_translator_new(model, options, &err);
    s->n_best = options->decode.n_best;
    s->precision_name = ksk_precision_name(ksk_model_precision(model));
    const bool ok = translator && (s->profile ? run_profiled : run_job)(s, translator, options);
    if (!translator)
        ksk_complain("%s", err.message);
    ksk_translator_free(translator);
    return ok;
}

static int run(int argc, char **argv)
{
    settings s = nothing_given;
    int status, prefix_length = 0;
    int32_t prefix[MOST_PREFIX];
    char decoder[KSK_NAME_ROOM];
    if (!parse(argc, argv, &s, &status))
        return status;
    if (s.decoder) {
        s.argument = ksk_cut_argument(s.decoder, decoder);
        s.decoder = decoder;
    }
    /* A decoder that is not there may have been in a plugin that was refused. */
    if (!check_decoder(&s))
        return ksk_refused_plugins() ? KSK_EXIT_FAILURE : KSK_EXIT_USAGE;
    if (s.prefix && !read_prefix(s.prefix, prefix, &prefix_length))
        return KSK_EXIT_USAGE;
    ksk_error err = {0};
    const ksk_load_options load = {.precision = (ksk_precision)s.precision,
                                   .memory_limit = s.memory_limit};
    ksk_stop_catch();
    ksk_model *model = ksk_model_load(s.model, &load, &err);
    if (!model)
        return ksk_complain("%s", err.message);
    ksk_open_processors processors = {0};
    ksk_translate_options options = translate_options(&s, model, prefix, prefix_length);
    bool ok = ksk_processors_open(&processors, &s.processors, model);
    options.decode.processors = processors.steps;
    options.decode.processor_count = processors.count;
    ok = ok && translate(&s, model, &options);
    ksk_processors_close(&processors);
    ksk_model_free(model);
    return ksk_stop_asked() ? ksk_stop_status() : ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_translate = {
    .name = "translate",
    .arguments = "-m DIR [OPTIONS] < IN > OUT",
    .summary = "Translate text, one line in, one line out",
    .details =
        "Lines keep their order and their ends; an empty line stays empty. Bytes that are not\n"
        "UTF-8 are read as U+FFFD and counted. Lines from a pipe or a terminal are translated as\n"
        "soon as they come.",
    .example = "  echo 'Guten Morgen!' | kaskad translate -m models/tatoeba-deu-eng --beam 5",
    .run = run,
};
