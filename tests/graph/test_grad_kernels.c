/* The fast kernels of gradients against the plain ones, each operation by itself on shapes that
 * differ on every axis, small and large; one thread, two and three give the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/graph.h"
#include "kaskad/random.h"

enum { most_inputs = 8, most_grads = 4 };

/* A loss of the graph's inputs, and what is compared: it and its gradients. */
typedef struct scene {
    ksk_graph *graph;
    int inputs, varied;
    ksk_tensor *tensors[most_inputs];
    ksk_sym varies[most_grads];
    uint64_t seed;
} scene;

static scene new_scene(uint64_t seed)
{
    return (scene){.graph = ksk_graph_new(), .seed = seed * 100};
}

static ksk_sym add(scene *s, const char *rows, ksk_tensor *tensor)
{
    ksk_shape shape = {.rank = ksk_tensor_rank(tensor)};
    const char name[2] = {(char)('a' + s->inputs), 0};
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = ksk_fixed(ksk_tensor_size(tensor, i));
    if (rows)
        shape.size[0] = ksk_named(s->graph, rows);
    s->tensors[s->inputs++] = tensor;
    return ksk_input(s->graph, name, ksk_tensor_dtype(tensor), shape);
}

static ksk_sym normal(scene *s, const char *rows, int64_t m, int64_t n)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, n ? 2 : 1, (const int64_t[]){m, n}, NULL);
    float *x = ksk_tensor_fill(tensor);
    const ksk_key key = ksk_key_from_seed(++s->seed);
    for (int64_t i = 0; i < ksk_tensor_count(tensor); i++)
        x[i] = ksk_random_normal(key, (uint64_t)i);
    return add(s, rows, tensor);
}

/* The same, and its gradient is compared. */
static ksk_sym varied(scene *s, const char *rows, int64_t m, int64_t n)
{
    return s->varies[s->varied++] = normal(s, rows, m, n);
}

/* Integers in [0, limit), many of them more than once. */
static ksk_sym numbers(scene *s, const char *rows, int64_t m, uint32_t limit)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_I32, 1, &m, NULL);
    int32_t *x = ksk_tensor_fill(tensor);
    const ksk_key key = ksk_key_from_seed(++s->seed);
    for (int64_t i = 0; i < m; i++)
        x[i] = (int32_t)(ksk_random_bits(key, (uint64_t)i) % limit);
    return add(s, rows, tensor);
}

static ksk_sym total(ksk_sym y)
{
    return ksk_sum(ksk_column_sum(y));
}

static void run(ksk_plan *plan, const scene *s, int threads, ksk_tensor **outputs)
{
    ksk_error err = {0};
    ksk_workspace *workspace = ksk_workspace_new(threads, &err);
    if (!ksk_run(plan, workspace, (const ksk_tensor *const *)s->tensors, outputs, &err))
        fail_msg("%s", err.message);
    ksk_workspace_free(workspace);
}

static void assert_near(const ksk_tensor *plain, const ksk_tensor *fast, double tolerance)
{
    double size = 0, difference = 0;
    for (int64_t i = 0; i < ksk_tensor_count(plain); i++) {
        const double a = ksk_tensor_f32(plain)[i], b = ksk_tensor_f32(fast)[i];
        assert_true(isfinite(b));
        size = fmax(size, fabs(a));
        difference = fmax(difference, fabs(a - b));
    }
    assert_true(size > 0);
    if (difference > tolerance * size)
        fail_msg("difference %g where the largest number is %g", difference, size);
}

static ksk_plan *compile(scene *s, int count, const ksk_sym *syms, bool plain)
{
    ksk_error err = {0};
    const ksk_compile_options options = {.reference = plain};
    ksk_plan *plan = ksk_compile(s->graph, count, syms, &options, &err);
    if (!plan)
        fail_msg("%s", err.message);
    return plan;
}

