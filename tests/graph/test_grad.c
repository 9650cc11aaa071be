/* Gradients against central finite differences, computed with the plain kernels in f32 but with
 * steps large enough for them; and fast kernels against plain ones. Shapes differ on every axis. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/graph.h"
#include "kaskad/random.h"

enum { most_inputs = 10 };

/* A function of its float inputs, weighed by fixed random numbers and summed to one. */
typedef struct problem {
    ksk_graph *graph;
    int inputs;
    ksk_tensor *tensors[most_inputs];
    ksk_sym syms[most_inputs];
    bool varies[most_inputs];
    uint64_t seed;
} problem;

static ksk_sym add(problem *p, const char *rows, ksk_tensor *tensor, bool varies)
{
    ksk_shape shape = {.rank = ksk_tensor_rank(tensor)};
    const char name[2] = {(char)('a' + p->inputs), 0};
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = ksk_fixed(ksk_tensor_size(tensor, i));
    if (rows)
        shape.size[0] = ksk_named(p->graph, rows);
    p->tensors[p->inputs] = tensor;
    p->varies[p->inputs] = varies;
    p->syms[p->inputs] = ksk_input(p->graph, name, ksk_tensor_dtype(tensor), shape);
    return p->syms[p->inputs++];
}

static ksk_sym normal(problem *p, const char *rows, int64_t m, int64_t n)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, n ? 2 : 1, (const int64_t[]){m, n}, NULL);
    float *x = ksk_tensor_fill(tensor);
    for (int64_t i = 0; i < ksk_tensor_count(tensor); i++)
        x[i] = ksk_random_normal(ksk_key_from_seed(++p->seed), 3);
    return add(p, rows, tensor, true);
}

static ksk_sym integers(problem *p, const char *rows, int64_t m, int64_t n, const int32_t *values)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_I32, n ? 2 : 1, (const int64_t[]){m, n}, NULL);
    memcpy(ksk_tensor_fill(tensor), values, ksk_tensor_bytes(tensor));
    return add(p, rows, tensor, false);
}

/* Σ y · weights, so that every element of y has a gradient of its own. */
static ksk_sym weigh(problem *p, ksk_sym y, int64_t rows, int64_t columns)
{
    const ksk_sym weights = normal(p, "rows", rows, columns);
    p->varies[p->inputs - 1] = false;
    return ksk_sum(ksk_column_sum(ksk_multiply(y, weights)));
}

static void run(const ksk_plan *plan, const problem *p, ksk_tensor **outputs)
{
    ksk_error err = {0};
    ksk_workspace *workspace = ksk_workspace_new(2, &err);
    if (!ksk_run(plan, workspace, (const ksk_tensor *const *)p->tensors, outputs, &err))
        fail_msg("%s", err.message);
    ksk_workspace_free(workspace);
}

static double evaluate(const ksk_plan *plan, const problem *p)
{
    ksk_tensor *loss = NULL;
    run(plan, p, &loss);
    const double value = *ksk_tensor_f32(loss);
    ksk_tensor_release(loss);
    return value;
}

/* By central differences with a step of `step`. */
static double slope(const ksk_plan *loss, const problem *p, float *x, float step)
{
    const float kept = *x;
    *x = kept + step;
    const double above = evaluate(loss, p);
    *x = kept - step;
    const double below = evaluate(loss, p);
    *x = kept;
    return (above - below) / (2 * (double)step);
}

/* The error of central differences grows with the square of the step, so two steps cancel most of
 * it (Richardson 1911) where one small step would drown in rounding. */
static void check_input(const ksk_plan *loss, problem *p, int input, const ksk_tensor *gradient)
{
    float *x = ksk_tensor_fill(p->tensors[input]);
    assert_int_equal(ksk_tensor_count(gradient), ksk_tensor_count(p->tensors[input]));
    for (int64_t i = 0; i < ksk_tensor_count(gradient); i++) {
        const float step = 1e-2F;
        const double expected =
            (4 * slope(loss, p, x + i, step) - slope(loss, p, x + i, 2 * step)) / 3;
        const double got = ksk_tensor_f32(gradient)[i];
        if (!(fabs(expected - got) <= 1e-3 * (1 + fabs(expected))))
            fail_msg("input %c, element %lld: %g by differences, %g by grad", 'a' + input,
                     (long long)i, expected, got);
    }
}

