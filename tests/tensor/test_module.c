#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "kaskad/module.h"

static const ksk_initializer zeros = {KSK_INIT_ZEROS, 0}, ones = {KSK_INIT_ONES, 0};
static const ksk_initializer normal = {KSK_INIT_NORMAL, 0.5f}, uniform = {KSK_INIT_UNIFORM, 0.25f};

/* --- a tree whose widths all differ ---------------------------------------------------------- */

static ksk_module *linear(int64_t in, int64_t out)
{
    ksk_module *module = ksk_module_new("Linear");
    ksk_module_buffer(module, "mask", 1, (int64_t[]){out});
    ksk_module_param(module, "weight", 2, (int64_t[]){out, in}, normal);
    ksk_module_param(module, "bias", 1, (int64_t[]){out}, zeros);
    return module;
}

static ksk_module *block(int64_t width, int64_t inner, int heads)
{
    ksk_module *module = ksk_module_new("Block");
    ksk_module_setting(module, "heads", heads);
    ksk_module_setting(module, "epsilon", 1e-5);
    ksk_module_child(module, "fc1", linear(width, inner));
    ksk_module_child(module, "fc2", linear(inner, width));
    ksk_module_param(module, "gain", 1, (int64_t[]){width}, ones);
    return module;
}

static ksk_module *net(void)
{
    ksk_module *layers = ksk_module_new("Layers");
    ksk_module_child(layers, "0", block(5, 7, 1));
    ksk_module_child(layers, "1", block(5, 11, 5));
    ksk_module *module = ksk_module_new("Net");
    ksk_module_param(module, "table", 2, (int64_t[]){13, 5}, uniform);
    ksk_module_child(module, "layers", layers);
    ksk_module_child(module, "head", linear(5, 3));
    return module;
}

static ksk_module *made(uint64_t seed)
{
    ksk_module *declared = net();
    ksk_error err = {0};
    ksk_module *module = ksk_module_init(declared, ksk_key_from_seed(seed), &err);
    ksk_module_release(declared);
    assert_non_null(module);
    return module;
}

/* --- declaring and reading ------------------------------------------------------------------- */

static void test_print_declared(void **state)
{
    ksk_module *module = net();
    char *text = ksk_module_print(module);
    assert_string_equal(text, "Net()\n"
                              "  table: [13, 5]\n"
                              "  (layers): Layers()\n"
                              "    (0): Block(heads=1, epsilon=1e-05)\n"
                              "      gain: [5]\n"
                              "      (fc1): Linear()\n"
                              "        weight: [7, 5]\n"
                              "        bias: [7]\n"
                              "        mask: [7] buffer\n"
                              "      (fc2): Linear()\n"
                              "        weight: [5, 7]\n"
                              "        bias: [5]\n"
                              "        mask: [5] buffer\n"
                              "    (1): Block(heads=5, epsilon=1e-05)\n"
                              "      gain: [5]\n"
                              "      (fc1): Linear()\n"
                              "        weight: [11, 5]\n"
                              "        bias: [11]\n"
                              "        mask: [11] buffer\n"
                              "      (fc2): Linear()\n"
                              "        weight: [5, 11]\n"
                              "        bias: [5]\n"
                              "        mask: [5] buffer\n"
                              "  (head): Linear()\n"
                              "    weight: [3, 5]\n"
                              "    bias: [3]\n"
                              "    mask: [3] buffer\n");
    ksk_free(text);
    ksk_module_release(module);
}

static void test_print_made(void **state)
{
    ksk_module *module = made(1);
    char *text = ksk_module_print(ksk_module_get(module, "head"));
    assert_string_equal(text, "Linear()\n"
                              "  weight: F32[3, 5]\n"
                              "  bias: F32[3]\n"
                              "  mask: F32[3] buffer\n");
    ksk_free(text);
    ksk_module_release(module);
}

