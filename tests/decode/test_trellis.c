/* Max-marginals: random chains against all their paths; the authors' own run of cascaded decoding,
 * tests/fixtures/cascade. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "decode/lattice.h"
#include "fault.h"
#include "kaskad/memory.h"
#include "kaskad/random.h"

/* --- random chains ------------------------------------------------------------------------------
 */

enum { most_edges = 6, most_states = 4 };

typedef struct chain {
    int counts[most_edges + 1];
    float potentials[most_edges * most_states * most_states];
    float alpha[(most_edges + 1) * most_states], beta[(most_edges + 1) * most_states];
} chain;

/* Potentials are multiples of 1/64, so that sums are exact in any order; a third of them is minus
 * infinity. */
static ksk_trellis random_chain(chain *c, int edges, int width, uint64_t seed)
{
    const ksk_key key = ksk_key_from_seed(seed);
    for (int l = 0; l <= edges; l++)
        c->counts[l] = 1 + (int)(ksk_random_bits(key, 1000 + (uint64_t)l) % (uint32_t)width);
    for (int i = 0; i < edges * width * width; i++) {
        const uint32_t bits = ksk_random_bits(key, (uint64_t)i);
        c->potentials[i] = bits % 3 == 0 ? -INFINITY : -(float)(bits / 3 % 1024) / 64;
    }
    return (ksk_trellis){edges, width, c->counts, c->potentials, c->alpha, c->beta};
}

static float potential(const ksk_trellis *t, int l, int k, int j)
{
    return t->potentials[((size_t)l * (size_t)t->width + (size_t)k) * (size_t)t->width + (size_t)j];
}

/* The best score of all paths from state k of node l on. */
static float walk(const ksk_trellis *t, int l, int k, int through, int from, int to)
{
    if (l == t->edges)
        return 0;
    float best = -INFINITY;
    for (int j = 0; j < t->counts[l + 1]; j++)
        if (l != through || (k == from && j == to))
            best = fmaxf(best, potential(t, l, k, j) + walk(t, l + 1, j, through, from, to));
    return best;
}

static float best_through(const ksk_trellis *t, int l, int k, int j)
{
    float best = -INFINITY;
    for (int s = 0; s < t->counts[0]; s++)
        best = fmaxf(best, walk(t, 0, s, l, k, j));
    return best;
}

static void check_marginals(const ksk_trellis *t)
{
    float marginals[most_states * most_states];
    for (int l = 0; l < t->edges; l++) {
        ksk_trellis_marginals(t, l, marginals);
        for (int k = 0; k < t->width; k++)
            for (int j = 0; j < t->width; j++) {
                const bool inside = k < t->counts[l] && j < t->counts[l + 1];
                assert_true(marginals[k * t->width + j] ==
                            (inside ? best_through(t, l, k, j) : -INFINITY));
            }
    }
}

static void check_path(const ksk_trellis *t)
{
    int states[most_edges + 1];
    float best = -INFINITY, sum = 0;
    for (int k = 0; k < t->counts[0]; k++)
        best = fmaxf(best, walk(t, 0, k, -1, 0, 0));
    assert_true(ksk_trellis_path(t, states) == best);
    for (int l = 0; best > -INFINITY && l < t->edges; l++) {
        assert_in_range(states[l], 0, t->counts[l] - 1);
        sum += potential(t, l, states[l], states[l + 1]);
    }
    assert_true(best == -INFINITY || sum == best);
}

static void test_all_paths(void **state)
{
    int alive = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        chain c;
        const ksk_trellis t =
            random_chain(&c, 1 + (int)(seed % most_edges), 1 + (int)(seed / 7 % most_states), seed);
        ksk_trellis_scan(&t);
        check_marginals(&t);
        check_path(&t);
        int states[most_edges + 1];
        alive += ksk_trellis_path(&t, states) > -INFINITY;
    }
    assert_in_range(alive, 50, 290);
}

static void test_tree_equals_scan(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        chain scan, tree;
        const int edges = 1 + (int)(seed % most_edges), width = 1 + (int)(seed / 7 % most_states);
        const size_t room = (size_t)(edges + 1) * (size_t)width * sizeof(float);
        const ksk_trellis a = random_chain(&scan, edges, width, seed),
                          b = random_chain(&tree, edges, width, seed);
        ksk_trellis_scan(&a);
        assert_true(ksk_trellis_tree(&b, NULL));
        assert_memory_equal(scan.alpha, tree.alpha, room);
        assert_memory_equal(scan.beta, tree.beta, room);
    }
}

