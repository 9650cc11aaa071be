/* kaskad shortlist: which target tokens a source sentence may need, learned from sentence pairs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/stop.h"
#include "kaskad/shortlist.h"

typedef struct settings {
    const char *model, *data, *source, *target, *out, *dev;
    int limit, per_token, frequent, iterations;
    bool json, quiet;
} settings;

static bool parse(int argc, char **argv, settings *s, int *status)
{
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "the checkpoint that it is for", &s->model),
        KSK_TEXT("data", 'd', "TSV", "pairs, SOURCE<TAB>TARGET a line; .gz is read too", &s->data),
        KSK_TEXT("source", 's', "FILE", "or sources, one a line,", &s->source),
        KSK_TEXT("target", 0, "FILE", "and their targets", &s->target),
        KSK_NEEDED("out", 'o', "FILE", "the shortlist; DIR/shortlist.bin is where it is looked for",
                   &s->out),
        KSK_INT("limit", 0, "N", "only the first N pairs; 0: all (0)", &s->limit, 0, 1 << 30),
        KSK_HEADING("Lists"),
        KSK_INT("per-token", 0, "N", "candidates of each source token (50)", &s->per_token, 1,
                10000),
        KSK_INT("frequent", 0, "F", "frequent target tokens that every list has (100)",
                &s->frequent, 0, 1 << 22),
        KSK_INT("iterations", 0, "I", "of Model 1 (3)", &s->iterations, 1, 100),
        KSK_HEADING("Output"),
        KSK_TEXT("dev", 0, "TSV", "pairs to measure with: are their targets' tokens in the lists?",
                 &s->dev),
        KSK_FLAG("json", 0, "the result as one JSON object", &s->json),
        KSK_FLAG("quiet", 'q', "no progress", &s->quiet),
        KSK_OPTIONS_END,
    };
    return ksk_options_parse(&ksk_command_shortlist, options, argc, argv, NULL, status);
}

/* --- progress -----------------------------------------------------------------------------------
 */

/* A line that is written over on a terminal, and a line each time elsewhere. */
static bool watch(void *context, const ksk_shortlist_progress *p)
{
    const bool terminal = isatty(STDERR_FILENO);
    if (*(const bool *)context)
        return !ksk_stop_asked();
    fprintf(stderr, "%s%s", terminal ? "\r" : "", p->stage);
    if (p->done)
        fprintf(stderr, ", iteration %d of %d", p->done, p->iterations);
    fprintf(stderr, ", %.1f s%s", p->seconds, terminal ? " …\033[K" : "\n");
    fflush(stderr);
    return !ksk_stop_asked();
}

/* --- output ----------------------------------------------------------------------------------- */

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void print_json(const settings *s, const ksk_shortlist_result *r)
{
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"pairs", r->pairs},
                  {"left_out", r->left_out},
                  {"always", r->always},
                  {"candidates", r->candidates},
                  {"bytes", r->bytes}};
    putchar('{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        ksk_json_name(counts[i].name, i == 0);
        ksk_json_integer(counts[i].value);
    }
    if (s->dev) {
        ksk_json_name("dev", false);
        putchar('{');
        ksk_json_name("sentences", true);
        ksk_json_integer(r->sentences);
        ksk_json_name("tokens", false);
        ksk_json_integer(r->tokens);
        ksk_json_name("covered", false);
        ksk_json_number(share(r->covered, r->tokens));
        ksk_json_name("whole_sentences", false);
        ksk_json_number(share(r->whole, r->sentences));
        ksk_json_name("mean_list", false);
        ksk_json_number(r->mean_list);
        putchar('}');
    }
    ksk_json_name("seconds", false);
    ksk_json_number(r->seconds);
    puts("}");
}

static void print_text(const settings *s, const ksk_shortlist_result *r)
{
    printf("%s: %" PRId64 " candidates, %" PRId64 " tokens in every list, %" PRId64
           " bytes; from %" PRId64 " pairs in %.1f s\n",
           s->out, r->candidates, r->always, r->bytes, r->pairs, r->seconds);
    if (s->dev)
        printf("%s: lists of %.0f tokens on average have %.2f %% of %" PRId64
               " target tokens, and all those of %.2f %% of %" PRId64 " sentences\n",
               s->dev, r->mean_list, 100 * share(r->covered, r->tokens), r->tokens,
               100 * share(r->whole, r->sentences), r->sentences);
}

/* --- the work --------------------------------------------------------------------------------- */

static bool learn(settings *s, const ksk_model *model, ksk_shortlist_result *result, ksk_error *err)
{
    ksk_shortlist_options options = ksk_shortlist_defaults();
    options.data = s->data;
    options.source = s->source;
    options.target = s->target;
    options.dev = s->dev;
    options.limit = s->limit;
    options.watch = watch;
    options.context = &s->quiet;
    if (s->per_token)
        options.per_token = s->per_token;
    if (s->frequent >= 0)
        options.frequent = s->frequent;
    if (s->iterations)
        options.iterations = s->iterations;
    const bool ok = ksk_shortlist_learn(model, &options, s->out, result, err);
    if (!s->quiet && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return ok;
}

static int run(int argc, char **argv)
{
    settings s = {.frequent = -1};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    if (!s.data == !(s.source && s.target) || !s.source != !s.target) {
        ksk_complain("give either --data, or --source and --target");
        return KSK_EXIT_USAGE;
    }
    ksk_error err = {0};
    ksk_shortlist_result result = {0};
    ksk_stop_catch();
    ksk_model *model = ksk_model_load(s.model, NULL, &err);
    const bool ok = model && learn(&s, model, &result, &err);
    ksk_model_free(model);
    if (!ok) {
        ksk_complain("%s", err.message);
        return ksk_stop_status();
    }
    if (s.json)
        print_json(&s, &result);
    else
        print_text(&s, &result);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_shortlist = {
    .name = "shortlist",
    .arguments = "-m DIR --data TSV --out FILE [OPTIONS]",
    .summary = "Learn which target tokens a source sentence may need",
    .details =
        "Learns from sentence pairs what translates what, token by token (IBM Model 1), and "
        "writes\n"
        "the likeliest candidates of each source token. The list of a sentence is those of its\n"
        "tokens together with the most frequent target tokens. A longer list leaves out less, and\n"
        "costs more: --dev shows both.",
    .example =
        "  kaskad shortlist -m models/tatoeba-deu-eng \\\n"
        "      --data data/tatoeba-deu-eng/train.tsv.gz --dev data/tatoeba-deu-eng/dev.tsv \\\n"
        "      --out models/tatoeba-deu-eng/shortlist.bin",
    .run = run,
};
