/* Every operation's fast kernel against its plain one, on shapes that differ on every axis, alone
 * and in company, fused and not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/extend.h"
#include "kaskad/memory.h"
#include "kaskad/random.h"

enum { most_inputs = 8 };

/* A small graph to be run with random inputs. */
typedef struct scene {
    ksk_graph *graph;
    int inputs;
    ksk_tensor *tensors[most_inputs];
    ksk_sym output;
    ksk_key key;
} scene;

static scene new_scene(uint64_t seed)
{
    return (scene){.graph = ksk_graph_new(), .key = ksk_key_from_seed(seed)};
}

static ksk_sym add_input(scene *s, const char *rows, ksk_tensor *tensor)
{
    ksk_shape shape = {.rank = ksk_tensor_rank(tensor)};
    char name[16] = {(char)('a' + s->inputs)};
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = ksk_fixed(ksk_tensor_size(tensor, i));
    if (rows)
        shape.size[0] = ksk_named(s->graph, rows);
    s->tensors[s->inputs++] = tensor;
    return ksk_input(s->graph, name, ksk_tensor_dtype(tensor), shape);
}

static ksk_tensor *random_matrix(scene *s, int64_t rows, int64_t columns)
{
    ksk_tensor *tensor =
        ksk_tensor_new(KSK_F32, columns ? 2 : 1, (const int64_t[]){rows, columns}, NULL);
    float *x = ksk_tensor_fill(tensor);
    s->key = ksk_key_split(s->key, 1);
    for (int64_t i = 0; i < ksk_tensor_count(tensor); i++)
        x[i] = ksk_random_normal(s->key, (uint64_t)i);
    return tensor;
}

static ksk_tensor *integers(int64_t rows, int64_t columns, const int32_t *values)
{
    ksk_tensor *tensor =
        ksk_tensor_new(KSK_I32, columns ? 2 : 1, (const int64_t[]){rows, columns}, NULL);
    memcpy(ksk_tensor_fill(tensor), values, ksk_tensor_bytes(tensor));
    return tensor;
}

static ksk_sym matrix(scene *s, const char *rows, int64_t m, int64_t n)
{
    return add_input(s, rows, random_matrix(s, m, n));
}

static ksk_sym constant_matrix(scene *s, int64_t m, int64_t n)
{
    ksk_tensor *tensor = random_matrix(s, m, n);
    const ksk_sym sym = ksk_constant(s->graph, tensor);
    ksk_tensor_release(tensor);
    return sym;
}

static ksk_tensor *run_scene(const scene *s, bool reference, int threads)
{
    ksk_error err = {0};
    const ksk_compile_options options = {.reference = reference};
    ksk_plan *plan = ksk_compile(s->graph, 1, &s->output, &options, &err);
    if (!plan)
        fail_msg("%s", err.message);
    ksk_workspace *workspace = ksk_workspace_new(threads, &err);
    ksk_tensor *output = NULL;
    if (!ksk_run(plan, workspace, (const ksk_tensor *const *)s->tensors, &output, &err))
        fail_msg("%s", err.message);
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    return output;
}

static void free_scene(scene *s)
{
    for (int i = 0; i < s->inputs; i++)
        ksk_tensor_release(s->tensors[i]);
    ksk_graph_free(s->graph);
}

/* Operations that a scene has compared. */
static bool compared[64];

static void note_operations(const scene *s)
{
    const ksk_compile_options plain = {.reference = true}; /* unfused, so each has its own step */
    ksk_plan *plan = ksk_compile(s->graph, 1, &s->output, &plain, NULL);
    char *text = ksk_plan_print(plan);
    for (int i = 0; ksk_op_at(i); i++) {
        char step[64] = "= ";
        strcat(step, ksk_op_at(i)->name);
        char *at = strstr(text, step);
        compared[i] |= at && strchr("(+", at[strlen(step)]);
    }
    ksk_free(text);
    ksk_plan_free(plan);
}

/* Fast equals plain within `tolerance`; one thread and two give the same bits. */
static void check_scene(scene *s, double tolerance)
{
    note_operations(s);
    ksk_tensor *plain = run_scene(s, true, 1), *fast = run_scene(s, false, 1),
               *threaded = run_scene(s, false, 2);
    assert_true(ksk_tensor_equal(fast, threaded));
    for (int64_t i = 0; i < ksk_tensor_count(plain); i++) {
        const double a = ksk_tensor_f32(plain)[i], b = ksk_tensor_f32(fast)[i];
        if (!(fabs(a - b) <= tolerance * (1 + fabs(a))))
            fail_msg("element %lld: plain %.9g, fast %.9g", (long long)i, a, b);
    }
    ksk_tensor_release(plain);
    ksk_tensor_release(fast);
    ksk_tensor_release(threaded);
    free_scene(s);
}

