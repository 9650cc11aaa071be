/* Word error rate: insertions, deletions and replacements of words that make an output its
 * reference, per hundred words of the reference. Lower is better.
 *
 * Su, Wu and Chang 1992, "A New Quantitative Quality Measure for Machine Translation Systems".
 * Words stand between spaces. Of several references a line counts against the one that needs the
 * fewest edits for its length. */
#include <kaskad/extend.h>
#include <string.h>

/* What a line adds to. */
enum { EDITS, WORDS, NUMBERS };

/* A row of the table of edits, which grows. */
typedef struct table {
    int64_t *edits;
    size_t room;
} table;

static void *open_table(void)
{
    return ksk_calloc(1, sizeof(table));
}

static void close_table(void *space)
{
    table *const t = space;
    if (t)
        ksk_free(t->edits);
    ksk_free(t);
}

/* The word at or behind *text, whose end *text becomes; NULL when there is none. */
static const char *next_word(const char **text)
{
    const char *const word = *text + strspn(*text, " ");
    *text = word + strcspn(word, " ");
    return *word ? word : NULL;
}

static int64_t count_words(const char *text)
{
    int64_t count = 0;
    while (next_word(&text))
        count++;
    return count;
}

/* Levenshtein's distance over words, a row for each word of the hypothesis. */
static int64_t distance(int64_t *row, const char *hypothesis, const char *reference)
{
    const int64_t length = count_words(reference);
    for (int64_t j = 0; j <= length; j++)
        row[j] = j;
    for (const char *a, *at = hypothesis; (a = next_word(&at));) {
        const char *b, *beside = reference;
        const size_t size = (size_t)(at - a);
        int64_t diagonal = row[0]++;
        for (int64_t j = 1; (b = next_word(&beside)); j++) {
            const bool same = (size_t)(beside - b) == size && memcmp(a, b, size) == 0;
            const int64_t replaced = diagonal + !same;
            const int64_t moved = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < moved ? replaced : moved;
        }
    }
    return row[length];
}

static bool add(void *space, const char *hypothesis, int reference_count,
                const char *const *references, const ksk_metric_options *options, int64_t *sums)
{
    (void)options;
    table *const t = space;
    int64_t edits = 0, words = -1;
    for (int r = 0; r < reference_count; r++) {
        const int64_t count = count_words(references[r]);
        if (!ksk_grow(&t->edits, &t->room, (size_t)count + 1, sizeof *t->edits))
            return false;
        const int64_t needed = distance(t->edits, hypothesis, references[r]);
        if (words < 0 || needed * words < edits * count) {
            edits = needed;
            words = count;
        }
    }
    sums[EDITS] += edits;
    sums[WORDS] += words;
    return true;
}

static void score(const int64_t *sums, const ksk_metric_options *options, ksk_metric_result *result)
{
    (void)options;
    result->reference_length = sums[WORDS];
    result->score = 100 * (double)sums[EDITS] / (double)(sums[WORDS] ? sums[WORDS] : 1);
}

static const ksk_metric wer = {
    .name = "wer",
    .citation = "Su, Wu and Chang 1992, A New Quantitative Quality Measure for Machine Translation",
    .numbers = NUMBERS,
    .open = open_table,
    .close = close_table,
    .add = add,
    .score = score,
};
static const ksk_metric *const metrics[] = {&wer, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "wer", .metrics = metrics};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
