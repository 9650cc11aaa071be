#include "decode/trellis.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"

static void fill(float *values, int from, int to, float value)
{
    for (int i = from; i < to; i++)
        values[i] = value;
}

/* to[k'] = max over k of from[k] + edge[k][k'], for an edge of rows × columns. */
static void forward(const float *from, const float *edge, int width, int rows, int columns,
                    float *to)
{
    fill(to, 0, width, -INFINITY);
    for (int k = 0; k < rows; k++, edge += width)
        for (int j = 0; j < columns; j++)
            to[j] = from[k] + edge[j] > to[j] ? from[k] + edge[j] : to[j];
}

/* to[k] = max over k' of edge[k][k'] + from[k']. */
static void backward(const float *edge, const float *from, int width, int rows, int columns,
                     float *to)
{
    fill(to, 0, width, -INFINITY);
    for (int k = 0; k < rows; k++, edge += width)
        for (int j = 0; j < columns; j++)
            to[k] = edge[j] + from[j] > to[k] ? edge[j] + from[j] : to[k];
}

static const float *edge_of(const ksk_trellis *t, int edge)
{
    return t->potentials + (size_t)edge * (size_t)t->width * (size_t)t->width;
}

static float *node_of(const ksk_trellis *t, float *nodes, int node)
{
    return nodes + (size_t)node * (size_t)t->width;
}

/* Zero for the states of a node, minus infinity for the room behind them. */
static void begin(const ksk_trellis *t, int node, float *values)
{
    fill(values, 0, t->counts[node], 0);
    fill(values, t->counts[node], t->width, -INFINITY);
}

void ksk_trellis_scan(const ksk_trellis *t)
{
    const int E = t->edges, *const n = t->counts;
    begin(t, 0, t->alpha);
    for (int l = 0; l < E; l++)
        forward(node_of(t, t->alpha, l), edge_of(t, l), t->width, n[l], n[l + 1],
                node_of(t, t->alpha, l + 1));
    begin(t, E, node_of(t, t->beta, E));
    for (int l = E - 1; l >= 0; l--)
        backward(edge_of(t, l), node_of(t, t->beta, l + 1), t->width, n[l], n[l + 1],
                 node_of(t, t->beta, l));
}

/* --- the tree -----------------------------------------------------------------------------------
 */

/* Node i has the children 2i and 2i + 1; the leaves, `size` to 2·size - 1, are the edges. A product
 * holds the best score between any state before and any state behind the edges below its node;
 * prefix and suffix, the best scores up to the former and from the latter. */
typedef struct tree {
    int size; /* a power of two */
    int width;
    float *products;            /* [2·size, K, K] */
    float *prefixes, *suffixes; /* [2·size, K] */
} tree;

static float *product_of(const tree *r, int node)
{
    return r->products + (size_t)node * (size_t)r->width * (size_t)r->width;
}

static float *vector_of(const tree *r, float *vectors, int node)
{
    return vectors + (size_t)node * (size_t)r->width;
}

/* Leaves behind the last edge are the unit of max-plus: they lead from a state to itself. */
static void plant(const tree *r, const ksk_trellis *t)
{
    for (int l = 0; l < r->size; l++) {
        float *const leaf = product_of(r, r->size + l);
        fill(leaf, 0, r->width * r->width, -INFINITY);
        for (int k = 0; l >= t->edges && k < r->width; k++)
            leaf[k * r->width + k] = 0;
        for (int k = 0; l < t->edges && k < t->counts[l]; k++)
            memcpy(leaf + k * r->width, edge_of(t, l) + k * r->width,
                   (size_t)t->counts[l + 1] * sizeof *leaf);
    }
}

static void climb(const tree *r)
{
    for (int i = r->size - 1; i >= 1; i--)
        for (int k = 0; k < r->width; k++)
            forward(product_of(r, 2 * i) + k * r->width, product_of(r, 2 * i + 1), r->width,
                    r->width, r->width, product_of(r, i) + k * r->width);
}

