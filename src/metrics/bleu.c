/* BLEU. Papineni, Roukos, Ward, Zhu 2002, "BLEU: a Method for Automatic Evaluation of Machine
 * Translation"; as sacreBLEU computes it (Post 2018, "A Call for Clarity in Reporting BLEU
 * Scores").
 *
 * Clipped n-gram matches and totals are summed over the corpus; the score is the geometric mean of
 * the four precisions, times a penalty when the hypotheses are shorter than the references. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/kaskad.h"
#include "metrics/metric.h"
#include "metrics/tokenize_13a.h"
#include "text/utf8.h"

enum { ORDERS = 4 };

/* Smoothing of precisions without a match (Chen & Cherry 2014, "A Systematic Comparison of
 * Smoothing Techniques for Sentence-Level BLEU"): method 3, 1, 2 and none. */
typedef enum smoothing { SMOOTH_EXP, SMOOTH_FLOOR, SMOOTH_ADD_K, SMOOTH_NONE } smoothing;
static const char *const smoothing_names[] = {"exp", "floor", "add-k", "none"};
static const char *const smoothing_signatures[] = {"exp", "floor[0.10]", "add-k[1.00]", "none"};
static const double floor_value = 0.1;
static const double add_k_value = 1;

typedef struct statistics {
    int64_t matches[ORDERS], totals[ORDERS];
    int64_t hypothesis_length, reference_length;
} statistics;

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (name && !strcmp(names[i], name))
            return i;
    return -1;
}

/* The n-grams of a line, as nodes of the segment's trie. */
static bool read_line(ksk_segment *segment, const char *line, const ksk_metric_options *options,
                      ksk_ngrams *ngrams)
{
    ksk_codepoints *text = &segment->text;
    if (!ksk_codepoints_set(text, line) || (options->lowercase && !ksk_codepoints_lower(text)))
        return false;
    while (text->count && ksk_utf8_space(text->at[text->count - 1]))
        text->count--;
    if (!strcmp(options->tokenizer, "13a") && !ksk_tokenize_13a(text))
        return false;

    segment->symbols.count = 0;
    for (size_t i = 0; i < text->count;) {
        size_t end = i;
        while (end < text->count && !ksk_utf8_space(text->at[end]))
            end++;
        if (end > i) {
            const uint32_t word = ksk_trie_path(&segment->words, text->at + i, end - i);
            if (!word || !ksk_codepoints_push(&segment->symbols, word))
                return false;
        }
        i = end + 1;
    }
    ngrams->orders = 0;
    return ksk_ngrams_add(ngrams, &segment->grams, segment->symbols.at, segment->symbols.count,
                          ORDERS);
}

static int64_t words_of(const ksk_ngrams *ngrams)
{
    return (int64_t)ngrams->ends[1];
}

/* The closer length, the shorter when both are as close. */
static int64_t closer(int64_t wanted, int64_t a, int64_t b)
{
    const int64_t to_a = llabs(wanted - a), to_b = llabs(wanted - b);
    return to_a < to_b || (to_a == to_b && a < b) ? a : b;
}

static bool add(void *space, const char *hypothesis, int reference_count,
                const char *const *references, const ksk_metric_options *options, int64_t *numbers)
{
    ksk_segment *const segment = space;
    statistics *const sums = (statistics *)numbers;
    ksk_trie_reset(&segment->words);
    ksk_trie_reset(&segment->grams);
    ksk_ngram_counts_clear(&segment->counts);
    if (!read_line(segment, hypothesis, options, &segment->hypothesis))
        return false;
    const int64_t length = words_of(&segment->hypothesis);
    int64_t closest = -1;
    for (int r = 0; r < reference_count; r++) {
        if (!read_line(segment, references[r], options, &segment->reference) ||
            !ksk_ngram_counts_reserve(&segment->counts, segment->grams.count))
            return false;
        const int64_t reference = words_of(&segment->reference);
        closest = closest < 0 ? reference : closer(length, closest, reference);
        ksk_ngram_counts_raise(&segment->counts, &segment->reference);
    }
    int64_t matches[ORDERS];
    ksk_ngram_counts_match(&segment->counts, &segment->hypothesis, matches);
    for (int n = 0; n < ORDERS; n++) {
        sums->matches[n] += matches[n];
        sums->totals[n] += length > n ? length - n : 0;
    }
    sums->hypothesis_length += length;
    sums->reference_length += closest;
    return true;
}