static void test_reading(void **state)
{
    ksk_module *module = made(2);
    assert_string_equal(ksk_module_type(module), "Net");
    assert_int_equal(ksk_module_children(module), 2);
    const ksk_module *second = ksk_module_at(module, "layers", 1);
    assert_ptr_equal(second, ksk_module_get(ksk_module_get(module, "layers"), "1"));
    assert_true(ksk_module_number(second, "heads") == 5);
    assert_true(isnan(ksk_module_number(second, "depth")));
    assert_null(ksk_module_at(module, "layers", 2));
    assert_null(ksk_module_at(module, "blocks", 0));
    assert_null(ksk_module_get(module, "table"));
    assert_null(ksk_module_tensor(module, "head"));
    assert_null(ksk_module_tensor(NULL, "weight"));
    const ksk_tensor *weight = ksk_module_tensor(ksk_module_get(second, "fc1"), "weight");
    assert_int_equal(ksk_tensor_size(weight, 0), 11);
    assert_int_equal(ksk_tensor_size(weight, 1), 5);
    assert_int_equal(ksk_module_parameters(module),
                     13 * 5 + (5 + 2 * 5 * 7 + 7 + 5) + (5 + 2 * 5 * 11 + 11 + 5) + 3 * 5 + 3);
    ksk_module_release(module);
}

static void test_flat(void **state)
{
    ksk_module *module = made(3);
    static const char *const paths[] = {
        "table",
        "layers.0.gain",
        "layers.0.fc1.weight",
        "layers.0.fc1.bias",
        "layers.0.fc1.mask",
        "layers.0.fc2.weight",
        "layers.0.fc2.bias",
        "layers.0.fc2.mask",
        "layers.1.gain",
        "layers.1.fc1.weight",
        "layers.1.fc1.bias",
        "layers.1.fc1.mask",
        "layers.1.fc2.weight",
        "layers.1.fc2.bias",
        "layers.1.fc2.mask",
        "head.weight",
        "head.bias",
        "head.mask",
    };
    const int count = (int)(sizeof paths / sizeof *paths);
    assert_int_equal(ksk_module_leaves(module), count);
    char path[20];
    for (int i = 0; i < count; i++) {
        assert_true(ksk_module_leaf_path(module, i, path, sizeof path));
        assert_string_equal(path, paths[i]);
        assert_int_equal(ksk_module_leaf_trained(module, i), !strstr(path, "mask"));
        assert_non_null(ksk_module_leaf(module, i));
    }
    assert_ptr_equal(ksk_module_leaf(module, 15),
                     ksk_module_tensor(ksk_module_get(module, "head"), "weight"));
    assert_false(ksk_module_leaf_path(module, 2, path, strlen("layers.0.fc1.weight")));
    assert_true(ksk_module_leaf_path(module, 2, path, strlen("layers.0.fc1.weight") + 1));
    assert_false(ksk_module_leaf_path(module, 2, path, 3));
    assert_false(ksk_module_leaf_path(module, -1, path, sizeof path));
    assert_false(ksk_module_leaf_path(module, count, path, sizeof path));
    assert_null(ksk_module_leaf(module, count));
    assert_null(ksk_module_leaf(module, -1));
    assert_false(ksk_module_leaf_trained(module, count));
    ksk_module_release(module);
}

/* --- errors of declaring --------------------------------------------------------------------- */

static void expect_error(ksk_module *declared, ksk_status status, const char *message)
{
    ksk_error err = {0};
    assert_null(ksk_module_init(declared, ksk_key_from_seed(1), &err));
    assert_int_equal(err.status, status);
    assert_string_equal(err.message, message);
    ksk_module_release(declared);
}

static void test_names_used_twice(void **state)
{
    ksk_module *module = linear(3, 2);
    ksk_module_param(module, "bias", 1, (int64_t[]){2}, zeros);
    ksk_module_child(module, "bias", linear(5, 4)); /* a later error does not replace the first */
    expect_error(module, KSK_BAD_ARGUMENT, "module Linear: the name \"bias\" is used twice");

    module = block(5, 7, 1);
    ksk_module_buffer(module, "fc1", 1, (int64_t[]){2});
    expect_error(module, KSK_BAD_ARGUMENT, "module Block: the name \"fc1\" is used twice");

    module = block(5, 7, 1);
    ksk_module_child(module, "gain", linear(3, 2));
    expect_error(module, KSK_BAD_ARGUMENT, "module Block: the name \"gain\" is used twice");

    module = block(5, 7, 1);
    ksk_module_setting(module, "heads", 3);
    expect_error(module, KSK_BAD_ARGUMENT, "module Block: the setting \"heads\" is used twice");
}

