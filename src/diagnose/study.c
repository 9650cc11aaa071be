#include <limits.h>

#include "diagnose/dirichlet.h"
#include "diagnose/facts.h"
#include "diagnose/lengths.h"
#include "kaskad/memory.h"

enum { MOST_LENGTHS = 100000 };

/* A text, with all that is asked of it. */
typedef struct text {
    ksk_gram_counts grams[KSK_GRAMS];
    ksk_lengths lengths;
    ksk_text_facts facts;
} text;

struct ksk_study {
    ksk_dictionary dictionary;
    ksk_trie tries[KSK_GRAMS];
    text training; /* no lines: there is none */
    text *groups;
    size_t count, capacity;
};

static void free_text(text *t)
{
    for (int k = 0; k < KSK_GRAMS; k++)
        ksk_free(t->grams[k].at);
    ksk_free(t->lengths.length);
    ksk_free(t->lengths.times);
}

void ksk_study_free(ksk_study *study)
{
    if (!study)
        return;
    for (size_t g = 0; g < study->count; g++)
        free_text(&study->groups[g]);
    free_text(&study->training);
    for (int k = 0; k < KSK_GRAMS; k++)
        ksk_free(study->tries[k].slots);
    ksk_dictionary_free(&study->dictionary);
    ksk_free(study->groups);
    ksk_free(study);
}

/* Reads a text; it is the caller's to free after a failure, too. */
static bool read_text(ksk_study *study, int count, const char *const *lines, text *t,
                      ksk_error *err)
{
    ksk_worded words = {0};
    bool ok = ksk_words_cut(&study->dictionary, count, lines, &words, err);
    bool room = true;
    for (int k = 0; ok && room && k < KSK_GRAMS; k++)
        room = ksk_grams_count(&study->tries[k], (ksk_gram)k, &words, &t->grams[k]);
    room = ok && room && ksk_lengths_count(&words, MOST_LENGTHS, &t->lengths);
    room = room && ksk_facts_count(&words, t->grams, &t->facts);
    ksk_worded_free(&words);
    return ok && (room || ksk_fail_memory(err));
}

ksk_study *ksk_study_new(int count, const char *const *training, ksk_error *err)
{
    ksk_study *const study = ksk_calloc(1, sizeof *study);
    if (!study)
        ksk_fail_memory(err);
    if (study && (count <= 0 || read_text(study, count, training, &study->training, err)))
        return study;
    ksk_study_free(study);
    return NULL;
}

int ksk_study_add(ksk_study *study, int count, const char *const *lines, ksk_error *err)
{
    const int wanted = study->count ? study->groups[0].facts.lines : count;
    if (count < 1 || count != wanted) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "a group of a study has %d lines; expected %s %d", count,
                 count < 1 ? "at least" : "as many as the first,", count < 1 ? 1 : wanted);
        return -1;
    }
    if (!ksk_grow(&study->groups, &study->capacity, study->count + 1, sizeof *study->groups)) {
        ksk_fail_memory(err);
        return -1;
    }
    text *const t = &study->groups[study->count];
    *t = (text){0};
    if (read_text(study, count, lines, t, err))
        return (int)study->count++;
    free_text(t);
    return -1;
}

ksk_text_facts ksk_study_facts(const ksk_study *study, int group)
{
    if (group >= (int)study->count)
        return (ksk_text_facts){0};
    return group < 0 ? study->training.facts : study->groups[group].facts;
}

static bool check(const ksk_study *study, ksk_error *err)
{
    if (!study->count)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a study without groups has nothing to say");
    if (!study->training.facts.words)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "what outputs are compared with is training text, and there is none");
    return true;
}

bool ksk_study_lengths(const ksk_study *study, ksk_posterior *posteriors, ksk_error *err)
{
    if (!check(study, err))
        return false;
    ksk_lengths *const lengths = ksk_calloc(study->count, sizeof *lengths);
    if (!lengths)
        return ksk_fail_memory(err);
    for (size_t g = 0; g < study->count; g++)
        lengths[g] = study->groups[g].lengths;
    const double mu = ksk_lengths_scale(&study->training.lengths);
    const bool ok = ksk_lengths_means(mu, (int)study->count, lengths, posteriors, err);
    ksk_free(lengths);
    return ok;
}

/* --- agreement ----------------------------------------------------------------------------------
 */

/* Types that occur anywhere: what the training text has not seen may still be said. */
static double known_types(const ksk_study *study, ksk_gram kind)
{
    double types = 0;
    for (size_t node = 0; node < study->tries[kind].count; node++) {
        bool found = ksk_grams_of(&study->training.grams[kind], node) > 0;
        for (size_t g = 0; !found && g < study->count; g++)
            found = ksk_grams_of(&study->groups[g].grams[kind], node) > 0;
        types += found;
    }
    return types;
}

static size_t fill_cells(const ksk_gram_counts *counts, const ksk_gram_counts *training,
                         double smoothing, double types, ksk_cell *cells)
{
    const double total = (double)training->total + smoothing * types;
    size_t used = 0;
    for (size_t node = 0; node < counts->nodes; node++)
        if (counts->at[node])
            cells[used++] = (ksk_cell){
                counts->at[node], ((double)ksk_grams_of(training, node) + smoothing) / total, 1};
    return ksk_cells_join(cells, used);
}

/* The pseudo-count of each type that the training text itself suggests: it is taken to be drawn
 * from a symmetric Dirichlet. */
static double smoothing_of(const ksk_gram_counts *training, double types, ksk_cell *cells)
{
    size_t used = 0;
    for (size_t node = 0; node < training->nodes; node++)
        if (training->at[node])
            cells[used++] = (ksk_cell){training->at[node], 1 / types, 1};
    ksk_posterior total;
    ksk_concentration(cells, ksk_cells_join(cells, used), &total);
    return total.mean / types;
}

bool ksk_study_agreement(const ksk_study *study, ksk_gram kind, ksk_posterior *posteriors,
                         ksk_error *err)
{
    if (!check(study, err))
        return false;
    const ksk_gram_counts *const training = &study->training.grams[kind];
    ksk_cell *const cells = ksk_calloc(study->tries[kind].count + 1, sizeof *cells);
    if (!cells)
        return ksk_fail_memory(err);
    const double types = known_types(study, kind);
    const double smoothing = types > 0 ? smoothing_of(training, types, cells) : 1;
    for (size_t g = 0; g < study->count; g++) {
        const size_t used =
            fill_cells(&study->groups[g].grams[kind], training, smoothing, types, cells);
        ksk_concentration(cells, used, &posteriors[g]);
    }
    ksk_free(cells);
    return true;
}

double ksk_study_divergence(const ksk_study *study, ksk_gram kind, int a, int b)
{
    const int groups = (int)study->count;
    if (a < 0 || a >= groups || b < 0 || b >= groups)
        return 1;
    return ksk_grams_divergence(&study->groups[a].grams[kind], &study->groups[b].grams[kind]);
}