static void test_rows(void **state)
{
    scene s = new_scene(1);
    const ksk_sym table = constant_matrix(&s, 11, 7);
    const ksk_sym ids = add_input(&s, "rows", integers(5, 0, (const int32_t[]){10, 0, 3, 3, 9}));
    s.output = ksk_rows(table, ids);
    check_scene(&s, 0);
}

static void test_elementwise(void **state)
{
    static const ksk_activation kinds[] = {KSK_IDENTITY, KSK_RELU, KSK_GELU,
                                           KSK_GELU_NEW, KSK_SILU, KSK_TANH};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        scene s = new_scene(10 + i);
        const ksk_sym x = matrix(&s, "rows", 13, 37), y = matrix(&s, "rows", 13, 37);
        const ksk_sym row = constant_matrix(&s, 37, 0);
        const ksk_sym sum = ksk_add(ksk_multiply(ksk_activate(x, kinds[i]), row), y);
        s.output = ksk_scale(ksk_multiply(ksk_add(sum, row), y), 0.37F);
        check_scene(&s, 2e-6);
    }
}

static void test_norms(void **state)
{
    scene s = new_scene(20);
    const ksk_sym x = matrix(&s, "rows", 700, 53);
    const ksk_sym gain = constant_matrix(&s, 53, 0), bias = constant_matrix(&s, 53, 0);
    s.output = ksk_log_softmax(ksk_layer_norm(x, gain, bias, 1e-5F));
    check_scene(&s, 1e-5);
}

static void test_linear(void **state)
{
    static const int64_t rows[] = {1, 2, 5, 6, 7, 31, 200};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene s = new_scene(30 + i);
        const ksk_sym x = matrix(&s, "rows", rows[i], 41);
        const ksk_sym w = constant_matrix(&s, 67, 41), b = constant_matrix(&s, 67, 0);
        const ksk_sym free_weight = matrix(&s, NULL, 29, 67);
        s.output = ksk_linear(ksk_linear(x, w, b), free_weight, ksk_none(s.graph));
        check_scene(&s, 3e-5);
    }
}

/* The pattern of a post-norm layer: everything there is to fuse. */
static ksk_sym layer(scene *s, ksk_sym x, ksk_sym spans)
{
    ksk_sym projected[3];
    for (int i = 0; i < 3; i++)
        projected[i] = ksk_linear(x, constant_matrix(s, 30, 30), constant_matrix(s, 30, 0));
    const ksk_sym mixed =
        ksk_attention(projected[0], projected[1], projected[2], spans, ksk_none(s->graph), 5);
    const ksk_sym out = ksk_linear(mixed, constant_matrix(s, 30, 30), constant_matrix(s, 30, 0));
    const ksk_sym normed = ksk_layer_norm(ksk_add(x, out), constant_matrix(s, 30, 0),
                                          constant_matrix(s, 30, 0), 1e-5F);
    const ksk_sym inner = ksk_activate(
        ksk_linear(normed, constant_matrix(s, 70, 30), constant_matrix(s, 70, 0)), KSK_RELU);
    const ksk_sym outer = ksk_linear(inner, constant_matrix(s, 30, 70), constant_matrix(s, 30, 0));
    return ksk_layer_norm(ksk_add(outer, normed), constant_matrix(s, 30, 0),
                          constant_matrix(s, 30, 0), 1e-5F);
}

static void test_fused_layer(void **state)
{
    static const int32_t spans[] = {0, 3, 0, 3, 0, 3, 3, 1, 4, 4, 4, 4, 4, 4, 4, 4};
    scene s = new_scene(40);
    const ksk_sym x = matrix(&s, "rows", 8, 30);
    const ksk_sym spanned = add_input(&s, "rows", integers(8, 2, spans));
    s.output = layer(&s, layer(&s, x, spanned), spanned);
    ksk_plan *plan = ksk_compile(s.graph, 1, &s.output, NULL, NULL);
    char *text = ksk_plan_print(plan);
    assert_null(strstr(text, "= add("));
    assert_null(strstr(text, "= layer_norm("));
    assert_null(strstr(text, "= activate("));
    assert_non_null(strstr(text, "linear+bias+residual+norm("));
    assert_non_null(strstr(text, "linear+bias+relu("));
    assert_non_null(strstr(text, "[rows, 90]"));
    ksk_free(text);
    ksk_plan_free(plan);
    check_scene(&s, 1e-4);
}

