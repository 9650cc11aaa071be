/* How often each n-gram occurs in a text. */
#ifndef KSK_DIAGNOSE_GRAMS_H
#define KSK_DIAGNOSE_GRAMS_H

#include "diagnose/words.h"
#include "kaskad/diagnose.h"

typedef struct ksk_gram_counts {
    uint32_t *at; /* [nodes], by the n-gram's number; other texts may have seen higher ones */
    size_t nodes, capacity;
    int64_t total, types; /* n-grams; different ones */
} ksk_gram_counts;        /* zero it first, free `at` with ksk_free */

/* Counts the n-grams of a text; `trie` numbers those of one kind in all texts. False when memory
 * runs out. */
bool ksk_grams_count(ksk_trie *trie, ksk_gram kind, const ksk_worded *text,
                     ksk_gram_counts *counts);

/* How often it occurs; 0 for a number that the text has never seen. */
uint32_t ksk_grams_of(const ksk_gram_counts *counts, size_t node);

/* Jensen–Shannon divergence between the frequencies, in bits. */
double ksk_grams_divergence(const ksk_gram_counts *a, const ksk_gram_counts *b);

#endif