static void check_gradients(problem *p, ksk_sym loss)
{
    ksk_error err = {0};
    ksk_sym wrt[most_inputs], grads[most_inputs];
    int wanted[most_inputs], count = 0;
    for (int i = 0; i < p->inputs; i++) {
        if (p->varies[i]) {
            wanted[count] = i;
            wrt[count++] = p->syms[i];
        }
    }
    ksk_grad(loss, count, wrt, grads);
    const ksk_compile_options plain = {.reference = true};
    ksk_plan *forward = ksk_compile(p->graph, 1, &loss, &plain, &err);
    if (!forward)
        fail_msg("%s", err.message);
    for (int pass = 0; pass < 2; pass++) {
        ksk_tensor *outputs[most_inputs] = {NULL};
        ksk_plan *backward = ksk_compile(p->graph, count, grads, pass ? NULL : &plain, &err);
        if (!backward)
            fail_msg("%s", err.message);
        run(backward, p, outputs);
        for (int i = 0; i < count; i++) {
            check_input(forward, p, wanted[i], outputs[i]);
            ksk_tensor_release(outputs[i]);
        }
        ksk_plan_free(backward);
    }
    ksk_plan_free(forward);
    for (int i = 0; i < p->inputs; i++)
        ksk_tensor_release(p->tensors[i]);
    ksk_graph_free(p->graph);
}

static problem new_problem(uint64_t seed)
{
    return (problem){.graph = ksk_graph_new(), .seed = seed * 1000};
}

static void test_linear(void **state)
{
    problem p = new_problem(1);
    const ksk_sym x = normal(&p, "rows", 3, 5), w = normal(&p, NULL, 4, 5),
                  b = normal(&p, NULL, 4, 0);
    check_gradients(&p, weigh(&p, ksk_linear(x, w, b), 3, 4));
}

static void test_matmul(void **state)
{
    for (int form = 0; form < 4; form++) {
        problem p = new_problem(2);
        const bool ta = form & 1, tb = form & 2;
        const ksk_sym a = ta ? normal(&p, NULL, 5, 3) : normal(&p, NULL, 3, 5);
        const ksk_sym b = tb ? normal(&p, NULL, 4, 5) : normal(&p, NULL, 5, 4);
        const ksk_sym y = ksk_matmul(a, b, ta, tb);
        const ksk_sym weights = normal(&p, NULL, 3, 4);
        p.varies[2] = false;
        check_gradients(&p, ksk_sum(ksk_column_sum(ksk_multiply(y, weights))));
    }
}

static void test_elementwise(void **state)
{
    problem p = new_problem(3);
    const ksk_sym x = normal(&p, "rows", 4, 3), y = normal(&p, "rows", 4, 3),
                  row = normal(&p, NULL, 3, 0);
    const ksk_sym sum = ksk_add(ksk_multiply(x, row), ksk_multiply(y, x));
    check_gradients(&p, weigh(&p, ksk_scale(ksk_add(sum, row), 0.7F), 4, 3));
}

static void test_activations(void **state)
{
    for (int kind = KSK_IDENTITY; kind <= KSK_TANH; kind++) {
        problem p = new_problem(4);
        const ksk_sym x = normal(&p, "rows", 3, 4);
        check_gradients(&p, weigh(&p, ksk_activate(x, (ksk_activation)kind), 3, 4));
    }
}

static void test_layer_norm(void **state)
{
    problem p = new_problem(5);
    const ksk_sym x = normal(&p, "rows", 3, 7), gain = normal(&p, NULL, 7, 0),
                  bias = normal(&p, NULL, 7, 0);
    check_gradients(&p, weigh(&p, ksk_layer_norm(x, gain, bias, 1e-5F), 3, 7));
}

static void test_rows(void **state)
{
    problem p = new_problem(6);
    const ksk_sym table = normal(&p, NULL, 5, 3);
    const ksk_sym ids = integers(&p, "rows", 4, 0, (const int32_t[]){4, 0, 4, 2});
    check_gradients(&p, weigh(&p, ksk_rows(table, ids), 4, 3));
}