static void test_attention_indexed(void **state)
{
    static const int32_t spans[] = {0, 4, 4, 0, 4, 3, 1, 1, 0, 7};
    static const int32_t index[] = {8, 0, 3, 3, 5, 1, 2};
    scene s = new_scene(50);
    const ksk_sym q = matrix(&s, "rows", 5, 21), k = matrix(&s, "keys", 9, 21),
                  v = matrix(&s, "keys", 9, 21);
    const ksk_sym spanned = add_input(&s, "rows", integers(5, 2, spans));
    const ksk_sym indexed = add_input(&s, "entries", integers(7, 0, index));
    s.output = ksk_attention(q, k, v, spanned, indexed, 3);
    check_scene(&s, 1e-5);
}

static void test_pick_and_columns(void **state)
{
    scene s = new_scene(60);
    const ksk_sym x = matrix(&s, "rows", 6, 19);
    const ksk_sym ids = add_input(&s, "rows", integers(6, 0, (const int32_t[]){0, 8, 4, 4, 1, 2}));
    s.output = ksk_pick(ksk_log_softmax(ksk_columns(x, 5, 9)), ids);
    check_scene(&s, 1e-5);
}

static void test_view_is_returned_whole(void **state)
{
    scene s = new_scene(61);
    const ksk_sym x = matrix(&s, "rows", 4, 10);
    s.output = ksk_columns(ksk_scale(x, 2), 3, 5);
    check_scene(&s, 0);
}

/* A row's bits do not depend on how many others there are. */
static void test_company(void **state)
{
    ksk_tensor *together = NULL;
    for (int64_t rows = 17; rows >= 1; rows -= 8) {
        scene s = new_scene(70);
        const ksk_sym x = matrix(&s, "rows", rows, 43);
        s.key = ksk_key_from_seed(71);
        const ksk_sym inner = ksk_activate(
            ksk_linear(x, constant_matrix(&s, 50, 43), constant_matrix(&s, 50, 0)), KSK_SILU);
        s.output = ksk_log_softmax(
            ksk_linear(inner, constant_matrix(&s, 99, 50), constant_matrix(&s, 99, 0)));
        ksk_tensor *output = run_scene(&s, false, 1);
        if (!together)
            together = ksk_tensor_share(output);
        assert_memory_equal(ksk_tensor_data(output), ksk_tensor_data(together),
                            ksk_tensor_bytes(output));
        ksk_tensor_release(output);
        free_scene(&s);
    }
    ksk_tensor_release(together);
}

static void test_training_operations(void **state)
{
    scene s = new_scene(65);
    const ksk_sym x = matrix(&s, "rows", 33, 29), y = matrix(&s, "rows", 33, 17);
    const ksk_sym key = add_input(&s, NULL, integers(2, 0, (const int32_t[]){7, 8}));
    const ksk_sym product = ksk_matmul(ksk_dropout(x, key, 0.3F, 1), y, true, false);
    int32_t numbers[29];
    for (int i = 0; i < 29; i++)
        numbers[i] = i * 5 % 17;
    const ksk_sym targets = add_input(&s, NULL, integers(29, 0, numbers));
    const ksk_sym loss = ksk_sum(ksk_cross_entropy(product, targets, 0.1F));
    s.output = ksk_add(loss, ksk_sum(ksk_column_sum(product)));
    check_scene(&s, 1e-5);
}

static void test_errors_stick(void **state)
{
    scene s = new_scene(80);
    const ksk_sym x = matrix(&s, "rows", 3, 4), y = matrix(&s, "others", 3, 4);
    s.output = ksk_scale(ksk_add(ksk_add(x, y), x), 2);
    ksk_error err = {0};
    assert_null(ksk_compile(s.graph, 1, &s.output, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "as many rows"));
    free_scene(&s);
}

