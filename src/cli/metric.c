/* kaskad metric: how near a text is to its references. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/lines.h"
#include "kaskad/kaskad.h"

typedef struct settings {
    ksk_texts references;
    ksk_metric_options metric;
    int tokenizer, smoothing;
    bool sentence, json;
    int width;
    bool is_bleu;
    char name[16];
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
    if (rest.count == 0 || (strcmp(rest.at[0], "bleu") != 0 && strcmp(rest.at[0], "chrf") != 0)) {
        ksk_complain("the metric is bleu or chrf, not '%s'", rest.count ? rest.at[0] : "");
        return false;
    }
    s->is_bleu = !strcmp(rest.at[0], "bleu");
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
    char **hypotheses, **references[KSK_MOST_TEXTS];
    int count, reference_counts[KSK_MOST_TEXTS];
} texts;

static bool read_texts(const settings *s, texts *t)
{
    t->hypotheses = ksk_lines_read_all("-", &t->count);
    if (!t->hypotheses)
        return false;
    for (int r = 0; r < s->references.count; r++) {
        int *count = &t->reference_counts[r];
        t->references[r] = ksk_lines_read_all(s->references.at[r], count);
        if (!t->references[r])
            return false;
        if (*count != t->count) {
            ksk_complain("%s has %d lines, but the standard input has %d", s->references.at[r],
                         *count, t->count);
            return false;
        }
    }
    return true;
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
    const bool ok = (s->is_bleu ? ksk_metric_bleu : ksk_metric_chrf)(
        count, hypotheses, s->references.count, references, &s->metric, result, &err);
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

static int run(int argc, char **argv)
{
    settings s = {.metric = ksk_metric_defaults(), .width = 2};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    if (s.is_bleu)
        snprintf(s.name, sizeof s.name, "BLEU");
    else
        snprintf(s.name, sizeof s.name, "chrF%d%.*s", s.metric.beta, s.metric.word_order, "++++");
    texts t = {0};
    bool ok = read_texts(&s, &t) && print_scores(&s, &t);
    ok = ksk_flush_output() && ok;
    ksk_lines_free_all(t.hypotheses, t.count);
    for (int r = 0; r < s.references.count; r++)
        ksk_lines_free_all(t.references[r], t.reference_counts[r]);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_metric = {
    .name = "metric",
    .arguments = "bleu|chrf -r REF... < HYP",
    .summary = "BLEU or chrF of a text against its references",
    .details = "Equal to sacreBLEU 2.6.0 to the printed digit, with its signature.",
    .example =
        "  kaskad translate -m models/tatoeba-deu-eng < test.de | kaskad metric bleu -r test.en",
    .run = run,
};
