/* kaskad score: how likely the model finds given translations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/window.h"
#include "kaskad/kaskad.h"

enum { WINDOW_BATCHES = 8 };

static const char precisions[] = "f32|bf16|int8|auto";

typedef struct settings {
    const char *model, *source, *target;
    int precision, threads, batch_size;
    bool json;
} settings;

typedef struct score_job {
    const settings *settings;
    ksk_translator *translator;
    ksk_lines *source_lines, *target_lines;
    ksk_window sources, targets;
    double *log_probs;
    int *tokens;
} score_job;

static bool parse(int argc, char **argv, settings *s, int *status)
{
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "checkpoint in Hugging Face's layout", &s->model),
        KSK_NEEDED("source", 's', "FILE", "source lines; - is the standard input", &s->source),
        KSK_NEEDED("target", 't', "FILE", "as many target lines", &s->target),
        KSK_FLAG("json", 0, "one JSON object a line", &s->json),
        KSK_CHOICE("precision", 0, precisions,
                   "of the products (f32; of a quantised checkpoint its own)", &s->precision),
        KSK_INT("threads", 0, "N", "0: one per processor (0)", &s->threads, 0, 1024),
        KSK_INT("batch-size", 0, "N", "sentences scored at once", &s->batch_size, 1, 4096),
        KSK_OPTIONS_END,
    };
    return ksk_options_parse(&ksk_command_score, options, argc, argv, NULL, status);
}

static void print_line(const score_job *job, int i)
{
    if (!job->settings->json) {
        printf("%.6f\n", job->log_probs[i]);
        return;
    }
    putchar('{');
    ksk_json_name("line", true);
    ksk_json_integer(job->sources.first + i);
    ksk_json_name("log_prob", false);
    ksk_json_number(job->log_probs[i]);
    ksk_json_name("tokens", false);
    ksk_json_integer(job->tokens[i]);
    ksk_json_name("perplexity", false);
    ksk_json_number(job->tokens[i] ? exp(-job->log_probs[i] / job->tokens[i]) : NAN);
    puts("}");
}

/* Scores the lines from `first` on; one by one when that fails, to name the culprit. */
static bool score_lines(score_job *job, int first, int count)
{
    ksk_error err = {0};
    if (ksk_score(job->translator, count, job->sources.texts + first, job->targets.texts + first,
                  job->log_probs + first, job->tokens + first, &err)) {
        for (int i = first; i < first + count; i++)
            print_line(job, i);
        return true;
    }
    if (count == 1) {
        ksk_complain("line %lld: %s", (long long)job->sources.first + first, err.message);
        return false;
    }
    for (int i = first; i < first + count; i++)
        if (!score_lines(job, i, 1))
            return false;
    return true;
}

static bool score_all(score_job *job)
{
    ksk_window *sources = &job->sources, *targets = &job->targets;
    ksk_lines_status status;
    while ((status = ksk_window_fill(sources, job->source_lines)) == KSK_LINES_LINE) {
        if (ksk_window_fill_exactly(targets, job->target_lines, sources->count) ==
                KSK_LINES_FAILED ||
            (targets->count && !score_lines(job, 0, targets->count)) || !ksk_flush_output())
            return false;
        if (targets->count < sources->count)
            return !ksk_complain("%s has only %lld lines, fewer than %s", job->settings->target,
                                 (long long)targets->first + targets->count - 1,
                                 job->settings->source);
    }
    if (status != KSK_LINES_END)
        return false;
    if (ksk_window_fill_exactly(targets, job->target_lines, 1) == KSK_LINES_END)
        return true;
    return !ksk_complain("%s has more lines than %s", job->settings->target, job->settings->source);
}

static bool make_job(score_job *job, int capacity)
{
    job->log_probs = ksk_calloc((size_t)capacity, sizeof *job->log_probs);
    job->tokens = ksk_calloc((size_t)capacity, sizeof *job->tokens);
    if (!job->log_probs || !job->tokens)
        return !ksk_complain("out of memory");
    return ksk_window_make(&job->sources, capacity) && ksk_window_make(&job->targets, capacity) &&
           (job->source_lines = ksk_lines_open(job->settings->source)) &&
           (job->target_lines = ksk_lines_open(job->settings->target));
}

static bool run_job(const settings *s, ksk_translator *translator, int batch_size)
{
    score_job job = {.settings = s, .translator = translator};
    const bool ok = make_job(&job, WINDOW_BATCHES * batch_size) && score_all(&job);
    ksk_lines_close(job.source_lines);
    ksk_lines_close(job.target_lines);
    ksk_window_free(&job.sources);
    ksk_window_free(&job.targets);
    ksk_free(job.log_probs);
    ksk_free(job.tokens);
    return ok;
}

static int run(int argc, char **argv)
{
    settings s = {.precision = KSK_PRECISION_FULL};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    if (!strcmp(s.source, "-") && !strcmp(s.target, "-")) {
        ksk_complain("only one of --source and --target can be the standard input");
        return KSK_EXIT_USAGE;
    }
    ksk_error err = {0};
    const ksk_load_options load = {.precision = (ksk_precision)s.precision};
    ksk_model *model = ksk_model_load(s.model, &load, &err);
    ksk_translator *translator = NULL;
    bool ok = false;
    if (model) {
        ksk_translate_options options = ksk_translate_defaults(model);
        options.threads = s.threads;
        if (s.batch_size)
            options.batch_size = s.batch_size;
        translator = ksk_translator_new(model, &options, &err);
        if (translator)
            ok = run_job(&s, translator, options.batch_size);
    }
    if (!translator)
        ksk_complain("%s", err.message);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_score = {
    .name = "score",
    .arguments = "-m DIR --source S --target T",
    .summary = "Log-probability of given translations, one line a pair",
    .details =
        "The natural logarithm of the probability that the model gives each target line, the\n"
        "end token included.",
    .example = "  kaskad score -m models/tatoeba-deu-eng --source test.de --target test.en",
    .run = run,
};
