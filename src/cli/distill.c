/* kaskad distill: a teacher's translations of the training data, for a student. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/stop.h"
#include "kaskad/distill.h"

static const char precisions[] = "f32|bf16|int8";

typedef struct settings {
    const char *model, *data, *source, *out, *write_length;
    int precision, threads, batch_size, beams, limit, chunk;
    double length_penalty;
    bool resume, json, quiet;
} settings;

static bool parse(int argc, char **argv, settings *s, int *status)
{
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "the teacher's checkpoint", &s->model),
        KSK_TEXT("data", 'd', "TSV", "pairs, SOURCE<TAB>TARGET a line; .gz is read too", &s->data),
        KSK_TEXT("source", 's', "FILE", "or sources alone, one a line", &s->source),
        KSK_NEEDED("out", 'o', "FILE", "SOURCE<TAB>TRANSLATION lines, in the same order", &s->out),
        KSK_INT("limit", 0, "N", "only the first N lines; 0: all (0)", &s->limit, 0, 1 << 30),
        KSK_FLAG("resume", 0, "go on where it was stopped", &s->resume),
        KSK_HEADING("The teacher"),
        KSK_INT("beam", 0, "N", "hypotheses kept (the model's own)", &s->beams, 1, 1024),
        KSK_NUMBER("length-penalty", 0, "X", "score is log-probability / length^X",
                   &s->length_penalty, -100, 100),
        KSK_CHOICE("precision", 0, precisions, "of the products (int8)", &s->precision),
        KSK_INT("threads", 't', "N", "0: one per processor (0)", &s->threads, 0, 1024),
        KSK_INT("batch-size", 0, "N", "sentences decoded at once (32)", &s->batch_size, 1, 4096),
        KSK_INT("chunk", 0, "N", "lines between writes to the disk (4096)", &s->chunk, 1, 1 << 24),
        KSK_HEADING("Output"),
        KSK_TEXT("write-length", 0, "DIR",
                 "put the length line into this Markov Transformer's config.json",
                 &s->write_length),
        KSK_FLAG("json", 0, "the result as one JSON object", &s->json),
        KSK_FLAG("quiet", 'q', "no progress", &s->quiet),
        KSK_OPTIONS_END,
    };
    return ksk_options_parse(&ksk_command_distill, options, argc, argv, NULL, status);
}

/* --- progress -----------------------------------------------------------------------------------
 */

typedef struct screen {
    bool terminal, quiet;
    int64_t begun; /* lines that were there at the start, -1: not known yet */
} screen;

/* A line that is written over on a terminal, and a line each time elsewhere. */
static bool watch(void *context, const ksk_distill_progress *p)
{
    screen *const s = context;
    const long left = p->left > 0 ? lround(p->left) : 0;
    if (s->begun < 0)
        s->begun = p->done;
    if (s->quiet || (p->done == s->begun && p->done == 0))
        return !ksk_stop_asked();
    fprintf(stderr, "%s%" PRId64 " of %" PRId64 " lines", s->terminal ? "\r" : "", p->done,
            p->lines);
    if (p->done > s->begun)
        fprintf(stderr, ", %.0f lines/s, %ld:%02ld:%02ld left",
                (double)(p->done - s->begun) / (p->seconds + 1e-9), left / 3600, left / 60 % 60,
                left % 60);
    fputs(s->terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
    return !ksk_stop_asked();
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_line_json(const char *name, ksk_length_line line)
{
    ksk_json_name(name, false);
    if (isnan(line.a)) {
        fputs("null", stdout);
        return;
    }
    putchar('{');
    ksk_json_name("a", true);
    ksk_json_number(line.a);
    ksk_json_name("b", false);
    ksk_json_number(line.b);
    putchar('}');
}

static void print_json(const ksk_distill_result *r)
{
    putchar('{');
    ksk_json_name("lines", true);
    ksk_json_integer(r->lines);
    ksk_json_name("pairs", false);
    ksk_json_integer(r->pairs);
    ksk_json_name("translated", false);
    ksk_json_integer(r->translated);
    print_line_json("distilled", r->distilled);
    print_line_json("raw", r->raw);
    ksk_json_name("seconds", false);
    ksk_json_number(r->seconds);
    puts("}");
}

static void print_text(const settings *s, const ksk_distill_result *r)
{
    printf("%s: %" PRId64 " pairs of %" PRId64 " lines, %" PRId64 " sources translated in %.1f s\n",
           s->out, r->pairs, r->lines, r->translated, r->seconds);
    printf("length line, distilled: target = %.4f * source + %.4f\n", r->distilled.a,
           r->distilled.b);
    if (!isnan(r->raw.a))
        printf("length line, raw:       target = %.4f * source + %.4f\n", r->raw.a, r->raw.b);
}

/* --- the work --------------------------------------------------------------------------------- */

static bool distill(const settings *s, const ksk_model *teacher, ksk_distill_result *result,
                    ksk_error *err)
{
    screen shown = {.terminal = isatty(STDERR_FILENO), .quiet = s->quiet, .begun = -1};
    ksk_translate_options translate = ksk_translate_defaults(teacher);
    ksk_distill_options options = ksk_distill_defaults();
    translate.threads = s->threads;
    if (s->batch_size)
        translate.batch_size = s->batch_size;
    if (s->beams)
        translate.decode.beams = s->beams;
    if (!isnan(s->length_penalty))
        translate.decode.length_penalty = (float)s->length_penalty;
    options.data = s->data;
    options.source = s->source;
    options.limit = s->limit;
    options.resume = s->resume;
    options.watch = watch;
    options.context = &shown;
    if (s->chunk)
        options.chunk = s->chunk;
    const bool ok = ksk_distill(teacher, &translate, &options, s->out, result, err);
    if (shown.terminal && !s->quiet && shown.begun >= 0)
        fputc('\n', stderr);
    return ok;
}

static bool write_length(const settings *s, const ksk_distill_result *r, ksk_error *err)
{
    return !s->write_length || ksk_length_line_write(s->write_length, r->distilled, err);
}

static int run(int argc, char **argv)
{
    settings s = {.precision = KSK_PRECISION_INT8, .length_penalty = NAN};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    if (!s.data == !s.source) {
        ksk_complain("give either --data or --source");
        return KSK_EXIT_USAGE;
    }
    ksk_error err = {0};
    ksk_distill_result result = {0};
    const ksk_load_options load = {.precision = (ksk_precision)s.precision};
    ksk_stop_catch();
    ksk_model *teacher = ksk_model_load(s.model, &load, &err);
    const bool ok =
        teacher && distill(&s, teacher, &result, &err) && write_length(&s, &result, &err);
    ksk_model_free(teacher);
    if (!ok) {
        ksk_complain("%s", err.message);
        return ksk_stop_status();
    }
    if (result.whole && !s.quiet)
        fprintf(stderr, "kaskad: %s was whole already\n", s.out);
    if (s.json)
        print_json(&result);
    else
        print_text(&s, &result);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_distill = {
    .name = "distill",
    .arguments = "-m TEACHER --data TSV --out FILE [OPTIONS]",
    .summary = "Write a teacher's translations of training data",
    .details =
        "A student learns more easily from them than from the data's own targets. Each source is\n"
        "translated once. Lines whose translation is empty, or does not end, are left out. Killed\n"
        "at any moment, it goes on with --resume. FILE.json tells what the file was made of, and\n"
        "the length line of its pairs: target = a * source + b, in tokens.",
    .example = "  kaskad distill -m models/tatoeba-deu-eng \\\n"
               "      --data data/tatoeba-deu-eng/train.tsv.gz --out distilled.tsv",
    .run = run,
};
