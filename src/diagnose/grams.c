#include "diagnose/grams.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"

static bool count_one(ksk_gram_counts *counts, uint32_t node)
{
    if (!node)
        return false;
    if (node >= counts->nodes) {
        const size_t had = counts->nodes;
        if (!ksk_grow(&counts->at, &counts->capacity, (size_t)node + 1, sizeof *counts->at))
            return false;
        counts->nodes = (size_t)node + 1;
        memset(counts->at + had, 0, (counts->nodes - had) * sizeof *counts->at);
    }
    counts->types += !counts->at[node];
    counts->at[node]++;
    counts->total++;
    return true;
}

bool ksk_grams_count(ksk_trie *trie, ksk_gram kind, const ksk_worded *text, ksk_gram_counts *counts)
{
    const size_t reach = (size_t)kind; /* from the first word to the last */
    if (!trie->count)
        ksk_trie_reset(trie);
    for (int l = 0; l < text->lines; l++) {
        size_t count;
        const uint32_t *const words = ksk_worded_line(text, l, &count);
        for (size_t i = 0; i + reach < count; i++) {
            uint32_t node = ksk_trie_child(trie, 0, words[i]);
            if (node && reach)
                node = ksk_trie_child(trie, node, words[i + reach]);
            if (!count_one(counts, node))
                return false;
        }
    }
    return true;
}

uint32_t ksk_grams_of(const ksk_gram_counts *counts, size_t node)
{
    return node < counts->nodes ? counts->at[node] : 0;
}

/* p log2 (p / m), where m is the mean of p and q. */
static double part(double p, double q)
{
    return p > 0 ? p * log2(2 * p / (p + q)) : 0;
}

double ksk_grams_divergence(const ksk_gram_counts *a, const ksk_gram_counts *b)
{
    const size_t nodes = a->nodes > b->nodes ? a->nodes : b->nodes;
    if (!a->total || !b->total)
        return a->total == b->total ? 0 : 1;
    double sum = 0;
    for (size_t i = 0; i < nodes; i++) {
        const double p = (double)ksk_grams_of(a, i) / (double)a->total;
        const double q = (double)ksk_grams_of(b, i) / (double)b->total;
        sum += part(p, q) + part(q, p);
    }
    return fmin(1, fmax(0, sum / 2));
}