/* Tolerance is relative to the largest number of an output. */
static void check(scene *s, ksk_sym loss, double tolerance)
{
    ksk_sym syms[1 + most_grads] = {loss};
    ksk_tensor *plain[1 + most_grads] = {NULL}, *fast[1 + most_grads] = {NULL};
    ksk_grad(loss, s->varied, s->varies, syms + 1);
    const int count = 1 + s->varied;
    ksk_plan *slow = compile(s, count, syms, true), *quick = compile(s, count, syms, false);
    run(slow, s, 1, plain);
    run(quick, s, 1, fast);
    for (int i = 0; i < count; i++)
        assert_near(plain[i], fast[i], tolerance);
    for (int threads = 2; threads <= 3; threads++) {
        ksk_tensor *again[1 + most_grads] = {NULL};
        run(quick, s, threads, again);
        for (int i = 0; i < count; i++) {
            assert_true(ksk_tensor_equal(fast[i], again[i]));
            ksk_tensor_release(again[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        ksk_tensor_release(plain[i]);
        ksk_tensor_release(fast[i]);
    }
    for (int i = 0; i < s->inputs; i++)
        ksk_tensor_release(s->tensors[i]);
    ksk_plan_free(slow);
    ksk_plan_free(quick);
    ksk_graph_free(s->graph);
}

static const int64_t shapes[][2] = {{1, 3}, {5, 17}, {37, 64}, {203, 130}, {600, 301}};
enum { shape_count = sizeof shapes / sizeof *shapes };

static void test_cross_entropy(void **state)
{
    for (int i = 0; i < shape_count; i++)
        for (int smooth = 0; smooth < 2; smooth++) {
            const int64_t m = shapes[i][0], n = shapes[i][1];
            scene s = new_scene(10 + (uint64_t)i);
            const ksk_sym x = varied(&s, "rows", m, n), scale = normal(&s, NULL, n, 0);
            const ksk_sym targets = numbers(&s, "rows", m, (uint32_t)n);
            const ksk_sym logits = ksk_multiply(x, scale); /* computed, so worked on in place */
            check(&s, ksk_sum(ksk_cross_entropy(logits, targets, smooth ? 0.1F : 0)), 2e-6);
        }
}

static void test_log_softmax(void **state)
{
    for (int i = 0; i < shape_count; i++) {
        scene s = new_scene(20 + (uint64_t)i);
        const ksk_sym x = varied(&s, "rows", shapes[i][0], shapes[i][1]);
        const ksk_sym weights = normal(&s, "rows", shapes[i][0], shapes[i][1]);
        check(&s, total(ksk_multiply(weights, ksk_log_softmax(x))), 1e-5);
    }
}

static void test_layer_norm(void **state)
{
    for (int i = 0; i < shape_count; i++) {
        const int64_t m = shapes[i][0], n = shapes[i][1];
        scene s = new_scene(30 + (uint64_t)i);
        const ksk_sym x = varied(&s, "rows", m, n), gain = varied(&s, NULL, n, 0),
                      bias = varied(&s, NULL, n, 0);
        const ksk_sym weights = normal(&s, "rows", m, n);
        const ksk_sym y = ksk_layer_norm(ksk_add(x, bias), gain, bias, 1e-5F);
        check(&s, total(ksk_multiply(weights, y)), 2e-5);
    }
}

static void test_activations(void **state)
{
    static const ksk_activation kinds[] = {KSK_IDENTITY, KSK_RELU, KSK_GELU,
                                           KSK_GELU_NEW, KSK_SILU, KSK_TANH};
    for (int i = 0; i < shape_count; i++)
        for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            scene s = new_scene(40 + (uint64_t)i);
            const ksk_sym x = varied(&s, "rows", shapes[i][0], shapes[i][1]);
            const ksk_sym weights = normal(&s, "rows", shapes[i][0], shapes[i][1]);
            const ksk_sym y = ksk_activate(ksk_scale(x, 3), kinds[kind]);
            check(&s, total(ksk_multiply(weights, y)), 5e-6);
        }
}

/* The same elements are dropped: nothing but the sum of the loss may differ. */
static void test_dropout(void **state)
{
    for (int i = 0; i < shape_count; i++) {
        scene s = new_scene(50 + (uint64_t)i);
        const ksk_sym x = varied(&s, "rows", shapes[i][0], shapes[i][1]);
        const ksk_sym weights = normal(&s, "rows", shapes[i][0], shapes[i][1]);
        const ksk_sym key = numbers(&s, NULL, 2, 1u << 31);
        check(&s, total(ksk_multiply(weights, ksk_dropout(x, key, 0.1F, 3))), 1e-6);
    }
}

static void test_rows(void **state)
{
    static const int64_t tables[][3] = {{3, 5, 7}, {41, 19, 300}, {997, 130, 401}};
    for (int i = 0; i < 3; i++) {
        const int64_t m = tables[i][2], n = tables[i][1];
        scene s = new_scene(60 + (uint64_t)i);
        const ksk_sym table = varied(&s, NULL, tables[i][0], n);
        const ksk_sym ids = numbers(&s, "rows", m, (uint32_t)tables[i][0]);
        check(&s, total(ksk_multiply(normal(&s, "rows", m, n), ksk_rows(table, ids))), 1e-6);
    }
}

/* --- attention -------------------------------------------------------------------------------- */

/* Sentences of 0 to 2 * mean - 1 rows; a row sees all of its sentence's keys, or those up to its
 * own. Gives the rows. */
static int64_t sentence_spans(int64_t sentences, int64_t mean, bool causal, int32_t *spans)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < sentences; i++) {
        const int64_t length = i * 7 % (2 * mean), start = rows;
        for (; rows < start + length; rows++) {
            spans[2 * rows] = (int32_t)start;
            spans[2 * rows + 1] = (int32_t)(causal ? rows - start + 1 : length);
        }
    }
    return rows;
}