static void test_errors_stick_below(void **state)
{
    ksk_module *inner = linear(3, 2);
    ksk_module_param(inner, "a.b", 1, (int64_t[]){2}, zeros);
    ksk_module *outer = ksk_module_new("Outer");
    ksk_module_child(outer, "inner", inner);
    expect_error(outer, KSK_BAD_ARGUMENT,
                 "module Linear: the name \"a.b\" is empty or has a dot; nest modules instead");

    outer = ksk_module_new("Outer");
    ksk_module_param(outer, "w", 2, (int64_t[]){3, -1}, zeros);
    expect_error(
        outer, KSK_BAD_ARGUMENT,
        "module Outer: \"w\" has a negative or too large shape, or more than 4 dimensions");

    outer = ksk_module_new("Outer");
    ksk_module_param(outer, "w", 3, (int64_t[]){INT64_MAX / 2, 3, 5}, zeros);
    expect_error(
        outer, KSK_BAD_ARGUMENT,
        "module Outer: \"w\" has a negative or too large shape, or more than 4 dimensions");

    outer = ksk_module_new("Outer");
    ksk_module_child(outer, "inner", NULL);
    expect_error(outer, KSK_OUT_OF_MEMORY,
                 "module Outer: there was no memory for its child \"inner\"");
    expect_error(NULL, KSK_OUT_OF_MEMORY, "there was no memory for the module");
}

static void test_nothing_changes_a_tree(void **state)
{
    ksk_module *outer = ksk_module_new("Outer"), *inner = linear(3, 2);
    ksk_module_child(outer, "inner", inner);
    ksk_module_param(inner, "late", 1, (int64_t[]){2}, zeros);
    assert_int_equal(ksk_module_leaves(outer), 3);
    expect_error(outer, KSK_BAD_ARGUMENT,
                 "module Linear was added to after it had become part of a tree");

    ksk_module *module = made(4), *same = made(4);
    ksk_module_param(module, "late", 1, (int64_t[]){2}, zeros);
    ksk_module_setting(module, "late", 1);
    ksk_module_child(module, "later", linear(3, 2));
    assert_true(ksk_module_equal(module, same));
    ksk_module_release(module);
    ksk_module_release(same);
}