static void test_attention(void **state)
{
    static const int32_t spans[] = {0, 1, 0, 2, 0, 3, 3, 2, 1, 0};
    problem p = new_problem(7);
    const ksk_sym q = normal(&p, "rows", 5, 6), k = normal(&p, "keys", 7, 6),
                  v = normal(&p, "keys", 7, 6);
    const ksk_sym spanned = integers(&p, "rows", 5, 2, spans);
    check_gradients(&p, weigh(&p, ksk_attention(q, k, v, spanned, ksk_none(p.graph), 2), 5, 6));
}

static void test_attention_indexed(void **state)
{
    static const int32_t spans[] = {0, 4, 2, 3, 1, 1};
    problem p = new_problem(8);
    const ksk_sym q = normal(&p, "rows", 3, 4), k = normal(&p, "keys", 6, 4),
                  v = normal(&p, "keys", 6, 4);
    const ksk_sym spanned = integers(&p, "rows", 3, 2, spans);
    const ksk_sym index = integers(&p, "entries", 5, 0, (const int32_t[]){5, 0, 3, 3, 1});
    check_gradients(&p, weigh(&p, ksk_attention(q, k, v, spanned, index, 1), 3, 4));
}

static void test_cross_entropy(void **state)
{
    for (int smooth = 0; smooth < 2; smooth++) {
        problem p = new_problem(9);
        const ksk_sym logits = normal(&p, "rows", 4, 6);
        const ksk_sym targets = integers(&p, "rows", 4, 0, (const int32_t[]){5, 0, 2, 2});
        const ksk_sym loss = ksk_cross_entropy(logits, targets, smooth ? 0.1F : 0);
        check_gradients(&p, ksk_scale(ksk_sum(loss), 0.5F));
    }
}

static void test_log_softmax(void **state)
{
    problem p = new_problem(12);
    const ksk_sym x = normal(&p, "rows", 3, 5);
    const ksk_sym ids = integers(&p, "rows", 3, 0, (const int32_t[]){4, 0, 2});
    const ksk_sym picked = ksk_pick(ksk_log_softmax(ksk_columns(x, 0, 5)), ids);
    check_gradients(&p, ksk_sum(ksk_multiply(picked, picked)));
}

static void test_columns(void **state)
{
    problem p = new_problem(13);
    const ksk_sym x = normal(&p, "rows", 3, 8);
    const ksk_sym y = ksk_multiply(ksk_columns(x, 1, 4), ksk_columns(x, 3, 4));
    check_gradients(&p, weigh(&p, y, 3, 4));
}

static void test_dropout(void **state)
{
    problem p = new_problem(10);
    const ksk_sym x = normal(&p, "rows", 5, 7);
    const ksk_sym key = integers(&p, NULL, 2, 0, (const int32_t[]){12345, 678});
    check_gradients(&p, weigh(&p, ksk_dropout(x, key, 0.4F, 3), 5, 7));
}

static void test_dropout_keeps_its_share(void **state)
{
    problem p = new_problem(11);
    ksk_tensor *ones = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){100, 101}, NULL);
    for (int i = 0; i < 10100; i++)
        ((float *)ksk_tensor_fill(ones))[i] = 1;
    const ksk_sym x = add(&p, "rows", ones, true);
    const ksk_sym key = integers(&p, NULL, 2, 0, (const int32_t[]){5, 6});
    const ksk_sym y = ksk_dropout(x, key, 0.25F, 0);
    ksk_plan *plan = ksk_compile(p.graph, 1, &y, NULL, NULL);
    ksk_tensor *output = NULL;
    run(plan, &p, &output);
    int kept = 0;
    for (int i = 0; i < 10100; i++) {
        const float value = ksk_tensor_f32(output)[i];
        assert_true(value == 0 || fabsf(value - 4.0F / 3) < 1e-6F);
        kept += value != 0;
    }
    assert_in_range(kept, 7575 - 150, 7575 + 150); /* 3.4 deviations */
    ksk_tensor_release(output);
    ksk_plan_free(plan);
    for (int i = 0; i < p.inputs; i++)
        ksk_tensor_release(p.tensors[i]);
    ksk_graph_free(p.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_indexed),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_dropout_keeps_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