static void test_bad_numbers(void **state)
{
    scene s = new_scene(90);
    const ksk_sym ids = add_input(&s, "rows", integers(2, 0, (const int32_t[]){0, 3}));
    s.output = ksk_rows(constant_matrix(&s, 3, 4), ids);
    ksk_error err = {0};
    ksk_plan *plan = ksk_compile(s.graph, 1, &s.output, NULL, &err);
    ksk_workspace *workspace = ksk_workspace_new(1, &err);
    ksk_tensor *output = NULL;
    assert_false(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, &err));
    assert_null(output);
    assert_non_null(strstr(err.message, "id 3 at 1 is not in [0, 3)"));
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    free_scene(&s);
}

static void test_inputs_are_checked(void **state)
{
    scene s = new_scene(91);
    const ksk_sym a = matrix(&s, "rows", 3, 4), b = matrix(&s, "rows", 2, 4);
    s.output = ksk_add(a, b);
    ksk_error err = {0};
    ksk_plan *plan = ksk_compile(s.graph, 1, &s.output, NULL, &err);
    ksk_workspace *workspace = ksk_workspace_new(1, &err);
    ksk_tensor *output = NULL;
    assert_false(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, &err));
    assert_non_null(strstr(err.message, "input 'b'"));
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    free_scene(&s);
}

/* Runs last: no operation may be registered that no scene above has compared. An append has one
 * kernel, and its own test. */
static void test_all_were_compared(void **state)
{
    for (int i = 0; ksk_op_at(i); i++)
        if (!compared[i] && !ksk_op_at(i)->appends)
            fail_msg("operation '%s' has no scene", ksk_op_at(i)->name);
    assert_string_equal(ksk_op_find("linear")->name, "linear");
    assert_null(ksk_op_find("no such operation"));
    assert_null(ksk_op_at(-1));
}

/* Rows go to slots, stay there between runs, and the cache grows. */
static void test_cache(void **state)
{
    scene s = new_scene(100);
    const ksk_sym x = matrix(&s, "rows", 2, 6);
    const ksk_sym slots = add_input(&s, "rows", integers(2, 0, (const int32_t[]){3, 1}));
    const ksk_sym read = add_input(&s, "reads", integers(2, 0, (const int32_t[]){1, 3}));
    s.output = ksk_rows(ksk_append(ksk_cache(s.graph, "c", "slots", 6), x, slots), read);
    ksk_error err = {0};
    ksk_plan *plan = ksk_compile(s.graph, 1, &s.output, NULL, &err);
    ksk_workspace *workspace = ksk_workspace_new(1, &err);
    ksk_tensor *output = NULL;
    assert_true(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, &err));
    const float *x0 = ksk_tensor_f32(s.tensors[0]), *x1 = x0 + 6;
    assert_memory_equal(ksk_tensor_f32(output), x1, 6 * sizeof *x1);
    assert_memory_equal(ksk_tensor_f32(output) + 6, x0, 6 * sizeof *x0);
    ksk_tensor_release(s.tensors[1]);
    s.tensors[1] = integers(2, 0, (const int32_t[]){1000, 0});
    assert_true(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, &err));
    assert_memory_equal(ksk_tensor_f32(output), x1, 6 * sizeof *x1);
    ksk_tensor_release(output);
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    free_scene(&s);
}

/* An output that is given back is filled again. */
static void test_outputs_are_reused(void **state)
{
    scene s = new_scene(110);
    s.output = ksk_scale(matrix(&s, "rows", 2, 6), 3);
    ksk_plan *plan = ksk_compile(s.graph, 1, &s.output, NULL, NULL);
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    ksk_tensor *output = NULL;
    assert_true(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, NULL));
    const void *data = ksk_tensor_data(output);
    assert_true(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, NULL));
    assert_ptr_equal(data, ksk_tensor_data(output));
    ksk_tensor *kept = ksk_tensor_share(output);
    assert_true(ksk_run(plan, workspace, (const ksk_tensor *const *)s.tensors, &output, NULL));
    assert_ptr_not_equal(data, ksk_tensor_data(output));
    ksk_tensor_release(kept);
    ksk_tensor_release(output);
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    free_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_fused_layer),
        cmocka_unit_test(test_attention_indexed),
        cmocka_unit_test(test_pick_and_columns),
        cmocka_unit_test(test_view_is_returned_whole),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_inputs_are_checked),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_outputs_are_reused),
        cmocka_unit_test(test_training_operations),
        cmocka_unit_test(test_all_were_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
