/* kaskad diagnose: what decoders do to language, their outputs beside what people wrote. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/lines.h"
#include "kaskad/diagnose.h"
#include "kaskad/kaskad.h"

enum { MOST_GROUPS = KSK_MOST_TEXTS + 1, NAME_ROOM = 100 };

static const char *const gram_names[KSK_GRAMS] = {"unigram", "bigram", "skip_bigram"};

typedef struct settings {
    const char *reference, *train;
    bool json;
} settings;

/* The references and then the outputs, each with what is found out of it. */
typedef struct group {
    char name[NAME_ROOM];
    char **lines;
    int count;
    ksk_text_facts facts;
    double bleu, chrf; /* NAN: the references themselves */
    ksk_posterior length, agreement[KSK_GRAMS];
    double divergence[KSK_GRAMS];
} group;

typedef struct report {
    group groups[MOST_GROUPS];
    int count;
    bool trained; /* there is a training text, and so there are posteriors */
} report;

/* --- reading ------------------------------------------------------------------------------------
 */

static bool read_group(report *r, const char *name, size_t length, const char *path)
{
    group *const g = &r->groups[r->count];
    snprintf(g->name, sizeof g->name, "%.*s", (int)length, name);
    g->lines = ksk_lines_read_all(path, &g->count);
    if (!g->lines)
        return false;
    r->count++;
    if (g->count == r->groups->count)
        return true;
    return !ksk_complain("%s has %d lines, but the references have %d", path, g->count,
                         r->groups->count);
}

/* NAME=FILE, or a file that is its own name. */
static bool read_outputs(report *r, const char *given)
{
    const char *const equals = strchr(given, '=');
    return equals ? read_group(r, given, (size_t)(equals - given), equals + 1)
                  : read_group(r, given, strlen(given), given);
}

static bool read_all(const settings *s, const ksk_texts *outputs, report *r)
{
    static const char people[] = "references";
    bool ok = read_group(r, people, strlen(people), s->reference);
    for (int i = 0; ok && i < outputs->count; i++)
        ok = read_outputs(r, outputs->at[i]);
    return ok;
}

/* --- finding out --------------------------------------------------------------------------------
 */

static const char *const *lines_of(const group *g)
{
    return (const char *const *)g->lines;
}

static bool measure(const report *r, group *g, ksk_error *err)
{
    const char *const *const references = lines_of(r->groups);
    ksk_metric_result bleu, chrf;
    if (!ksk_metric_bleu(g->count, lines_of(g), 1, &references, NULL, &bleu, err) ||
        !ksk_metric_chrf(g->count, lines_of(g), 1, &references, NULL, &chrf, err))
        return false;
    g->bleu = bleu.score;
    g->chrf = chrf.score;
    return true;
}

static bool believe(const ksk_study *study, report *r, ksk_error *err)
{
    static ksk_posterior found[MOST_GROUPS];
    if (!ksk_study_lengths(study, found, err))
        return false;
    for (int i = 0; i < r->count; i++)
        r->groups[i].length = found[i];
    for (int k = 0; k < KSK_GRAMS; k++) {
        if (!ksk_study_agreement(study, (ksk_gram)k, found, err))
            return false;
        for (int i = 0; i < r->count; i++)
            r->groups[i].agreement[k] = found[i];
    }
    return true;
}

static bool study_groups(ksk_study *study, report *r, ksk_error *err)
{
    for (int i = 0; i < r->count; i++) {
        group *const g = &r->groups[i];
        g->bleu = g->chrf = NAN;
        if (ksk_study_add(study, g->count, lines_of(g), err) < 0 || (i && !measure(r, g, err)))
            return false;
        g->facts = ksk_study_facts(study, i);
        for (int k = 0; k < KSK_GRAMS; k++)
            g->divergence[k] = ksk_study_divergence(study, (ksk_gram)k, 0, i);
    }
    return !r->trained || believe(study, r, err);
}

static bool find_out(const settings *s, report *r)
{
    int count = 0;
    char **const train = s->train ? ksk_lines_read_all(s->train, &count) : NULL;
    if (s->train && !train)
        return false;
    ksk_error err = {0};
    r->trained = train != NULL;
    ksk_study *const study = ksk_study_new(count, (const char *const *)train, &err);
    ksk_lines_free_all(train, count);
    const bool ok = study && study_groups(study, r, &err);
    ksk_study_free(study);
    return ok || !ksk_complain("%s", err.message);
}

/* --- output -------------------------------------------------------------------------------------
 */

