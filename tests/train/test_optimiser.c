/* Optimisers against their papers' formulas in double precision, and what they may write to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/memory.h"
#include "train/optimiser.h"

enum { wide = 211, tall = 307, narrow = 5 };

/* A tree with a leaf of several slices, a small one in a child, and a buffer. */
static ksk_module *tree(uint64_t seed)
{
    ksk_error err = {0};
    ksk_module *root = ksk_module_new("Root"), *child = ksk_module_new("Child");
    ksk_module_param(root, "weight", 2, (const int64_t[]){tall, wide},
                     (ksk_initializer){KSK_INIT_NORMAL, 1});
    ksk_module_param(child, "bias", 1, (const int64_t[]){narrow},
                     (ksk_initializer){KSK_INIT_UNIFORM, 2});
    ksk_module_buffer(root, "buffer", 1, (const int64_t[]){3});
    ksk_module_child(root, "child", child);
    ksk_module *drawn = ksk_module_init(root, ksk_key_from_seed(seed), &err);
    assert_non_null(drawn);
    ksk_module_release(root);
    return drawn;
}

static float at(const ksk_module *module, int leaf, int64_t i)
{
    return ksk_tensor_f32(ksk_module_leaf(module, leaf))[i];
}

enum { weight_leaf = 0, buffer_leaf = 1, bias_leaf = 2 };

/* --- formulas ----------------------------------------------------------------------------------
 */

static const double rates[] = {0.1, 0.05, 0.2};
enum { updates = 3 };
static const float gradient_scale = 0.25F;

/* One number through the updates. */
static double expected(const ksk_optimiser *o, double x, const double *gradients)
{
    double m = 0, v = 0;
    for (int t = 1; t <= updates; t++) {
        const double rate = rates[t - 1];
        double g = gradients[t - 1] * (double)gradient_scale;
        if (o->type != &ksk_adamw)
            g += o->weight_decay * x;
        if (o->type == &ksk_sgd) {
            m = o->beta1 * m + g;
            x -= rate * m;
            continue;
        }
        m = o->beta1 * m + (1 - o->beta1) * g;
        v = o->beta2 * v + (1 - o->beta2) * g * g;
        const double mean = m / (1 - pow(o->beta1, t)), square = v / (1 - pow(o->beta2, t));
        if (o->type == &ksk_adamw)
            x -= rate * o->weight_decay * x;
        x -= rate * mean / (sqrt(square) + o->epsilon);
    }
    return x;
}

static ksk_module *run(const ksk_optimiser *o, ksk_module *const *gradients, int threads)
{
    ksk_error err = {0};
    ksk_optimiser_state moments;
    ksk_pool *pool = ksk_pool_new(threads, &err);
    ksk_module *module = tree(1);
    assert_true(ksk_optimiser_start(o, module, &moments, &err));
    for (int t = 0; t < updates; t++)
        assert_true(ksk_optimiser_update(o, &module, gradients[t], gradient_scale, (float)rates[t],
                                         &moments, pool, &err));
    assert_int_equal(moments.updates, updates);
    ksk_optimiser_clear(&moments);
    ksk_pool_free(pool);
    return module;
}

static void check_leaf(const ksk_optimiser *o, const ksk_module *before, const ksk_module *after,
                       ksk_module *const *trees, int leaf, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const double gradients[updates] = {(double)at(trees[0], leaf, i),
                                           (double)at(trees[1], leaf, i),
                                           (double)at(trees[2], leaf, i)};
        const double right = expected(o, (double)at(before, leaf, i), gradients);
        if (fabs((double)at(after, leaf, i) - right) > 2e-6 * fmax(1, fabs(right)))
            fail_msg("leaf %d [%d]: %.9g, expected %.9g", leaf, (int)i, (double)at(after, leaf, i),
                     right);
    }
}

