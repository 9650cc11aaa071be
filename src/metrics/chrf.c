/* chrF and chrF++. Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation", and
 * 2017, "chrF++: words helping character n-grams"; as sacreBLEU computes them.
 *
 * Precision and recall of the character n-grams of each order (white space left out), and for
 * chrF++ of the word n-grams, are averaged over the orders that both sides have; the score is the
 * F-measure of the two means, recall counting beta times as much. */
#include <stdio.h>
#include <string.h>

#include "kaskad/kaskad.h"
#include "metrics/metric.h"
#include "text/utf8.h"

enum { ORDERS = KSK_NGRAM_ORDERS, WORD_ORDERS = 4, CHARACTER_ORDERS = ORDERS - WORD_ORDERS };

/* Words share a trie with characters; this bit, which no code point has, keeps them apart. */
static const uint32_t word_symbol = 0x80000000;

typedef struct statistics {
    int64_t hypothesis[ORDERS], reference[ORDERS], matches[ORDERS];
} statistics;

static bool is_punctuation(uint32_t c)
{
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
           (c >= 0x7B && c <= 0x7E);
}

static bool push_word(ksk_segment *segment, const uint32_t *word, size_t length)
{
    const uint32_t node = ksk_trie_path(&segment->words, word, length);
    return node && node < word_symbol && ksk_codepoints_push(&segment->symbols, node | word_symbol);
}

/* A final punctuation mark, or else an initial one, is a word of its own. */
static bool push_split_word(ksk_segment *segment, const uint32_t *word, size_t length)
{
    if (length > 1 && is_punctuation(word[length - 1]))
        return push_word(segment, word, length - 1) && push_word(segment, word + length - 1, 1);
    if (length > 1 && is_punctuation(word[0]))
        return push_word(segment, word, 1) && push_word(segment, word + 1, length - 1);
    return push_word(segment, word, length);
}

static bool push_words(ksk_segment *segment)
{
    const ksk_codepoints *text = &segment->text;
    segment->symbols.count = 0;
    for (size_t i = 0; i < text->count;) {
        size_t end = i;
        while (end < text->count && !ksk_utf8_space(text->at[end]))
            end++;
        if (end > i && !push_split_word(segment, text->at + i, end - i))
            return false;
        i = end + 1;
    }
    return true;
}

static void remove_spaces(ksk_codepoints *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->count; i++)
        if (!ksk_utf8_space(text->at[i]))
            text->at[kept++] = text->at[i];
    text->count = kept;
}

/* The n-grams of a line, characters first, as nodes of the segment's trie. */
static bool read_line(ksk_segment *segment, const char *line, const ksk_metric_options *options,
                      ksk_ngrams *ngrams)
{
    ksk_codepoints *text = &segment->text;
    ksk_trie *grams = &segment->grams;
    if (!ksk_codepoints_set(text, line) || (options->lowercase && !ksk_codepoints_lower(text)))
        return false;
    if (options->word_order > 0 && !push_words(segment))
        return false;
    remove_spaces(text);
    ngrams->orders = 0;
    return ksk_ngrams_add(ngrams, grams, text->at, text->count, options->character_order) &&
           (options->word_order == 0 ||
            ksk_ngrams_add(ngrams, grams, segment->symbols.at, segment->symbols.count,
                           options->word_order));
}

static double f_score(const statistics *sums, int orders, int beta)
{
    const double factor = (double)beta * beta;
    double precision = 0, recall = 0;
    int effective = 0;
    for (int n = 0; n < orders; n++) {
        if (!sums->hypothesis[n] || !sums->reference[n])
            continue;
        precision += (double)sums->matches[n] / (double)sums->hypothesis[n];
        recall += (double)sums->matches[n] / (double)sums->reference[n];
        effective++;
    }
    if (precision + recall == 0)
        return 0;
    precision /= effective;
    recall /= effective;
    return 100 * ((1 + factor) * precision * recall / (factor * precision + recall));
}

static void compare(ksk_segment *segment, int orders, statistics *line)
{
    const ksk_ngrams *hypothesis = &segment->hypothesis, *reference = &segment->reference;
    ksk_ngram_counts_raise(&segment->counts, reference);
    ksk_ngram_counts_match(&segment->counts, hypothesis, line->matches);
    for (int n = 0; n < orders; n++) {
        line->reference[n] = (int64_t)(reference->ends[n + 1] - reference->ends[n]);
        /* An order that the reference does not have counts for nobody. */
        line->hypothesis[n] =
            line->reference[n] ? (int64_t)(hypothesis->ends[n + 1] - hypothesis->ends[n]) : 0;
    }
}

/* A line counts against the reference that suits it best. */
static bool add(void *space, const char *hypothesis, int reference_count,
                const char *const *references, const ksk_metric_options *options, int64_t *numbers)
{
    ksk_segment *const segment = space;
    statistics *const sums = (statistics *)numbers;
    const int orders = options->character_order + options->word_order;
    statistics best = {0};
    double best_score = -1;
    ksk_trie_reset(&segment->words);
    ksk_trie_reset(&segment->grams);
    if (!read_line(segment, hypothesis, options, &segment->hypothesis))
        return false;
    for (int r = 0; r < reference_count; r++) {
        statistics with = {0};
        ksk_ngram_counts_clear(&segment->counts);
        if (!read_line(segment, references[r], options, &segment->reference) ||
            !ksk_ngram_counts_reserve(&segment->counts, segment->grams.count))
            return false;
        compare(segment, orders, &with);
        const double f = f_score(&with, orders, options->beta);
        if (f > best_score) {
            best_score = f;
            best = with;
        }
    }
    for (int n = 0; n < orders; n++) {
        sums->hypothesis[n] += best.hypothesis[n];
        sums->reference[n] += best.reference[n];
        sums->matches[n] += best.matches[n];
    }
    return true;
}

static bool check_options(const ksk_metric_options *options, ksk_error *err)
{
    if (options->character_order < 1 || options->character_order > CHARACTER_ORDERS)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "chrF's character order is 1 to %d, not %d",
                        CHARACTER_ORDERS, options->character_order);
    if (options->word_order < 0 || options->word_order > WORD_ORDERS)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "chrF's word order is 0 to %d, not %d", WORD_ORDERS,
                        options->word_order);
    if (options->beta < 1 || options->beta > 100)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "chrF's beta is 1 to 100, not %d", options->beta);
    return true;
}

static void score(const int64_t *numbers, const ksk_metric_options *options,
                  ksk_metric_result *result)
{
    const statistics *const sums = (const statistics *)numbers;
    result->score = f_score(sums, options->character_order + options->word_order, options->beta);
    result->brevity_penalty = 1;
    result->hypothesis_length = sums->hypothesis[0];
    result->reference_length = sums->reference[0];
}

static void sign(const ksk_metric_options *o, int reference_count, char *text, size_t size)
{
    snprintf(text, size, "nrefs:%d|case:%s|eff:yes|nc:%d|nw:%d|space:no|version:" KSK_SACREBLEU,
             reference_count, o->lowercase ? "lc" : "mixed", o->character_order, o->word_order);
}

const ksk_metric ksk_chrf = {
    .name = "chrf",
    .citation = "Popović 2015, chrF: character n-gram F-score for automatic MT evaluation",
    .numbers = sizeof(statistics) / sizeof(int64_t),
    .check = check_options,
    .open = ksk_segment_open,
    .close = ksk_segment_close,
    .add = add,
    .score = score,
    .sign = sign,
};