static ksk_sym add_spans(scene *s, int64_t rows, const int32_t *spans)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_I32, 2, (const int64_t[]){rows, 2}, NULL);
    memcpy(ksk_tensor_fill(tensor), spans, ksk_tensor_bytes(tensor));
    return add(s, "rows", tensor);
}

static void check_attention(uint64_t seed, int64_t rows, int64_t keys, const int32_t *spans,
                            int64_t index_count, int64_t width, int heads)
{
    scene s = new_scene(seed);
    const ksk_sym q = varied(&s, "rows", rows, width * heads),
                  k = varied(&s, "keys", keys, width * heads),
                  v = varied(&s, "keys", keys, width * heads);
    const ksk_sym weights = normal(&s, "rows", rows, width * heads);
    const ksk_sym spanned = add_spans(&s, rows, spans);
    const ksk_sym index =
        index_count ? numbers(&s, "entries", index_count, (uint32_t)keys) : ksk_none(s.graph);
    check(&s, total(ksk_multiply(weights, ksk_attention(q, k, v, spanned, index, heads))), 1e-5);
}

static void test_attention(void **state)
{
    static const int64_t cases[][4] = {/* sentences, mean length, width, heads */
                                       {6, 3, 5, 3},
                                       {9, 10, 64, 4},
                                       {40, 7, 20, 2},
                                       {5, 60, 33, 1}};
    int32_t spans[2 * 1000];
    for (uint64_t i = 0; i < 4; i++)
        for (int causal = 0; causal < 2; causal++) {
            const int64_t rows = sentence_spans(cases[i][0], cases[i][1], causal, spans);
            check_attention(70 + i, rows, rows, spans, 0, cases[i][2], (int)cases[i][3]);
            /* keys through an index: rows of other sentences share some */
            check_attention(80 + i, rows, rows / 2 + 1, spans, rows, cases[i][2], (int)cases[i][3]);
        }
}

/* Spans that overlap, go back, or are empty. */
static void test_unordered_spans(void **state)
{
    static const int32_t spans[] = {4, 3, 0, 4, 5, 0, 0, 9, 7, 2, 3, 5, 8, 1, 2, 2, 0, 0, 11, 1};
    check_attention(90, 10, 13, spans, 0, 11, 3);
    static const int32_t overlapping[] = {0, 4, 1, 1, 3, 4, 6, 2, 8, 1, 8, 3, 9, 4, 13, 0, 13, 2};
    check_attention(91, 9, 15, overlapping, 0, 8, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_layer_norm),    cmocka_unit_test(test_activations),
        cmocka_unit_test(test_dropout),       cmocka_unit_test(test_rows),
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_unordered_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