static bool grow_tree(void *context, ksk_error *err)
{
    return ksk_trellis_tree(context, err);
}

static void test_tree_without_memory(void **state)
{
    chain c;
    ksk_trellis t = random_chain(&c, 5, 3, 1);
    assert_int_equal(fault_sweep(grow_tree, &t), 3);
}

static void test_largest(void **state)
{
    const float values[] = {-2, NAN, 3, -INFINITY, 3, 1, -2, 5};
    int32_t numbers[8];
    assert_int_equal(ksk_largest(values, 8, 3, numbers), 3);
    assert_memory_equal(numbers, ((int32_t[]){7, 2, 4}), 3 * sizeof *numbers);
    assert_int_equal(ksk_largest(values, 8, 8, numbers), 6);
    assert_memory_equal(numbers, ((int32_t[]){7, 2, 4, 5, 0, 6}), 6 * sizeof *numbers);
    assert_int_equal(ksk_largest(values, 8, 1, numbers), 1);
    assert_int_equal(numbers[0], 7);
    assert_int_equal(ksk_largest(values + 3, 1, 2, numbers), 0);
}

/* --- the authors' run ---------------------------------------------------------------------------
 */

enum { topk = 10, delta = 3, most_positions = 64, pad = 1, end = 2 };

static const char folder[] = KSK_FIXTURES "/cascade/";

/* One sentence's arrays by name. */
typedef struct sentence {
    char file[16];
    char *bytes;
    char *index; /* of all sentences */
} sentence;

/* The array's first number; its dimensions go to `dims` [3]. */
static const void *array(const sentence *s, const char *name, int dims[3])
{
    char line[100];
    snprintf(line, sizeof line, "%s\t%s\t", s->file, name);
    const char *at = strstr(s->index, line);
    if (!at)
        fail_msg("no array %s", line);
    long offset = -1;
    char type[4], sizes[32];
    assert_int_equal(sscanf(at + strlen(line), "%3s %*d %31s %ld", type, sizes, &offset), 3);
    dims[1] = dims[2] = 1;
    assert_true(sscanf(sizes, "%d,%d,%d", &dims[0], &dims[1], &dims[2]) >= 1);
    return s->bytes + offset;
}

static const void *numbered(const sentence *s, const char *name, int round, int dims[3])
{
    char whole[16];
    snprintf(whole, sizeof whole, "%s%d", name, round);
    return array(s, whole, dims);
}

static bool is_live(float value)
{
    return value > -1e8F;
}

/* Puts the dump's states and potentials of a round into the lattice. */
static void load_round(ksk_lattice *g, const sentence *s, int round)
{
    int dims[3], sizes[3];
    const int32_t *tokens = numbered(s, "tok", round - 1, dims);
    assert_int_equal(dims[0], g->length - round + 1);
    assert_int_equal(dims[2], round);
    g->order = round;
    for (int l = 0; l < dims[0]; l++) {
        g->counts[l] = topk;
        for (int k = 0; k < topk; k++, tokens += round)
            memcpy(ksk_lattice_state(g, l, k), tokens, (size_t)round * sizeof *tokens);
    }
    const float *potentials = numbered(s, "pot", round, sizes);
    assert_int_equal(sizes[0], g->length - round);
    memcpy(g->potentials, potentials, (size_t)sizes[0] * topk * topk * sizeof *potentials);
}

static void compare_marginals(const sentence *s, int round, const ksk_trellis *t)
{
    int dims[3];
    const float *expected = numbered(s, "mm", round, dims);
    float marginals[topk * topk];
    assert_int_equal(dims[0], t->edges);
    for (int l = 0; l < t->edges; l++, expected += topk * topk) {
        ksk_trellis_marginals(t, l, marginals);
        for (int i = 0; i < topk * topk; i++) {
            assert_int_equal(is_live(expected[i]), marginals[i] > -INFINITY);
            if (is_live(expected[i]) && !(fabsf(marginals[i] - expected[i]) <= 1e-4F))
                fail_msg("%s, round %d, position %d, edge %d: %.7g, not %.7g", s->file, round, l, i,
                         (double)marginals[i], (double)expected[i]);
        }
    }
}

/* Which edges there are: overlapping n-grams, the end and padding before padding only. */
static void compare_edges(const ksk_lattice *g)
{
    for (int l = 0; l < g->length - g->order; l++)
        for (int k = 0; k < topk; k++)
            for (int j = 0; j < topk; j++) {
                const int32_t last = ksk_lattice_last(g, l, k);
                const bool stopped = last == end || last == pad;
                const bool padded = ksk_lattice_last(g, l + 1, j) == pad;
                if (ksk_lattice_edge(g, l)[k * topk + j] > -INFINITY)
                    assert_true(ksk_lattice_joins(g, l, k, j) && (!stopped || padded));
            }
}