static void descend(const tree *r)
{
    const int K = r->width;
    const size_t bytes = (size_t)K * sizeof *r->prefixes;
    for (int i = 1; i < r->size; i++) {
        const float *const prefix = vector_of(r, r->prefixes, i), *const suffix =
                                                                      vector_of(r, r->suffixes, i);
        memcpy(vector_of(r, r->prefixes, 2 * i), prefix, bytes);
        memcpy(vector_of(r, r->suffixes, 2 * i + 1), suffix, bytes);
        forward(prefix, product_of(r, 2 * i), K, K, K, vector_of(r, r->prefixes, 2 * i + 1));
        backward(product_of(r, 2 * i + 1), suffix, K, K, K, vector_of(r, r->suffixes, 2 * i));
    }
}

static void gather(const tree *r, const ksk_trellis *t)
{
    const int E = t->edges, K = t->width;
    const size_t bytes = (size_t)K * sizeof *t->alpha;
    for (int l = 0; l < E; l++) {
        memcpy(node_of(t, t->alpha, l), vector_of(r, r->prefixes, r->size + l), bytes);
        memcpy(node_of(t, t->beta, l + 1), vector_of(r, r->suffixes, r->size + l), bytes);
    }
    forward(node_of(t, t->alpha, E - 1), edge_of(t, E - 1), K, t->counts[E - 1], t->counts[E],
            node_of(t, t->alpha, E));
    backward(edge_of(t, 0), node_of(t, t->beta, 1), K, t->counts[0], t->counts[1], t->beta);
}

bool ksk_trellis_tree(const ksk_trellis *t, ksk_error *err)
{
    tree r = {.size = 1, .width = t->width};
    while (r.size < t->edges)
        r.size *= 2;
    const size_t nodes = 2 * (size_t)r.size, K = (size_t)t->width;
    r.products = ksk_malloc(nodes * K * K * sizeof *r.products);
    r.prefixes = ksk_malloc(nodes * K * sizeof *r.prefixes);
    r.suffixes = ksk_malloc(nodes * K * sizeof *r.suffixes);
    const bool ok = (r.products && r.prefixes && r.suffixes) || ksk_fail_memory(err);
    if (ok) {
        plant(&r, t);
        climb(&r);
        begin(t, 0, vector_of(&r, r.prefixes, 1));
        begin(t, t->edges, vector_of(&r, r.suffixes, 1));
        descend(&r);
        gather(&r, t);
    }
    ksk_free(r.products);
    ksk_free(r.prefixes);
    ksk_free(r.suffixes);
    return ok;
}

/* --- reading them -------------------------------------------------------------------------------
 */

void ksk_trellis_marginals(const ksk_trellis *t, int edge, float *marginals)
{
    const float *const alpha = node_of(t, t->alpha, edge), *const beta =
                                                               node_of(t, t->beta, edge + 1);
    const float *potentials = edge_of(t, edge);
    for (int k = 0; k < t->width; k++, potentials += t->width, marginals += t->width) {
        const int columns = k < t->counts[edge] ? t->counts[edge + 1] : 0;
        for (int j = 0; j < columns; j++)
            marginals[j] = alpha[k] + potentials[j] + beta[j];
        fill(marginals, columns, t->width, -INFINITY);
    }
}

float ksk_trellis_path(const ksk_trellis *t, int *states)
{
    const float *const last = node_of(t, t->alpha, t->edges);
    int at = 0;
    for (int k = 1; k < t->counts[t->edges]; k++)
        at = last[k] > last[at] ? k : at;
    const float score = last[at];
    states[t->edges] = at;
    for (int l = t->edges - 1; l >= 0; l--) {
        const float *const alpha = node_of(t, t->alpha, l), *const edge = edge_of(t, l) + at;
        float best = -INFINITY;
        int from = 0;
        for (int k = 0; k < t->counts[l]; k++)
            if (alpha[k] + edge[(size_t)k * (size_t)t->width] > best) {
                best = alpha[k] + edge[(size_t)k * (size_t)t->width];
                from = k;
            }
        states[l] = at = from;
    }
    return score;
}

int ksk_largest(const float *values, size_t n, int most, int32_t *numbers)
{
    int count = 0;
    float floor = -INFINITY; /* what a value must exceed to be let in */
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] > floor))
            continue;
        int at = count < most ? count++ : most - 1;
        for (; at > 0 && values[numbers[at - 1]] < values[i]; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = (int32_t)i;
        if (count == most)
            floor = values[numbers[most - 1]];
    }
    return count;
}
