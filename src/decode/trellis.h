/* Max-marginals of a chain: nodes 0 … E in a row, states at each, a potential for every pair of
 * neighbouring states. The score of a path is the sum of its potentials; the max-marginal of an
 * edge is the score of the best path through it (Deng & Rush 2020). */
#ifndef KSK_DECODE_TRELLIS_H
#define KSK_DECODE_TRELLIS_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_trellis {
    int edges;               /* E */
    int width;               /* K: room for states at a node */
    const int *counts;       /* [E + 1]: states of each node, 1 to K */
    const float *potentials; /* [E, K, K]: of the edge from state k of node l to k' of node l + 1.
                              * What lies outside the counts is not read; minus infinity: no edge */
    float *alpha;            /* [E + 1, K]: best score of a path from node 0 to a state */
    float *beta;             /* [E + 1, K]: best score of a path from a state to node E */
} ksk_trellis;

/* Fill alpha and beta, minus infinity where there is no path. The scan walks the chain once in each
 * direction: 2EK² operations, one after another. The tree multiplies potentials as max-plus
 * matrices in a balanced tree: depth 2 log₂ E, but about 3EK³ operations and 2E'K² numbers of
 * memory for E' the next power of two. Errors of the tree: OUT_OF_MEMORY. */
void ksk_trellis_scan(const ksk_trellis *trellis);
bool ksk_trellis_tree(const ksk_trellis *trellis, ksk_error *err);

/* The max-marginals [K, K] of one edge from alpha and beta; minus infinity outside the counts. */
void ksk_trellis_marginals(const ksk_trellis *trellis, int edge, float *marginals);

/* The best path (Viterbi 1967) from alpha: `states` [E + 1]. Of equal paths the one whose last
 * states have the lowest numbers. Returns its score; minus infinity: there is none. */
float ksk_trellis_path(const ksk_trellis *trellis, int *states);

/* The numbers of the `most` largest of n values, largest first, of equal ones the lower number
 * first; minus infinity and NaN never. Returns how many there are. */
int ksk_largest(const float *values, size_t n, int most, int32_t *numbers);

#endif
