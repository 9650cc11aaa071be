/* kaskad metric: how near a text is to its references. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/lines.h"
#include "kaskad/extend.h"

typedef struct settings {
    ksk_texts references;
    ksk_metric_options metric;
    int tokenizer, smoothing;
    bool sentence, json;
    int width;
    const char *metric_name; /* as ksk_metric_find knows it */
    bool is_bleu;
    char name[60];
    const char *baseline;
    int resamples;
    uint64_t seed;
} settings;

static const char tokenizers[] = "13a|none";
static const char smoothings[] = "exp|floor|add-k|none";
static const char *const tokenizer_names[] = {"13a", "none"};
static const char *const smoothing_names[] = {"exp", "floor", "add-k", "none"};

static bool parse(int argc, char **argv, settings *s, int *status)
{
    ksk_metric_options *m = &s->metric;
    const ksk_option options[] = {
        KSK_NEEDED_TEXTS("reference", 'r', "FILE", "a reference, line by line; more may follow",
                         &s->references),
        KSK_FLAG("sentence", 's', "one score a line instead of one in all", &s->sentence),
        KSK_FLAG("json", 0, "JSON instead of text", &s->json),
        KSK_FLAG("lowercase", 0, "compare in lower case", &m->lowercase),
        KSK_INT("width", 'w', "N", "decimals of the scores (2)", &s->width, 0, 9),
        KSK_HEADING("Comparison (paired bootstrap resampling)"),
        KSK_TEXT("baseline", 0, "FILE", "another system's output, to compare with", &s->baseline),
        KSK_INT("resamples", 0, "N", "how often lines are drawn (1000)", &s->resamples, 40,
                1000000),
        KSK_UINT64("seed", 0, "N", "the same seed draws the same lines (0)", &s->seed),
        KSK_HEADING("BLEU"),
        KSK_CHOICE("tokenize", 0, tokenizers, "how words are cut (13a)", &s->tokenizer),
        KSK_CHOICE("smooth", 0, smoothings, "precisions without a match (exp)", &s->smoothing),
        KSK_HEADING("chrF"),
        KSK_INT("word-order", 0, "N", "word n-grams; 2 is chrF++ (0)", &m->word_order, 0, 4),
        KSK_INT("char-order", 0, "N", "character n-grams (6)", &m->character_order, 1, 20),
        KSK_INT("beta", 0, "N", "weight of recall (2)", &m->beta, 1, 100),
        KSK_OPTIONS_END,
    };
    ksk_texts rest = {0};
    if (!ksk_options_parse(&ksk_command_metric, options, argc, argv, &rest, status))
        return false;
    *status = KSK_EXIT_USAGE;
    if (rest.count == 0 || !ksk_metric_find(rest.at[0])) {
        ksk_complain("there is no metric '%s'; `kaskad plugin list` shows those that there are",
                     rest.count ? rest.at[0] : "");
        return false;
    }
    s->metric_name = rest.at[0];
    s->is_bleu = !strcmp(s->metric_name, "bleu");
    if (s->baseline && s->sentence) {
        ksk_complain("--baseline compares whole texts; it does not go with --sentence");
        return false;
    }
    for (int i = 1; i < rest.count; i++) { /* -r REF REF … */
        if (s->references.count == KSK_MOST_TEXTS) {
            ksk_complain("there may be %d references at most", KSK_MOST_TEXTS);
            return false;
        }
        s->references.at[s->references.count++] = rest.at[i];
    }
    s->metric.tokenizer = tokenizer_names[s->tokenizer];
    s->metric.smoothing = smoothing_names[s->smoothing];
    s->metric.effective_order = s->sentence;
    return true;
}

static void print_bleu_parts(const ksk_metric_result *result)
{
    const int64_t hypothesis = result->hypothesis_length, reference = result->reference_length;
    printf(" %.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)",
           result->precisions[0], result->precisions[1], result->precisions[2],
           result->precisions[3], result->brevity_penalty,
           reference ? (double)hypothesis / (double)reference : 0, (long long)hypothesis,
           (long long)reference);
}

