/* The lattice of cascaded decoding (Deng & Rush 2020): for one sentence, what may stand at each
 * position. In round m the states of node l are m-grams of the tokens l … l + m - 1; an edge joins
 * two that overlap. Outputs of all lengths of the window stand side by side: behind the end token
 * comes padding, which costs nothing. */
#ifndef KSK_DECODE_LATTICE_H
#define KSK_DECODE_LATTICE_H

#include "decode/trellis.h"

/* Stands for padding in a lattice; no token of a vocabulary. */
enum { KSK_LATTICE_PAD = -1 };

/* The lengths of the output, end token included, that compete: lo … hi. */
typedef struct ksk_window {
    int lo, hi;
} ksk_window;

/* The window around the length line: T = round(a·source + b + 1), half to even, lo = max(T - D, 2),
 * hi = T + D, both at most `most`; `source` counts tokens without the end. False when it has no
 * length of 2 or more. */
bool ksk_window_around(double a, double b, int delta, int source, int most, ksk_window *window);

typedef struct ksk_lattice {
    ksk_window window;
    int length;        /* L = hi + 1; the last position holds padding alone */
    int topk;          /* K */
    int rounds;        /* R: states have up to R tokens */
    int order;         /* m: tokens of a state now */
    int *counts;       /* [L]: states of a node, of L - m + 1 nodes */
    int32_t *tokens;   /* [L, K, R]: the tokens of a state */
    int32_t *parents;  /* [L, K]: the scorer's row of all but a state's last token */
    int32_t *rows;     /* [L, K]: the scorer's row of the whole state, -1: none */
    float *first;      /* [K]: score of the tokens of node 0's states */
    float *potentials; /* [L - 1, K, K] of the edges of this round */
    bool done;         /* its output is known */
} ksk_lattice;

/* A lattice whose nodes have no states. Clear it also after a failure. Errors: OUT_OF_MEMORY. */
bool ksk_lattice_init(ksk_lattice *g, ksk_window window, int topk, int rounds, ksk_error *err);
void ksk_lattice_clear(ksk_lattice *g);

/* Bytes that a lattice takes. */
double ksk_lattice_bytes(ksk_window window, int topk, int rounds);

/* Round 0 at one node: the end token and padding where the window has them, then `words` [count],
 * the best first, with the highest log_probs [vocabulary]; those more than `threshold` below the
 * best word or the end are left out, but for the best. `row` is the scorer's. */
void ksk_lattice_seed(ksk_lattice *g, int node, const float *log_probs, int count,
                      const int32_t *words, double threshold, int end_id, int row);

/* Tokens of a state; its last one; whether two states overlap, so that an edge may join them. */
int32_t *ksk_lattice_state(const ksk_lattice *g, int node, int k);
int32_t ksk_lattice_last(const ksk_lattice *g, int node, int k);
bool ksk_lattice_joins(const ksk_lattice *g, int node, int k, int next);

/* The potentials [K, K] of an edge. */
float *ksk_lattice_edge(const ksk_lattice *g, int edge);

/* The chain that the states and potentials are; alpha and beta [L, K] are the caller's. */
ksk_trellis ksk_lattice_trellis(const ksk_lattice *g, float *alpha, float *beta);

/* Whether a single edge at every position has a max-marginal of at least `least`. `marginals` [K,
 * K] is scratch. */
bool ksk_lattice_is_single(const ksk_trellis *trellis, float least, float *marginals);

/* The `keep` best edges at every position become the states of the next round, best first, but none
 * whose max-marginal is below `least`; edges that are on no path are dropped. `marginals` [K, K],
 * `chosen` [K] and `states` [K, R + 1] are scratch. */
void ksk_lattice_prune(ksk_lattice *g, const ksk_trellis *trellis, int keep, float least,
                       float *marginals, int32_t *chosen, int32_t *states);

#endif