/* Returns how many positions had the same choice in the same order. */
static int compare_choice(const sentence *s, int round, const ksk_trellis *t)
{
    int dims[3];
    const int32_t *chosen = numbered(s, "sel", round, dims);
    float marginals[topk * topk];
    for (int l = 0; l < t->edges; l++, chosen += topk) {
        int32_t own[topk];
        ksk_trellis_marginals(t, l, marginals);
        const int count = ksk_largest(marginals, topk * topk, topk, own);
        for (int i = 0; i < topk; i++)
            if (chosen[i] != (i < count ? own[i] : -1))
                fail_msg("%s, round %d, position %d, choice %d: %d", s->file, round, l, i,
                         chosen[i]);
    }
    return t->edges;
}

/* The states that pruning leaves are the dump's live ones. */
static void compare_states(const sentence *s, int round, const ksk_lattice *g)
{
    int dims[3], sizes[3];
    const int32_t *tokens = numbered(s, "tok", round, dims);
    const float *scores = numbered(s, "sc", round, sizes);
    for (int l = 0; l < dims[0]; l++)
        for (int k = 0; k < topk; k++, scores++, tokens += round + 1) {
            assert_int_equal(is_live(*scores), k < g->counts[l]);
            if (is_live(*scores))
                assert_memory_equal(ksk_lattice_state(g, l, k), tokens,
                                    (size_t)(round + 1) * sizeof *tokens);
        }
}

static int compare_round(const sentence *s, int round, ksk_lattice *g)
{
    static float alpha[most_positions * topk], beta[most_positions * topk];
    static float by_tree[2][most_positions * topk];
    float marginals[topk * topk];
    int32_t chosen[topk], joined[topk * 6];
    load_round(g, s, round);
    compare_edges(g);
    const ksk_trellis t = ksk_lattice_trellis(g, alpha, beta),
                      tree = ksk_lattice_trellis(g, by_tree[0], by_tree[1]);
    ksk_trellis_scan(&t);
    compare_marginals(s, round, &t);
    assert_true(ksk_trellis_tree(&tree, NULL));
    compare_marginals(s, round, &tree);
    const int positions = compare_choice(s, round, &t);
    assert_int_equal(compare_choice(s, round, &tree), positions);
    ksk_lattice_prune(g, &t, g->topk, -INFINITY, marginals, chosen, joined);
    compare_states(s, round, g);
    return positions;
}

static int compare_sentence(const sentence *s)
{
    int dims[3], positions = 0;
    ksk_window window;
    ksk_lattice g;
    array(s, "src", dims);
    assert_true(ksk_window_around(0.941281036889224, 0.8804326732522796, delta, dims[0] - 1, 1000,
                                  &window));
    array(s, "tok0", dims);
    assert_int_equal(window.hi + 1, dims[0]);
    assert_true(dims[0] <= most_positions);
    assert_true(ksk_lattice_init(&g, window, topk, 5, NULL));
    for (int round = 1; round <= 3; round++)
        positions += compare_round(s, round, &g);
    ksk_lattice_clear(&g);
    return positions;
}

static void test_authors_run(void **state)
{
    static const char *const files[] = {"s0437.bin", "s0659.bin", "s0979.bin", "s1189.bin",
                                        "s1431.bin", "s4138.bin", "s4396.bin", "s4431.bin",
                                        "s4696.bin", "s4962.bin"};
    int positions = 0;
    size_t size;
    char *path = ksk_path(folder, "index.tsv");
    char *index = ksk_file_read(path, 1 << 20, &size, NULL);
    assert_non_null(index);
    ksk_free(path);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sentence s = {.index = index};
        snprintf(s.file, sizeof s.file, "%s", files[i]);
        path = ksk_path(folder, files[i]);
        s.bytes = ksk_file_read(path, 1 << 20, &size, NULL);
        assert_non_null(s.bytes);
        positions += compare_sentence(&s);
        ksk_free(s.bytes);
        ksk_free(path);
    }
    ksk_free(index);
    assert_int_equal(positions, 906);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_paths),           cmocka_unit_test(test_tree_equals_scan),
        cmocka_unit_test(test_tree_without_memory), cmocka_unit_test(test_largest),
        cmocka_unit_test(test_authors_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
