#include "decode/lattice.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"

bool ksk_window_around(double a, double b, int delta, int source, int most, ksk_window *window)
{
    const double predicted = nearbyint(a * source + b + 1);
    const double lo = fmax(predicted - delta, 2), hi = predicted + delta;
    if (!(hi >= 2) || most < 2)
        return false;
    *window = (ksk_window){.lo = (int)fmin(lo, most), .hi = (int)fmin(hi, most)};
    return true;
}

/* --- memory -------------------------------------------------------------------------------------
 */

bool ksk_lattice_init(ksk_lattice *lattice, ksk_window window, int topk, int rounds, ksk_error *err)
{
    const size_t L = (size_t)window.hi + 1, K = (size_t)topk;
    *lattice = (ksk_lattice){.window = window,
                             .length = window.hi + 1,
                             .topk = topk,
                             .rounds = rounds,
                             .order = 1,
                             .counts = ksk_calloc(L, sizeof *lattice->counts),
                             .tokens = ksk_calloc(L * K * (size_t)rounds, sizeof *lattice->tokens),
                             .parents = ksk_calloc(L * K, sizeof *lattice->parents),
                             .rows = ksk_calloc(L * K, sizeof *lattice->rows),
                             .first = ksk_calloc(K, sizeof *lattice->first),
                             .potentials = ksk_malloc(L * K * K * sizeof *lattice->potentials)};
    return (lattice->counts && lattice->tokens && lattice->parents && lattice->rows &&
            lattice->first && lattice->potentials) ||
           ksk_fail_memory(err);
}

void ksk_lattice_clear(ksk_lattice *g)
{
    ksk_free(g->counts);
    ksk_free(g->tokens);
    ksk_free(g->parents);
    ksk_free(g->rows);
    ksk_free(g->first);
    ksk_free(g->potentials);
    *g = (ksk_lattice){0};
}

double ksk_lattice_bytes(ksk_window window, int topk, int rounds)
{
    const double L = window.hi + 1, K = topk;
    return L * (4 + K * (4 * (double)rounds + 8) + 4 * K * K) + 4 * K;
}

/* --- states -------------------------------------------------------------------------------------
 */

static size_t slot(const ksk_lattice *g, int node, int k)
{
    return (size_t)node * (size_t)g->topk + (size_t)k;
}

int32_t *ksk_lattice_state(const ksk_lattice *g, int node, int k)
{
    return g->tokens + slot(g, node, k) * (size_t)g->rounds;
}

int32_t ksk_lattice_last(const ksk_lattice *g, int node, int k)
{
    return ksk_lattice_state(g, node, k)[g->order - 1];
}

bool ksk_lattice_joins(const ksk_lattice *g, int node, int k, int next)
{
    const int32_t *const a = ksk_lattice_state(g, node, k), *const b = ksk_lattice_state(
                                                                g, node + 1, next);
    return g->order == 1 || memcmp(a + 1, b, (size_t)(g->order - 1) * sizeof *a) == 0;
}

float *ksk_lattice_edge(const ksk_lattice *g, int edge)
{
    return g->potentials + (size_t)edge * (size_t)g->topk * (size_t)g->topk;
}

ksk_trellis ksk_lattice_trellis(const ksk_lattice *g, float *alpha, float *beta)
{
    return (ksk_trellis){.edges = g->length - g->order,
                         .width = g->topk,
                         .counts = g->counts,
                         .potentials = g->potentials,
                         .alpha = alpha,
                         .beta = beta};
}

/* --- round 0 ------------------------------------------------------------------------------------
 */

static void add(ksk_lattice *g, int node, int32_t token, int row)
{
    if (g->counts[node] == g->topk)
        return;
    const int k = g->counts[node]++;
    *ksk_lattice_state(g, node, k) = token;
    g->parents[slot(g, node, k)] = row;
}

/* Padding before the end token, so that with K = 1 the shortest output is complete. The published
 * program ranks them among the words, both with the score 0, and drops words followed by padding
 * only where their scores say so. */
void ksk_lattice_seed(ksk_lattice *g, int node, const float *log_probs, int count,
                      const int32_t *words, double threshold, int end_id, int row)
{
    const ksk_window w = g->window;
    if (node > w.lo - 1)
        add(g, node, KSK_LATTICE_PAD, -1);
    if (node >= w.lo - 1 && node <= w.hi - 1)
        add(g, node, end_id, row);
    if (count == 0)
        return;
    const double best = (double)fmaxf(log_probs[words[0]], log_probs[end_id]);
    for (int i = 0; i < count && (i == 0 || log_probs[words[i]] >= best - threshold); i++) {
        if (node == 0)
            g->first[g->counts[node]] = log_probs[words[i]];
        add(g, node, words[i], row);
    }
}

/* --- pruning ------------------------------------------------------------------------------------
 */

/* The edge from state k to state `next` as one state, its parent behind its tokens. */
static void join(const ksk_lattice *g, int node, int k, int next, int32_t *state)
{
    memcpy(state, ksk_lattice_state(g, node, k), (size_t)g->order * sizeof *state);
    state[g->order] = ksk_lattice_last(g, node + 1, next);
    state[g->rounds] = g->rows[slot(g, node, k)];
}

/* Node l is read for the last time when its own edge is. */
static void prune_node(ksk_lattice *g, int node, int count, const int32_t *chosen, int32_t *states)
{
    const int K = g->topk, size = g->rounds + 1;
    for (int i = 0; i < count; i++)
        join(g, node, chosen[i] / K, chosen[i] % K, states + (size_t)i * (size_t)size);
    for (int i = 0; i < count; i++) {
        const int32_t *const state = states + (size_t)i * (size_t)size;
        memcpy(ksk_lattice_state(g, node, i), state, (size_t)(g->order + 1) * sizeof *state);
        g->parents[slot(g, node, i)] = state[g->rounds];
    }
    g->counts[node] = count;
}

bool ksk_lattice_is_single(const ksk_trellis *t, float least, float *marginals)
{
    for (int l = 0; l < t->edges; l++) {
        int found = 0;
        ksk_trellis_marginals(t, l, marginals);
        for (int k = 0; k < t->width * t->width; k++)
            found += marginals[k] >= least;
        if (found > 1)
            return false;
    }
    return true;
}

void ksk_lattice_prune(ksk_lattice *g, const ksk_trellis *trellis, int keep, float least,
                       float *marginals, int32_t *chosen, int32_t *states)
{
    const size_t K = (size_t)g->topk;
    for (int l = 0; l < trellis->edges; l++) {
        ksk_trellis_marginals(trellis, l, marginals);
        int count = ksk_largest(marginals, K * K, keep, chosen);
        while (count > 1 && marginals[chosen[count - 1]] < least)
            count--;
        for (int i = 0; l == 0 && i < count; i++)
            g->first[i] = ksk_lattice_edge(g, 0)[chosen[i]];
        prune_node(g, l, count, chosen, states);
    }
    g->order++;
}