static void test_depth_is_bounded(void **state)
{
    ksk_module *module = linear(3, 2);
    for (int i = 0; i < 63; i++) {
        ksk_module *outer = ksk_module_new("Outer");
        ksk_module_child(outer, "inner", module);
        module = outer;
    }
    ksk_error err = {0};
    ksk_module *fine = ksk_module_init(module, ksk_key_from_seed(1), &err);
    assert_non_null(fine);
    ksk_module_release(fine);
    ksk_module *outer = ksk_module_new("Outer");
    ksk_module_child(outer, "inner", module);
    expect_error(outer, KSK_BAD_ARGUMENT,
                 "module Outer: with its child \"inner\" the tree is deeper than 64 or has more "
                 "than 1048576 modules");

    /* A module that is its own sibling, again and again, would be walked 2^63 times. */
    module = linear(3, 2);
    for (int i = 0; i < 40; i++) {
        outer = ksk_module_new("Outer");
        ksk_module_child(outer, "left", ksk_module_share(module));
        ksk_module_child(outer, "right", module);
        module = outer;
    }
    assert_null(ksk_module_init(module, ksk_key_from_seed(1), &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_module_release(module);

    module = ksk_module_new("Snake");
    ksk_module_child(module, "tail", ksk_module_share(module));
    expect_error(module, KSK_BAD_ARGUMENT, "module Snake: it cannot be its own child \"tail\"");
}

/* --- initialising ---------------------------------------------------------------------------- */

static void test_init_values(void **state)
{
    ksk_module *module = made(5);
    const ksk_module *head = ksk_module_get(module, "head");
    const float *table = ksk_tensor_f32(ksk_module_tensor(module, "table"));
    float lowest = 1, highest = -1;
    for (int i = 0; i < 13 * 5; i++) {
        lowest = fminf(lowest, table[i]);
        highest = fmaxf(highest, table[i]);
    }
    assert_true(lowest >= -0.25f && lowest < -0.2f && highest < 0.25f && highest > 0.2f);
    const float *weight = ksk_tensor_f32(ksk_module_tensor(head, "weight"));
    double square = 0;
    for (int i = 0; i < 15; i++)
        square += weight[i] * weight[i];
    assert_true(square / 15 > 0.05 && square / 15 < 0.8);
    assert_true(ksk_tensor_f32(ksk_module_tensor(head, "bias"))[2] == 0);
    assert_true(ksk_tensor_f32(ksk_module_tensor(head, "mask"))[2] == 0);
    assert_true(ksk_tensor_f32(ksk_module_tensor(ksk_module_at(module, "layers", 1), "gain"))[4] ==
                1);
    ksk_module_release(module);
}

static void test_init_depends_on_the_path_alone(void **state)
{
    ksk_module *wider = net();
    ksk_module_param(wider, "extra", 2, (int64_t[]){2, 3}, normal);
    ksk_module_child(wider, "tail", linear(2, 9));
    ksk_error err = {0};
    ksk_module *a = ksk_module_init(wider, ksk_key_from_seed(6), &err), *b = made(6), *c = made(7);
    for (int i = 0; i < 2; i++)
        assert_true(ksk_module_equal(ksk_module_at(a, "layers", i), ksk_module_at(b, "layers", i)));
    assert_true(ksk_tensor_equal(ksk_module_tensor(a, "table"), ksk_module_tensor(b, "table")));
    assert_false(ksk_tensor_equal(ksk_module_tensor(c, "table"), ksk_module_tensor(b, "table")));

    /* No two leaves draw the same numbers: weights of the two layers differ from the start. */
    const float *first = ksk_tensor_f32(
        ksk_module_tensor(ksk_module_get(ksk_module_at(a, "layers", 0), "fc1"), "weight"));
    const float *second = ksk_tensor_f32(
        ksk_module_tensor(ksk_module_get(ksk_module_at(a, "layers", 1), "fc1"), "weight"));
    assert_true(first[0] != second[0]);
    ksk_module_release(wider);
    ksk_module_release(a);
    ksk_module_release(b);
    ksk_module_release(c);
}

/* --- binding --------------------------------------------------------------------------------- */

typedef struct table {
    const ksk_module *from;
    const char *missing;  /* a path without a tensor */
    const char *reshaped; /* a path whose tensor is flat */
} table;

static ksk_tensor *find(void *context, const char *path, ksk_error *err)
{
    const table *self = context;
    char other[64];
    if (self->missing && strcmp(path, self->missing) == 0) {
        ksk_fail(err, KSK_BAD_FORMAT, "no tensor \"%s\"", path);
        return NULL;
    }
    for (int i = 0; i < ksk_module_leaves(self->from); i++) {
        assert_true(ksk_module_leaf_path(self->from, i, other, sizeof other));
        const ksk_tensor *leaf = ksk_module_leaf(self->from, i);
        if (strcmp(path, other) != 0)
            continue;
        if (self->reshaped && strcmp(path, self->reshaped) == 0)
            return ksk_tensor_reshape(leaf, 1, (int64_t[]){ksk_tensor_count(leaf)}, err);
        return ksk_tensor_share(leaf);
    }
    fail_msg("asked for %s", path);
    return NULL;
}

static void test_bind(void **state)
{
    ksk_module *declared = net(), *from = made(8);
    table all = {.from = from};
    ksk_error err = {0};
    ksk_module *bound = ksk_module_bind(declared, find, &all, &err);
    assert_true(ksk_module_equal(bound, from));
    assert_ptr_equal(ksk_module_tensor(bound, "table"), ksk_module_tensor(from, "table"));
    assert_false(ksk_module_equal(bound, declared));
    ksk_module_release(from);
    assert_int_equal(ksk_tensor_count(ksk_module_tensor(bound, "table")), 65);
    ksk_module_release(bound);
    ksk_module_release(declared);
}

static void test_bind_refuses(void **state)
{
    ksk_module *declared = net(), *from = made(9);
    table wrong = {.from = from, .reshaped = "layers.1.fc2.weight"};
    ksk_error err = {0};
    assert_null(ksk_module_bind(declared, find, &wrong, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_string_equal(err.message, "tensor \"layers.1.fc2.weight\" has the shape [55], but the "
                                     "model needs [5, 11]");
    table lacking = {.from = from, .missing = "head.bias"};
    assert_null(ksk_module_bind(declared, find, &lacking, &err));
    assert_string_equal(err.message, "no tensor \"head.bias\"");
    assert_null(ksk_module_bind(declared, find, &lacking, NULL));
    ksk_module_release(from);
    ksk_module_release(declared);
}

/* --- trees from trees ------------------------------------------------------------------------ */

/* As a gradient might look: the path's length everywhere, in the leaf's shape. */
static ksk_tensor *path_length(void *context, const char *path, const ksk_tensor *leaf,
                               ksk_error *err)
{
    int *visits = context;
    ++*visits;
    ksk_tensor *result =
        ksk_tensor_new(KSK_F32, ksk_tensor_rank(leaf), ksk_tensor_shape(leaf), err);
    float *values = result ? ksk_tensor_fill(result) : NULL;
    for (int64_t i = 0; values && i < ksk_tensor_count(result); i++)
        values[i] = (float)strlen(path);
    return result;
}

static ksk_tensor *subtract(void *context, const char *path, const ksk_tensor *a,
                            const ksk_tensor *b, ksk_error *err)
{
    const float *rate = context;
    ksk_tensor *result = ksk_tensor_new(KSK_F32, ksk_tensor_rank(a), ksk_tensor_shape(a), err);
    float *values = result ? ksk_tensor_fill(result) : NULL;
    for (int64_t i = 0; values && i < ksk_tensor_count(result); i++)
        values[i] = ksk_tensor_f32(a)[i] - *rate * ksk_tensor_f32(b)[i];
    return result;
}

static ksk_tensor *refuse(void *context, const char *path, const ksk_tensor *leaf, ksk_error *err)
{
    if (strcmp(path, context) != 0)
        return ksk_tensor_share(leaf);
    ksk_fail(err, KSK_INTERRUPTED, "stopped at %s", path);
    return NULL;
}

static void test_map_and_zip(void **state)
{
    ksk_module *module = made(10);
    ksk_error err = {0};
    int visits = 0;
    float rate = 0.5f;
    ksk_module *gradient = ksk_module_map(module, path_length, &visits, &err);
    assert_int_equal(visits, ksk_module_leaves(module));
    ksk_module *next = ksk_module_zip(module, gradient, subtract, &rate, &err);
    for (int i = 0; i < ksk_module_leaves(module); i++) {
        char path[40];
        assert_true(ksk_module_leaf_path(module, i, path, sizeof path));
        const float length = (float)strlen(path);
        const float before = ksk_tensor_f32(ksk_module_leaf(module, i))[1];
        assert_true(ksk_tensor_f32(ksk_module_leaf(gradient, i))[1] == length);
        assert_true(ksk_tensor_f32(ksk_module_leaf(next, i))[1] == before - rate * length);
    }
    assert_false(ksk_module_equal(module, next));
    assert_null(ksk_module_map(module, refuse, (void *)"layers.1.fc1.bias", &err));
    assert_int_equal(err.status, KSK_INTERRUPTED);
    assert_string_equal(err.message, "stopped at layers.1.fc1.bias");
    ksk_module_release(module);
    ksk_module_release(gradient);
    ksk_module_release(next);
}

static void test_zip_needs_equal_structure(void **state)
{
    ksk_error err = {0};
    float rate = 1;
    ksk_module *module = made(11), *declared = net();
    assert_null(ksk_module_zip(module, ksk_module_get(module, "head"), subtract, &rate, &err));
    assert_string_equal(err.message, "trees of different structure: a module Net of one and Linear "
                                     "of the other differ in settings or names");
    assert_null(ksk_module_zip(ksk_module_at(module, "layers", 0),
                               ksk_module_at(module, "layers", 1), subtract, &rate, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT); /* heads=1 and heads=5 */
    assert_null(ksk_module_zip(module, declared, subtract, &rate, &err));
    assert_string_equal(err.message,
                        "\"table\" has no value yet; initialise or bind the module first");
    int visits = 0;
    assert_null(ksk_module_map(declared, path_length, &visits, &err));
    assert_int_equal(visits, 0);
    ksk_module_release(module);
    ksk_module_release(declared);
}

static void test_unflatten(void **state)
{
    ksk_module *module = made(12), *declared = net();
    ksk_error err = {0};
    const ksk_tensor *leaves[64];
    const int count = ksk_module_leaves(module);
    for (int i = 0; i < count; i++)
        leaves[i] = ksk_module_leaf(module, i);
    ksk_module *again = ksk_module_unflatten(declared, leaves, &err);
    assert_true(ksk_module_equal(module, again));
    ksk_module_release(again);

    leaves[0] = leaves[3]; /* another shape is fine */
    again = ksk_module_unflatten(module, leaves, &err);
    assert_int_equal(ksk_tensor_count(ksk_module_tensor(again, "table")), 7);
    assert_int_equal(ksk_module_parameters(again), ksk_module_parameters(module) - 65 + 7);
    ksk_module_release(again);

    leaves[5] = NULL;
    assert_null(ksk_module_unflatten(module, leaves, &err));
    assert_string_equal(err.message, "the leaf for \"layers.0.fc2.weight\" is NULL");
    ksk_module_release(module);
    ksk_module_release(declared);
}

static void test_equal(void **state)
{
    ksk_module *a = made(13), *b = made(13), *c = made(14);
    assert_true(ksk_module_equal(a, a));
    assert_true(ksk_module_equal(a, b));
    assert_false(ksk_module_equal(a, c));
    assert_false(ksk_module_equal(a, NULL));
    ksk_module *x = linear(3, 2), *y = linear(3, 2), *z = linear(2, 3), *w = block(3, 2, 1),
               *v = block(3, 2, 3);
    assert_true(ksk_module_equal(x, y));
    assert_false(ksk_module_equal(x, z)); /* shapes */
    assert_false(ksk_module_equal(x, w)); /* types */
    assert_false(ksk_module_equal(v, w)); /* settings */
    ksk_module_release(a);
    ksk_module_release(b);
    ksk_module_release(c);
    ksk_module_release(x);
    ksk_module_release(y);
    ksk_module_release(z);
    ksk_module_release(w);
    ksk_module_release(v);
}

static void test_subtrees_are_shared(void **state)
{
    ksk_module *module = made(15);
    ksk_module *pair = ksk_module_new("Pair");
    const ksk_module *layers = ksk_module_get(module, "layers");
    ksk_module_child(pair, "first", ksk_module_share(layers));
    ksk_module_child(pair, "second", ksk_module_share(layers));
    ksk_module_release(module);
    assert_int_equal(ksk_module_leaves(pair), 28);
    assert_ptr_equal(ksk_module_leaf(pair, 3), ksk_module_leaf(pair, 17));

    /* Initialised again, each place draws its own numbers. */
    ksk_error err = {0};
    ksk_module *drawn = ksk_module_init(pair, ksk_key_from_seed(1), &err);
    assert_false(ksk_module_equal(ksk_module_get(drawn, "first"), ksk_module_get(drawn, "second")));
    ksk_module_release(drawn);
    ksk_module_release(pair);
    assert_null(ksk_module_share(NULL));
    ksk_module_release(NULL);
}

/* --- every allocation failing in turn -------------------------------------------------------- */

static bool live_through_everything(void *context, ksk_error *err)
{
    ksk_module *declared = net();
    ksk_module *module = ksk_module_init(declared, ksk_key_from_seed(1), err);
    int visits = 0;
    float rate = 1;
    ksk_module *gradient = NULL, *next = NULL;
    char *text = NULL;
    if (module)
        gradient = ksk_module_map(module, path_length, &visits, err);
    if (gradient)
        next = ksk_module_zip(module, gradient, subtract, &rate, err);
    if (next && !(text = ksk_module_print(next)))
        ksk_fail_memory(err);
    const bool well = text != NULL;
    ksk_free(text);
    ksk_module_release(next);
    ksk_module_release(gradient);
    ksk_module_release(module);
    ksk_module_release(declared);
    return well;
}

static void test_memory_runs_out(void **state)
{
    assert_true(fault_sweep(live_through_everything, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_declared),
        cmocka_unit_test(test_print_made),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_names_used_twice),
        cmocka_unit_test(test_errors_stick_below),
        cmocka_unit_test(test_nothing_changes_a_tree),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_init_values),
        cmocka_unit_test(test_init_depends_on_the_path_alone),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_bind_refuses),
        cmocka_unit_test(test_map_and_zip),
        cmocka_unit_test(test_zip_needs_equal_structure),
        cmocka_unit_test(test_unflatten),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_subtrees_are_shared),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