static void test_formulas(void **state)
{
    const ksk_optimiser kinds[] = {{&ksk_sgd, 0, 0, 0, 0},
                                   {&ksk_sgd, 0.8, 0, 0, 0.05},
                                   ksk_optimiser_defaults(&ksk_adam),
                                   {&ksk_adam, 0.85, 0.95, 1e-3, 0.1},
                                   {&ksk_adamw, 0.9, 0.999, 1e-8, 0.3}};
    ksk_module *gradients[updates] = {tree(2), tree(3), tree(4)}, *before = tree(1);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        ksk_module *one = run(&kinds[k], gradients, 1), *two = run(&kinds[k], gradients, 2);
        check_leaf(&kinds[k], before, one, gradients, weight_leaf, (int64_t)tall * wide);
        check_leaf(&kinds[k], before, one, gradients, bias_leaf, narrow);
        assert_true(ksk_tensor_equal(ksk_module_leaf(before, buffer_leaf),
                                     ksk_module_leaf(one, buffer_leaf)));
        assert_true(ksk_module_equal(one, two));
        ksk_module_release(one);
        ksk_module_release(two);
    }
    for (int t = 0; t < updates; t++)
        ksk_module_release(gradients[t]);
    ksk_module_release(before);
}

static void test_norm(void **state)
{
    ksk_error err = {0};
    ksk_module *module = tree(7);
    ksk_pool *pool = ksk_pool_new(2, &err);
    double sum = 0;
    for (int64_t i = 0; i < (int64_t)tall * wide; i++)
        sum += (double)at(module, weight_leaf, i) * (double)at(module, weight_leaf, i);
    for (int64_t i = 0; i < narrow; i++)
        sum += (double)at(module, bias_leaf, i) * (double)at(module, bias_leaf, i);
    const double norm = ksk_global_norm(module, NULL);
    assert_true(fabs(norm - sqrt(sum)) < 1e-12 * norm);
    assert_true(norm == ksk_global_norm(module, pool));
    ksk_pool_free(pool);
    ksk_module_release(module);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static void test_writes_in_place(void **state)
{
    ksk_error err = {0};
    const ksk_optimiser o = ksk_optimiser_defaults(&ksk_adam);
    ksk_optimiser_state moments;
    ksk_module *module = tree(1), *gradients = tree(2);
    assert_true(ksk_optimiser_start(&o, module, &moments, &err));
    const ksk_tensor *weight = ksk_module_leaf(module, weight_leaf);
    const ksk_tensor *second = ksk_module_leaf(moments.second, weight_leaf);
    assert_true(ksk_optimiser_update(&o, &module, gradients, 1, 0.1F, &moments, NULL, &err));
    assert_ptr_equal(ksk_module_leaf(module, weight_leaf), weight);
    assert_ptr_equal(ksk_module_leaf(moments.second, weight_leaf), second);

    /* Who holds a child keeps its numbers; the rest is still written in place. */
    ksk_module *child = ksk_module_share(ksk_module_get(module, "child"));
    const float kept = ksk_tensor_f32(ksk_module_tensor(child, "bias"))[2];
    assert_true(ksk_optimiser_update(&o, &module, gradients, 1, 0.1F, &moments, NULL, &err));
    assert_ptr_equal(ksk_module_leaf(module, weight_leaf), weight);
    assert_true(ksk_tensor_f32(ksk_module_tensor(child, "bias"))[2] == kept);
    assert_false(at(module, bias_leaf, 2) == kept);
    ksk_module_release(child);

    /* Who holds one tensor, likewise. */
    ksk_tensor *held = ksk_tensor_share(weight);
    const float first = ksk_tensor_f32(held)[0];
    assert_true(ksk_optimiser_update(&o, &module, gradients, 1, 0.1F, &moments, NULL, &err));
    assert_ptr_not_equal(ksk_module_leaf(module, weight_leaf), held);
    assert_true(ksk_tensor_f32(held)[0] == first);
    ksk_tensor_release(held);
    ksk_optimiser_clear(&moments);
    ksk_module_release(gradients);
    ksk_module_release(module);
}

static long left; /* allocations until one fails; below zero: none does */

static void *allocate(void *context, size_t size)
{
    return left-- == 0 ? NULL : aligned_alloc(64, (size + 63) / 64 * 64);
}

static void release(void *context, void *memory)
{
    free(memory);
}

/* The module is held, so that every leaf needs fresh memory. */
static bool update_with_failure(long n)
{
    ksk_error err = {0};
    const ksk_optimiser o = ksk_optimiser_defaults(&ksk_adam);
    ksk_optimiser_state moments;
    ksk_module *module = tree(1), *gradients = tree(2), *same = tree(1);
    ksk_module *held = ksk_module_share(module);
    assert_true(ksk_optimiser_start(&o, module, &moments, &err));
    ksk_module *first = ksk_module_share(moments.first);
    left = n;
    const bool ok = ksk_optimiser_update(&o, &module, gradients, 1, 0.1F, &moments, NULL, &err);
    left = -1;
    assert_int_equal(err.status, ok ? KSK_OK : KSK_OUT_OF_MEMORY);
    assert_int_equal(moments.updates, ok);
    assert_int_equal(module == held, !ok);
    assert_int_equal(moments.first == first, !ok);
    assert_true(ksk_module_equal(held, same));
    assert_true(at(first, weight_leaf, 0) == 0);
    ksk_module *all[] = {module, gradients, same, held, first};
    for (int i = 0; i < 5; i++)
        ksk_module_release(all[i]);
    ksk_optimiser_clear(&moments);
    return ok;
}

static bool start_with_failure(long n)
{
    ksk_error err = {0};
    const ksk_optimiser o = ksk_optimiser_defaults(&ksk_adamw);
    ksk_optimiser_state moments;
    ksk_module *module = tree(1);
    left = n;
    const bool ok = ksk_optimiser_start(&o, module, &moments, &err);
    left = -1;
    assert_int_equal(err.status, ok ? KSK_OK : KSK_OUT_OF_MEMORY);
    assert_int_equal(moments.first && moments.second, ok);
    ksk_optimiser_clear(&moments);
    ksk_module_release(module);
    return ok;
}

static void test_memory_runs_out(void **state)
{
    left = -1;
    ksk_allocator_set(&(ksk_allocator){allocate, release, NULL});
    long failures = 0;
    for (long n = 0; !update_with_failure(n); n++)
        failures++;
    assert_true(failures > 9);
    for (failures = 0; !start_with_failure(failures); failures++)
        continue;
    assert_true(failures > 4);
    ksk_allocator_set(NULL);
}

static void test_misfits(void **state)
{
    ksk_error err = {0};
    const ksk_optimiser o = ksk_optimiser_defaults(&ksk_sgd);
    ksk_optimiser_state moments;
    ksk_module *module = tree(1), *other = ksk_module_new("Root");
    ksk_module_param(other, "weight", 2, (const int64_t[]){tall, wide + 1},
                     (ksk_initializer){KSK_INIT_ZEROS, 0});
    ksk_module *zeros = ksk_module_init(other, ksk_key_from_seed(1), &err);
    assert_true(ksk_optimiser_start(&o, module, &moments, &err));
    assert_null(moments.second);
    assert_false(ksk_optimiser_update(&o, &module, zeros, 1, 0.1F, &moments, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    const ksk_tensor *leaves[] = {ksk_module_leaf(zeros, 0), ksk_module_leaf(module, buffer_leaf),
                                  ksk_module_leaf(module, bias_leaf)};
    ksk_module *wider = ksk_module_unflatten(module, leaves, &err);
    assert_false(ksk_optimiser_update(&o, &module, wider, 1, 0.1F, &moments, NULL, &err));
    assert_non_null(strstr(err.message, "weight"));
    ksk_module_release(wider);
    ksk_module_release(zeros);
    ksk_module_release(other);
    ksk_module_release(module);
    ksk_optimiser_clear(&moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_writes_in_place), cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_misfits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
