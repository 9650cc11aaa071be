/* N-grams by number, without hashing whole n-grams and without collisions.
 *
 * A trie gives every sequence of symbols a number: the root is 0, and the child of (number of the
 * sequence so far, next symbol) is the number of the longer sequence. A word is the path of its
 * code points; an n-gram is a path of code points or of words. Counting is then indexing. */
#ifndef KSK_METRICS_NGRAMS_H
#define KSK_METRICS_NGRAMS_H

#include "metrics/codepoints.h"

typedef struct ksk_trie {
    struct ksk_trie_slot {
        uint64_t key;
        uint32_t node, generation;
    } * slots; /* open addressing; a slot is used if it is of the current generation */
    size_t capacity;
    uint32_t count, generation;
} ksk_trie; /* zero it first, free `slots` with ksk_free */

/* Forgets every sequence but the root. */
void ksk_trie_reset(ksk_trie *trie);

/* The number of `parent`'s sequence followed by `symbol`, or 0 when memory runs out. */
uint32_t ksk_trie_child(ksk_trie *trie, uint32_t parent, uint32_t symbol);

/* The number of a whole sequence, or 0 when memory runs out (or there are no symbols). */
uint32_t ksk_trie_path(ksk_trie *trie, const uint32_t *symbols, size_t count);

enum { KSK_NGRAM_ORDERS = 24 };

/* The n-grams of a text: nodes[ends[n - 1]] to nodes[ends[n]] are those of order n, ends[0] is 0.
 */
typedef struct ksk_ngrams {
    uint32_t *nodes;
    size_t capacity;
    size_t ends[KSK_NGRAM_ORDERS + 1];
    int orders;
} ksk_ngrams; /* zero it first, free `nodes` with ksk_free */

/* Appends the n-grams of `symbols`, of the orders 1 to `orders`, as further orders. */
bool ksk_ngrams_add(ksk_ngrams *ngrams, ksk_trie *trie, const uint32_t *symbols, size_t count,
                    int orders);

/* How often each n-gram of the trie occurs in the references so far, and working space. */
typedef struct ksk_ngram_counts {
    uint32_t *most, *now; /* [nodes]; `now` is all zero between calls */
    size_t most_capacity, now_capacity, nodes;
} ksk_ngram_counts; /* zero it first, free `most` and `now` with ksk_free */

/* No reference: the counts of all nodes are zero. */
void ksk_ngram_counts_clear(ksk_ngram_counts *counts);

/* Makes room for `nodes` nodes; what is there stays. */
bool ksk_ngram_counts_reserve(ksk_ngram_counts *counts, size_t nodes);

/* Raises each n-gram's count to how often it occurs in `reference`. */
void ksk_ngram_counts_raise(ksk_ngram_counts *counts, const ksk_ngrams *reference);

/* matches[n - 1] is how many n-grams of order n are matched, each at most as often as counted. */
void ksk_ngram_counts_match(ksk_ngram_counts *counts, const ksk_ngrams *hypothesis,
                            int64_t *matches);

#endif