static void print_text(const settings *s, const ksk_metric_result *result)
{
    printf("%s|%s = %.*f", s->name, result->signature, s->width, result->score);
    if (s->is_bleu)
        print_bleu_parts(result);
    putchar('\n');
}

static void print_json(const settings *s, const ksk_metric_result *result, int line)
{
    putchar('{');
    ksk_json_name("name", true);
    ksk_json_text(s->name);
    if (line) {
        ksk_json_name("line", false);
        ksk_json_integer(line);
    }
    ksk_json_name("score", false);
    printf("%.*f", s->width, result->score);
    ksk_json_name("signature", false);
    ksk_json_text(result->signature);
    if (s->is_bleu) {
        ksk_json_name("precisions", false);
        for (int n = 0; n < 4; n++)
            printf("%s%.*f", n ? ", " : "[", s->width, result->precisions[n]);
        putchar(']');
        ksk_json_name("brevity_penalty", false);
        ksk_json_number(result->brevity_penalty);
        ksk_json_name("hypothesis_length", false);
        ksk_json_integer(result->hypothesis_length);
        ksk_json_name("reference_length", false);
        ksk_json_integer(result->reference_length);
    }
    puts("}");
}

typedef struct texts {
    char **hypotheses, **baseline, **references[KSK_MOST_TEXTS];
    int count, baseline_count, reference_counts[KSK_MOST_TEXTS];
} texts;

/* A file that must have as many lines as the standard input. */
static bool read_beside(const texts *t, const char *path, char ***lines, int *count)
{
    *lines = ksk_lines_read_all(path, count);
    if (!*lines)
        return false;
    if (*count == t->count)
        return true;
    ksk_complain("%s has %d lines, but the standard input has %d", path, *count, t->count);
    return false;
}

static bool read_texts(const settings *s, texts *t)
{
    t->hypotheses = ksk_lines_read_all("-", &t->count);
    if (!t->hypotheses)
        return false;
    for (int r = 0; r < s->references.count; r++)
        if (!read_beside(t, s->references.at[r], &t->references[r], &t->reference_counts[r]))
            return false;
    return !s->baseline || read_beside(t, s->baseline, &t->baseline, &t->baseline_count);
}

/* Scores `count` lines from `first` on. */
static bool measure(const settings *s, const texts *t, int first, int count,
                    ksk_metric_result *result)
{
    const char *const *references[KSK_MOST_TEXTS];
    for (int r = 0; r < s->references.count; r++)
        references[r] = (const char *const *)t->references[r] + first;
    const char *const *hypotheses = (const char *const *)t->hypotheses + first;
    ksk_error err = {0};
    const bool ok = ksk_metric_measure(s->metric_name, count, hypotheses, s->references.count,
                                       references, &s->metric, result, &err);
    if (!ok)
        ksk_complain("%s", err.message);
    return ok;
}

static bool print_scores(const settings *s, const texts *t)
{
    ksk_metric_result result;
    const int step = s->sentence ? 1 : t->count;
    for (int i = 0; i < t->count; i += step) {
        if (!measure(s, t, i, step, &result))
            return false;
        if (s->json)
            print_json(s, &result, s->sentence ? i + 1 : 0);
        else if (s->sentence)
            printf("%.*f\n", s->width, result.score);
        else
            print_text(s, &result);
    }
    return true;
}

/* --- against a baseline ----------------------------------------------------------------------- */

static void print_estimate(const settings *s, const char *who, const ksk_estimate *estimate)
{
    printf("%-8s = %.*f (mean %.*f, 95 %%: +- %.*f)\n", who, s->width, estimate->score, s->width,
           estimate->mean, s->width, estimate->interval);
}