static double brevity_penalty(int64_t hypothesis, int64_t reference)
{
    if (hypothesis >= reference)
        return 1;
    return hypothesis > 0 ? exp(1 - (double)reference / (double)hypothesis) : 0;
}

/* Fills the precisions, in per cent, and gives how many orders count. */
static int smoothed_precisions(const statistics *sums, smoothing smooth, bool effective_order,
                               double *precisions)
{
    int orders = ORDERS;
    double halved = 1;
    for (int n = 0; n < ORDERS; n++) {
        const double k = smooth == SMOOTH_ADD_K && n > 0 ? add_k_value : 0;
        const double matches = (double)sums->matches[n] + k;
        const double total = (double)sums->totals[n] + k;
        if (total == 0)
            break;
        if (effective_order)
            orders = n + 1;
        if (matches > 0)
            precisions[n] = 100 * matches / total;
        else if (smooth == SMOOTH_EXP)
            precisions[n] = 100 / ((halved *= 2) * total);
        else if (smooth == SMOOTH_FLOOR)
            precisions[n] = 100 * floor_value / total;
    }
    return orders;
}

static void finish(const statistics *sums, smoothing smooth, bool effective_order,
                   ksk_metric_result *result)
{
    result->hypothesis_length = sums->hypothesis_length;
    result->reference_length = sums->reference_length;
    result->brevity_penalty = brevity_penalty(sums->hypothesis_length, sums->reference_length);
    bool any = false;
    for (int n = 0; n < ORDERS; n++)
        any |= sums->matches[n] > 0;
    if (!any)
        return;
    const int orders = smoothed_precisions(sums, smooth, effective_order, result->precisions);
    double sum = 0;
    for (int n = 0; n < orders; n++)
        sum += log(result->precisions[n]); /* minus infinity makes the score 0 */
    result->score = result->brevity_penalty * exp(sum / orders);
}

static bool check_options(const ksk_metric_options *options, ksk_error *err)
{
    static const char *const tokenizers[] = {"13a", "none"};
    if (find_name(smoothing_names, 4, options->smoothing) < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "BLEU knows the smoothings exp, floor, add-k and none, not '%s'",
                        options->smoothing ? options->smoothing : "");
    if (find_name(tokenizers, 2, options->tokenizer) < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "BLEU knows the tokenizers 13a and none, not '%s'",
                        options->tokenizer ? options->tokenizer : "");
    return true;
}

static void score(const int64_t *sums, const ksk_metric_options *options, ksk_metric_result *result)
{
    finish((const statistics *)sums, (smoothing)find_name(smoothing_names, 4, options->smoothing),
           options->effective_order, result);
}

static void sign(const ksk_metric_options *o, int reference_count, char *text, size_t size)
{
    snprintf(text, size, "nrefs:%d|case:%s|eff:%s|tok:%s|smooth:%s|version:" KSK_SACREBLEU,
             reference_count, o->lowercase ? "lc" : "mixed", o->effective_order ? "yes" : "no",
             o->tokenizer, smoothing_signatures[find_name(smoothing_names, 4, o->smoothing)]);
}

const ksk_metric ksk_bleu = {
    .name = "bleu",
    .citation = "Papineni et al. 2002, BLEU: a Method for Automatic Evaluation of Machine "
                "Translation",
    .numbers = sizeof(statistics) / sizeof(int64_t),
    .check = check_options,
    .open = ksk_segment_open,
    .close = ksk_segment_close,
    .add = add,
    .score = score,
    .sign = sign,
};