static int widest_name(const report *r)
{
    int widest = 0;
    for (int i = 0; i < r->count; i++) {
        const int width = (int)strlen(r->groups[i].name);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void print_score(double score)
{
    if (isnan(score))
        printf("  %6s", "-");
    else
        printf("  %6.2f", score);
}

static void print_texts(const report *r, int width)
{
    printf("%-*s  %6s  %6s  %8s  %6s  %6s  %6s  %6s  %5s  %5s  %6s  %6s\n", width, "", "BLEU",
           "chrF2", "words", "ratio", "dist-1", "dist-2", "repeat", "loops", "empty", "JS-1",
           "JS-2");
    for (int i = 0; i < r->count; i++) {
        const group *const g = &r->groups[i];
        const ksk_text_facts *const f = &g->facts;
        printf("%-*s", width, g->name);
        print_score(g->bleu);
        print_score(g->chrf);
        printf("  %8lld  %6.3f  %6.3f  %6.3f  %6.4f  %5d  %5d  %6.4f  %6.4f\n", f->words,
               (double)f->words / fmax(1, (double)r->groups->facts.words), f->distinct[0],
               f->distinct[1], f->repeated, f->loops, f->empty, g->divergence[0], g->divergence[1]);
    }
}

static void print_belief(const ksk_posterior *p)
{
    printf(" %.4g [%.4g, %.4g]", p->mean, p->low, p->high);
}

static void print_beliefs(const report *r, int width)
{
    printf("\nPosterior means, and where 95 %% lie: mean length in words; agreement with the "
           "training text (larger: closer)\n");
    for (int i = 0; i < r->count; i++) {
        const group *const g = &r->groups[i];
        printf("%-*s  length", width, g->name);
        print_belief(&g->length);
        for (int k = 0; k < KSK_GRAMS; k++) {
            printf("  %s", gram_names[k]);
            print_belief(&g->agreement[k]);
        }
        putchar('\n');
    }
}

static void json_number(const char *name, bool first, double value)
{
    ksk_json_name(name, first);
    ksk_json_number(value);
}

static void json_belief(const char *name, bool first, const ksk_posterior *p)
{
    ksk_json_name(name, first);
    putchar('{');
    json_number("mean", true, p->mean);
    json_number("low", false, p->low);
    json_number("high", false, p->high);
    putchar('}');
}

static void json_grams(const char *name, const double values[KSK_GRAMS])
{
    ksk_json_name(name, false);
    putchar('{');
    for (int k = 0; k < KSK_GRAMS; k++)
        json_number(gram_names[k], k == 0, values[k]);
    putchar('}');
}

static void json_beliefs(const group *g)
{
    json_belief("mean_length", false, &g->length);
    ksk_json_name("agreement", false);
    putchar('{');
    for (int k = 0; k < KSK_GRAMS; k++)
        json_belief(gram_names[k], k == 0, &g->agreement[k]);
    putchar('}');
}

/* An object a line, the references first. */
static void print_json(const report *r)
{
    for (int i = 0; i < r->count; i++) {
        const group *const g = &r->groups[i];
        putchar('{');
        ksk_json_name("name", true);
        ksk_json_text(g->name);
        json_number("bleu", false, g->bleu);
        json_number("chrf", false, g->chrf);
        ksk_json_name("lines", false);
        ksk_json_integer(g->facts.lines);
        ksk_json_name("empty", false);
        ksk_json_integer(g->facts.empty);
        ksk_json_name("words", false);
        ksk_json_integer(g->facts.words);
        ksk_json_name("longest", false);
        ksk_json_integer(g->facts.longest);
        json_number("length_ratio", false,
                    (double)g->facts.words / fmax(1, (double)r->groups->facts.words));
        json_grams("distinct", g->facts.distinct);
        json_number("repeated", false, g->facts.repeated);
        ksk_json_name("loops", false);
        ksk_json_integer(g->facts.loops);
        json_grams("divergence", g->divergence);
        if (r->trained)
            json_beliefs(g);
        puts("}");
    }
}

static void print(const settings *s, const report *r)
{
    if (s->json) {
        print_json(r);
        return;
    }
    const int width = widest_name(r);
    print_texts(r, width);
    if (r->trained)
        print_beliefs(r, width);
}

static int run(int argc, char **argv)
{
    static report r;
    settings s = {0};
    ksk_texts outputs = {.count = 0};
    int status;
    const ksk_option options[] = {
        KSK_NEEDED("reference", 'r', "FILE", "what people wrote, a line a source", &s.reference),
        KSK_TEXT("train", 0, "FILE", "target side of the training text; - is the standard input",
                 &s.train),
        KSK_FLAG("json", 0, "one JSON object a text, the references first", &s.json),
        KSK_OPTIONS_END,
    };
    if (!ksk_options_parse(&ksk_command_diagnose, options, argc, argv, &outputs, &status))
        return status;
    bool ok = read_all(&s, &outputs, &r) && find_out(&s, &r);
    if (ok)
        print(&s, &r);
    ok = ksk_flush_output() && ok;
    for (int i = 0; i < r.count; i++)
        ksk_lines_free_all(r.groups[i].lines, r.groups[i].count);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_diagnose = {
    .name = "diagnose",
    .arguments = "-r REF [--train TRAIN] [NAME=]FILE...",
    .summary = "What decoders do to language: their outputs beside references",
    .details = "Lengths, n-grams, repetition and distinctness of outputs, and how closely they "
               "follow the\n"
               "training text, by the Bayesian models of Eikema & Aziz 2020.",
    .example = "  kaskad diagnose -r test.en --train train.en beam=beam5.en sample=sample.en",
    .run = run,
};