static void print_comparison(const settings *s, const ksk_metric_result *signed_by,
                             const ksk_comparison *c)
{
    printf("%s|%s\npaired bootstrap, %d resamples, seed %llu\n", s->name, signed_by->signature,
           s->resamples, (unsigned long long)s->seed);
    print_estimate(s, "system", &c->system);
    print_estimate(s, "baseline", &c->baseline);
    printf("system - baseline = %+.*f (95 %%: %+.*f to %+.*f), p = %.4f\n", s->width,
           c->system.score - c->baseline.score, s->width, c->low, s->width, c->high, c->p_value);
}

static void print_estimate_json(const char *who, const ksk_estimate *estimate)
{
    ksk_json_name(who, false);
    putchar('{');
    ksk_json_name("score", true);
    ksk_json_number(estimate->score);
    ksk_json_name("mean", false);
    ksk_json_number(estimate->mean);
    ksk_json_name("interval", false);
    ksk_json_number(estimate->interval);
    putchar('}');
}

static void print_comparison_json(const settings *s, const ksk_metric_result *signed_by,
                                  const ksk_comparison *c)
{
    putchar('{');
    ksk_json_name("name", true);
    ksk_json_text(s->name);
    ksk_json_name("signature", false);
    ksk_json_text(signed_by->signature);
    ksk_json_name("resamples", false);
    ksk_json_integer(s->resamples);
    print_estimate_json("system", &c->system);
    print_estimate_json("baseline", &c->baseline);
    ksk_json_name("difference", false);
    ksk_json_number(c->system.score - c->baseline.score);
    ksk_json_name("low", false);
    ksk_json_number(c->low);
    ksk_json_name("high", false);
    ksk_json_number(c->high);
    ksk_json_name("p_value", false);
    ksk_json_number(c->p_value);
    puts("}");
}

static bool compare(const settings *s, const texts *t)
{
    const ksk_compare_options options = {.metric = s->metric_name,
                                         .scoring = &s->metric,
                                         .resamples = s->resamples,
                                         .seed = s->seed};
    const char *const *references[KSK_MOST_TEXTS];
    for (int r = 0; r < s->references.count; r++)
        references[r] = (const char *const *)t->references[r];
    ksk_metric_result result; /* for its signature */
    ksk_comparison comparison;
    ksk_error err = {0};
    if (!measure(s, t, 0, t->count, &result))
        return false;
    if (!ksk_metric_compare(t->count, (const char *const *)t->hypotheses,
                            (const char *const *)t->baseline, s->references.count, references,
                            &options, &comparison, &err))
        return !ksk_complain("%s", err.message);
    (s->json ? print_comparison_json : print_comparison)(s, &result, &comparison);
    return true;
}

/* As sacreBLEU heads its scores; a plugin's are headed by the metric's own name. */
static void name_score(settings *s)
{
    if (s->is_bleu)
        snprintf(s->name, sizeof s->name, "BLEU");
    else if (!strcmp(s->metric_name, "chrf"))
        snprintf(s->name, sizeof s->name, "chrF%d%.*s", s->metric.beta, s->metric.word_order,
                 "++++");
    else
        snprintf(s->name, sizeof s->name, "%s", s->metric_name);
}

static int run(int argc, char **argv)
{
    settings s = {.metric = ksk_metric_defaults(), .width = 2, .resamples = 1000};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    name_score(&s);
    texts t = {0};
    bool ok = read_texts(&s, &t) && (s.baseline ? compare : print_scores)(&s, &t);
    ok = ksk_flush_output() && ok;
    ksk_lines_free_all(t.hypotheses, t.count);
    ksk_lines_free_all(t.baseline, t.baseline_count);
    for (int r = 0; r < s.references.count; r++)
        ksk_lines_free_all(t.references[r], t.reference_counts[r]);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_metric = {
    .name = "metric",
    .arguments = "bleu|chrf|NAME -r REF... < HYP",
    .summary = "BLEU or chrF of a text against its references",
    .details =
        "Equal to sacreBLEU 2.6.0 to the printed digit, with its signature. NAME is a plugin's\n"
        "metric (`kaskad plugin list`).",
    .example =
        "  kaskad translate -m models/tatoeba-deu-eng < test.de | kaskad metric bleu -r test.en",
    .run = run,
};
