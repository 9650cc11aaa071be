/* Training steps: against PyTorch, on any number of threads, in parts, stored and restored. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "io/checkpoint.h"
#include "kaskad/memory.h"
#include "small.h"
#include "tensor/tensor.h"

static ksk_step_options options(int threads)
{
    return (ksk_step_options){.objective.label_smoothing = 0.1F,
                              .optimiser = ksk_optimiser_defaults(&ksk_adam),
                              .threads = threads};
}

static ksk_trainer *new_trainer(const small *s, ksk_step_options o)
{
    ksk_error err = {0};
    ksk_trainer *trainer = ksk_trainer_new(s->type, s->module, &s->rules, &o, &err);
    if (!trainer)
        fail_msg("%s", err.message);
    return trainer;
}

static double accumulate(ksk_trainer *trainer, const ksk_batch *batch, uint64_t seed)
{
    ksk_error err = {0};
    double loss = 0;
    int64_t tokens = 0, expected = 0;
    if (!ksk_trainer_accumulate(trainer, batch, ksk_key_from_seed(seed), &loss, &tokens, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < batch->sentences; i++)
        expected += batch->target_lengths[i];
    assert_int_equal(tokens, expected);
    return loss;
}

static double update(ksk_trainer *trainer, float rate)
{
    ksk_error err = {0};
    double norm = 0;
    if (!ksk_trainer_update(trainer, rate, &norm, &err))
        fail_msg("%s", err.message);
    return norm;
}

static ksk_module *gradients(const ksk_trainer *trainer)
{
    ksk_error err = {0};
    ksk_module *tree = ksk_trainer_gradients(trainer, &err);
    assert_non_null(tree);
    return tree;
}

/* --- against PyTorch ---------------------------------------------------------------------------
 */

static double norm_of(const float *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* The norm, and each number relative to the tensor's root mean square. */
static void compare(const ksk_tensor *tensor, const char *path, const json_t *places,
                    const json_t *recorded)
{
    const float *x = ksk_tensor_f32(tensor);
    const int64_t count = ksk_tensor_count(tensor);
    const double norm = json_number_value(json_object_get(recorded, "norm"));
    const double typical = norm / sqrt((double)count);
    const json_t *values = json_object_get(recorded, "values");
    assert_true(json_array_size(values) > 0);
    if (fabs(norm_of(x, count) - norm) > 1e-4 * norm)
        fail_msg("%s: norm %.9g, PyTorch %.9g", path, norm_of(x, count), norm);
    for (size_t i = 0; i < json_array_size(values); i++) {
        const double got = (double)x[json_integer_value(json_array_get(places, i))];
        const double expected = json_number_value(json_array_get(values, i));
        if (fabs(got - expected) > 1e-4 * fmax(typical, fabs(expected)))
            fail_msg("%s: %.9g, PyTorch %.9g", path, got, expected);
    }
}

/* The softmax does not see a key's bias: its gradient is zero but for rounding, which Adam then
 * scales up to a step of its usual length in either direction. */
static bool is_unseen(const char *path)
{
    return strstr(path, "k_proj.bias");
}

/* Every trained leaf of the tree against what was recorded as `when`. */
static void compare_tree(const ksk_module *tree, const json_t *parameters, const char *when)
{
    size_t trained = 0;
    for (int i = 0; i < ksk_module_leaves(tree); i++) {
        char path[256];
        if (!ksk_module_leaf_trained(tree, i))
            continue;
        assert_true(ksk_module_leaf_path(tree, i, path, sizeof path));
        const json_t *record = json_object_get(parameters, path);
        assert_non_null(record);
        if (!is_unseen(path))
            compare(ksk_module_leaf(tree, i), path, json_object_get(record, "places"),
                    json_object_get(record, when));
        else if (strcmp(when, "gradient") == 0)
            assert_true(norm_of(ksk_tensor_f32(ksk_module_leaf(tree, i)),
                                ksk_tensor_count(ksk_module_leaf(tree, i))) < 1e-5);
        trained++;
    }
    assert_int_equal(trained, json_object_size(parameters));
}

static void test_pytorch(void **state)
{
    small s = small_recorded();
    small_batch b;
    small_recorded_batch(&b);
    ksk_trainer *trainer = new_trainer(&s, options(2));
    json_t *record = json_load_file(KSK_FIXTURES "/step/step.json", 0, NULL);
    const json_t *losses = json_object_get(record, "losses");
    const json_t *parameters = json_object_get(record, "parameters");
    for (size_t i = 0; i < 3; i++) {
        const double expected = json_number_value(json_array_get(losses, i));
        const double loss = accumulate(trainer, &b.batch, 0);
        assert_true(fabs(loss - expected) < 1e-5 * expected);
        if (i == 0) {
            ksk_module *tree = gradients(trainer);
            compare_tree(tree, parameters, "gradient");
            ksk_module_release(tree);
        }
        update(trainer, 1e-3F);
        if (i == 0)
            compare_tree(ksk_trainer_module(trainer), parameters, "after_1");
    }
    compare_tree(ksk_trainer_module(trainer), parameters, "after_3");
    assert_int_equal(ksk_trainer_updates(trainer), 3);
    json_decref(record);
    ksk_trainer_free(trainer);
    small_clear(&s);
}

/* --- what a step must keep to ------------------------------------------------------------------
 */

static void test_every_leaf_gets_a_gradient(void **state)
{
    small s = small_drawn(3);
    small_batch b;
    small_copy_batch(&b, 9, 7, 1);
    ksk_trainer *trainer = new_trainer(&s, options(1));
    accumulate(trainer, &b.batch, 0);
    ksk_module *tree = gradients(trainer);
    for (int i = 0; i < ksk_module_leaves(tree); i++) {
        const ksk_tensor *leaf = ksk_module_leaf(tree, i), *own = ksk_module_leaf(s.module, i);
        assert_int_equal(ksk_tensor_count(leaf), ksk_tensor_count(own));
        assert_int_equal(norm_of(ksk_tensor_f32(leaf), ksk_tensor_count(leaf)) > 0,
                         ksk_module_leaf_trained(tree, i));
    }
    ksk_module_release(tree);
    ksk_trainer_free(trainer);
    small_clear(&s);
}

static void test_learns_to_copy(void **state)
{
    small s = small_drawn(11);
    small_batch b, unseen;
    ksk_step_options o = options(1);
    o.dropout = 0.05F;
    o.clip_norm = 1;
    ksk_trainer *trainer = new_trainer(&s, o);
    ksk_error err = {0};
    double before = 0, after = 0;
    int64_t tokens = 0;
    small_copy_batch(&unseen, 24, 4, 999);
    assert_true(ksk_trainer_loss(trainer, &unseen.batch, &before, &tokens, &err));
    for (uint64_t i = 0; i < 200; i++) {
        small_copy_batch(&b, 32, 4, i);
        accumulate(trainer, &b.batch, i);
        update(trainer, 5e-3F);
    }
    assert_true(ksk_trainer_loss(trainer, &unseen.batch, &after, &tokens, &err));
    assert_true(before / (double)tokens > 3);
    assert_true(after < 0.6 * before);
    ksk_trainer_free(trainer);
    small_clear(&s);
}

/* Three updates with dropout and clipping, the last of two batches; gives the module. */
static ksk_module *train_on(int threads)
{
    small s = small_wide(5);
    small_batch b;
    ksk_step_options o = options(threads);
    o.dropout = 0.2F;
    o.clip_norm = 0.5F;
    o.optimiser.type = &ksk_adamw;
    o.optimiser.weight_decay = 0.01;
    ksk_trainer *trainer = new_trainer(&s, o);
    for (uint64_t i = 0; i < 4; i++) {
        small_copy_batch(&b, 33 + (int)i, 11, i);
        accumulate(trainer, &b.batch, 70 + i);
        if (i != 2)
            update(trainer, 1e-3F);
    }
    ksk_module *module = ksk_module_share(ksk_trainer_module(trainer));
    ksk_trainer_free(trainer);
    small_clear(&s);
    return module;
}

static void test_threads_give_the_same_bits(void **state)
{
    ksk_module *one = train_on(1), *two = train_on(2), *three = train_on(3);
    assert_true(ksk_module_equal(one, two));
    assert_true(ksk_module_equal(one, three));
    ksk_module_release(one);
    ksk_module_release(two);
    ksk_module_release(three);
}

static void test_parts_sum_to_the_whole(void **state)
{
    small s = small_drawn(8);
    small_batch b;
    small_copy_batch(&b, 13, 9, 2);
    ksk_trainer *whole = new_trainer(&s, options(2)), *parts = new_trainer(&s, options(2));
    const ksk_batch first = small_part(&b, 0, 5), second = small_part(&b, 5, 3),
                    third = small_part(&b, 8, 5);
    const double loss = accumulate(whole, &b.batch, 0);
    double sum = accumulate(parts, &first, 0);
    ksk_module *held = gradients(parts);               /* the next batch must leave it alone */
    const ksk_tensor *leaf = ksk_module_leaf(held, 1); /* the embedding */
    const float kept = ksk_tensor_f32(leaf)[40];
    sum += accumulate(parts, &second, 0);
    sum += accumulate(parts, &third, 0);
    assert_true(ksk_tensor_f32(leaf)[40] == kept);
    assert_true(fabs(sum - loss) < 1e-6 * loss);
    ksk_module *a = gradients(whole), *c = gradients(parts);
    for (int i = 0; i < ksk_module_leaves(a); i++) {
        const float *x = ksk_tensor_f32(ksk_module_leaf(a, i));
        const float *y = ksk_tensor_f32(ksk_module_leaf(c, i));
        const int64_t count = ksk_tensor_count(ksk_module_leaf(a, i));
        const double norm = norm_of(x, count);
        for (int64_t j = 0; j < count; j++)
            assert_true(fabs((double)(x[j] - y[j])) <= 1e-6 * fmax(norm, 1));
    }
    ksk_module_release(held);
    ksk_module_release(a);
    ksk_module_release(c);
    ksk_trainer_free(whole);
    ksk_trainer_free(parts);
    small_clear(&s);
}

static void test_a_shared_module_stays(void **state)
{
    small s = small_drawn(21);
    small_batch b;
    small_copy_batch(&b, 4, 6, 1);
    ksk_trainer *trainer = new_trainer(&s, options(1));
    small again = small_drawn(21);
    accumulate(trainer, &b.batch, 0);
    update(trainer, 0.01F);
    assert_true(ksk_module_equal(s.module, again.module));
    ksk_module *kept = ksk_module_share(ksk_trainer_module(trainer));
    ksk_error err = {0};
    double before = 0, after = 0;
    int64_t tokens = 0;
    ksk_trainer *other = new_trainer(&(small){s.type, kept, s.rules}, options(1));
    assert_true(ksk_trainer_loss(other, &b.batch, &before, &tokens, &err));
    accumulate(trainer, &b.batch, 0);
    update(trainer, 0.01F);
    assert_false(ksk_module_equal(kept, ksk_trainer_module(trainer)));
    assert_true(ksk_trainer_loss(other, &b.batch, &after, &tokens, &err));
    assert_true(before == after);
    ksk_module_release(kept);
    ksk_trainer_free(other);
    ksk_trainer_free(trainer);
    small_clear(&again);
    small_clear(&s);
}

/* --- what goes wrong ---------------------------------------------------------------------------
 */

static ksk_tensor *poison(void *context, const char *path, const ksk_tensor *leaf, ksk_error *err)
{
    ksk_tensor *copy = ksk_tensor_new(KSK_F32, leaf->rank, leaf->shape, err);
    memcpy(ksk_tensor_fill(copy), leaf->data, ksk_tensor_bytes(leaf));
    if (strcmp(path, "model.encoder.layers.1.fc1.bias") == 0)
        *(float *)ksk_tensor_fill(copy) = NAN;
    return copy;
}

static void test_not_finite(void **state)
{
    small s = small_drawn(2);
    small_batch b;
    ksk_error err = {0};
    double loss;
    int64_t tokens;
    small_copy_batch(&b, 4, 6, 1);
    small sick = {s.type, ksk_module_map(s.module, poison, NULL, &err), s.rules};
    ksk_trainer *trainer = new_trainer(&sick, options(1));
    ksk_module *before = ksk_module_share(ksk_trainer_module(trainer));
    assert_true(ksk_trainer_accumulate(trainer, &b.batch, (ksk_key){1}, &loss, &tokens, &err));
    assert_false(isfinite(loss));
    assert_false(ksk_trainer_update(trainer, 0.1F, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "update 1: the loss is not a finite number"));
    assert_ptr_equal(ksk_trainer_module(trainer), before);
    assert_int_equal(ksk_trainer_updates(trainer), 0);
    assert_null(ksk_trainer_gradients(trainer, &err)); /* dropped */
    ksk_module_release(before);
    ksk_trainer_free(trainer);
    small_clear(&sick);
    small_clear(&s);
}

/* --- other losses -------------------------------------------------------------------------------
 */

/* Half of the cross entropies of two passes, and the argument times as much. */
static ksk_sym two_passes(ksk_loss_input *input)
{
    const ksk_sym a = ksk_sum(ksk_cross_entropy(input->logits(input), input->targets, 0));
    const ksk_sym b = ksk_sum(ksk_cross_entropy(input->logits(input), input->targets, 0));
    return ksk_scale(ksk_add(a, b), 0.5F * strtof(input->argument, NULL));
}

static ksk_sym a_row_each(ksk_loss_input *input)
{
    return ksk_cross_entropy(input->logits(input), input->targets, 0);
}

static void test_losses(void **state)
{
    const ksk_loss twice = {.name = "twice", .trace = two_passes},
                   rows = {.name = "rows", .trace = a_row_each};
    small s = small_drawn(6);
    small_batch b;
    ksk_error err = {0};
    small_copy_batch(&b, 5, 9, 3);
    ksk_step_options plain = options(1), other = options(1);
    plain.objective.label_smoothing = 0;
    other.objective = (ksk_objective){.loss = &twice, .argument = "3"};
    ksk_trainer *a = new_trainer(&s, plain), *c = new_trainer(&s, other);
    const double once = accumulate(a, &b.batch, 8), thrice = accumulate(c, &b.batch, 8);
    assert_true(fabs(thrice - 3 * once) < 1e-5 * thrice);
    assert_true(fabs(update(c, 1e-3F) - 3 * update(a, 1e-3F)) < 1e-4);
    double loss;
    int64_t tokens;
    assert_true(ksk_trainer_loss(c, &b.batch, &loss, &tokens, &err));
    assert_true(loss < thrice / 2); /* always plain cross entropy */
    ksk_trainer_free(a);
    ksk_trainer_free(c);
    /* A pass has a dropout of its own: the mean of two differs from one. */
    plain.dropout = other.dropout = 0.3F;
    other.objective.argument = "1";
    a = new_trainer(&s, plain), c = new_trainer(&s, other);
    const double dropped = accumulate(a, &b.batch, 8), mean = accumulate(c, &b.batch, 8);
    assert_true(fabs(dropped - mean) > 1e-4 * dropped);
    ksk_trainer_free(a);
    ksk_trainer_free(c);
    other.objective.loss = &rows;
    assert_null(ksk_trainer_new(s.type, s.module, &s.rules, &other, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "loss 'rows' is not a single f32 number"));
    small_clear(&s);
}

static void test_arguments(void **state)
{
    small s = small_drawn(2);
    small_batch b;
    ksk_error err = {0};
    double loss;
    int64_t tokens;
    ksk_step_options wrong[] = {options(1), options(1), options(1), options(0)};
    wrong[0].dropout = 1;
    wrong[1].objective.label_smoothing = NAN;
    wrong[2].clip_norm = -1;
    for (int i = 0; i < 4; i++) {
        err.status = KSK_OK;
        assert_null(ksk_trainer_new(s.type, s.module, &s.rules, &wrong[i], &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    }
    ksk_trainer *trainer = new_trainer(&s, options(1));
    small_copy_batch(&b, 4, 6, 1);
    assert_false(ksk_trainer_update(trainer, 0.1F, NULL, &err));
    b.target[2][0] = 31;
    assert_false(ksk_trainer_accumulate(trainer, &b.batch, (ksk_key){1}, &loss, &tokens, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    const ksk_batch empty = {0};
    assert_false(ksk_trainer_loss(trainer, &empty, &loss, &tokens, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_trainer_free(trainer);
    small_clear(&s);
}

/* --- state -------------------------------------------------------------------------------------
 */

static void step_once(ksk_trainer *trainer, uint64_t seed)
{
    small_batch b;
    small_copy_batch(&b, 6, 5, seed);
    accumulate(trainer, &b.batch, seed);
    update(trainer, 2e-3F);
}

static void check_restore(ksk_step_options o, const char *directory)
{
    char path[100];
    ksk_error err = {0};
    small s = small_drawn(4), other = small_drawn(5);
    snprintf(path, sizeof path, "%s/state.safetensors", directory);
    ksk_trainer *through = new_trainer(&s, o), *resumed = new_trainer(&other, o);
    step_once(through, 1);
    step_once(through, 2);
    if (!ksk_trainer_save(through, path, &err))
        fail_msg("%s", err.message);
    step_once(resumed, 9);
    assert_true(ksk_trainer_restore(resumed, directory, "state.safetensors", &err));
    assert_int_equal(ksk_trainer_updates(resumed), 2);
    assert_true(ksk_module_equal(ksk_trainer_module(through), ksk_trainer_module(resumed)));
    assert_int_equal(unlink(path), 0);
    for (uint64_t i = 3; i < 6; i++) {
        step_once(through, i);
        step_once(resumed, i);
    }
    assert_true(ksk_module_equal(ksk_trainer_module(through), ksk_trainer_module(resumed)));
    ksk_trainer_free(through);
    ksk_trainer_free(resumed);
    small_clear(&s);
    small_clear(&other);
}

static char *make_directory(char name[30])
{
    strcpy(name, "/tmp/kaskad-step-XXXXXX");
    assert_non_null(mkdtemp(name));
    return name;
}

static void test_restore(void **state)
{
    char name[30];
    make_directory(name);
    ksk_step_options o = options(2);
    o.dropout = 0.1F;
    check_restore(o, name);
    o.optimiser = ksk_optimiser_defaults(&ksk_sgd);
    o.optimiser.beta1 = 0.9;
    check_restore(o, name);
    rmdir(name);
}

/* A state of another optimiser, of another model, or none: the trainer is as before. */
static void test_restore_refuses(void **state)
{
    char name[30], path[100];
    ksk_error err = {0};
    small s = small_drawn(4), recorded = small_recorded();
    ksk_step_options momentum = options(1);
    momentum.optimiser = ksk_optimiser_defaults(&ksk_sgd);
    ksk_trainer *trainer = new_trainer(&s, options(1)), *sgd = new_trainer(&s, momentum),
                *biased = new_trainer(&recorded, options(1));
    ksk_module *before = ksk_module_share(ksk_trainer_module(trainer));
    snprintf(path, sizeof path, "%s/state", make_directory(name));
    assert_false(ksk_trainer_restore(trainer, name, "state", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    const ksk_trainer *others[] = {sgd, biased};
    for (int i = 0; i < 2; i++) {
        assert_true(ksk_trainer_save(others[i], path, &err));
        assert_false(ksk_trainer_restore(trainer, name, "state", &err));
        assert_int_equal(err.status, KSK_BAD_FORMAT);
    }
    assert_ptr_equal(ksk_trainer_module(trainer), before);
    assert_int_equal(unlink(path), 0);
    rmdir(name);
    ksk_module_release(before);
    ksk_trainer_free(trainer);
    ksk_trainer_free(sgd);
    ksk_trainer_free(biased);
    small_clear(&s);
    small_clear(&recorded);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static long left; /* allocations until one fails */

static void *allocate(void *context, size_t size)
{
    return left-- == 0 ? NULL : aligned_alloc(64, (size + 63) / 64 * 64);
}

static void release(void *context, void *memory)
{
    free(memory);
}

/* One step with the n-th allocation failing: an error, and what is tried again succeeds. */
static bool step_with_failure(const small *s, const small_batch *b, long n)
{
    const ksk_step_options o = options(1);
    ksk_error err = {0};
    double loss;
    int64_t tokens;
    left = n;
    ksk_trainer *trainer = ksk_trainer_new(s->type, s->module, &s->rules, &o, &err);
    if (trainer && ksk_trainer_accumulate(trainer, &b->batch, (ksk_key){3}, &loss, &tokens, &err) &&
        ksk_trainer_accumulate(trainer, &b->batch, (ksk_key){4}, &loss, &tokens, &err))
        ksk_trainer_update(trainer, 0.01F, NULL, &err);
    const bool done = left >= 0;
    left = -1;
    assert_int_equal(err.status, done ? KSK_OK : KSK_OUT_OF_MEMORY);
    if (trainer) {
        assert_true(ksk_trainer_accumulate(trainer, &b->batch, (ksk_key){3}, &loss, &tokens, &err));
        assert_true(ksk_trainer_update(trainer, 0.01F, NULL, &err));
    }
    ksk_trainer_free(trainer);
    return done;
}

static void test_memory_runs_out(void **state)
{
    left = -1;
    ksk_allocator_set(&(ksk_allocator){allocate, release, NULL});
    small s = small_drawn(6);
    small_batch b;
    small_copy_batch(&b, 2, 3, 1);
    /* Each of the first, then some: there are thousands, most alike. */
    bool done = false;
    for (long n = 0; !done; n += n < 50 ? 1 : 101)
        done = step_with_failure(&s, &b, n);
    small_clear(&s);
    ksk_allocator_set(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_every_leaf_gets_a_gradient),
        cmocka_unit_test(test_learns_to_copy),
        cmocka_unit_test(test_threads_give_the_same_bits),
        cmocka_unit_test(test_parts_sum_to_the_whole),
        cmocka_unit_test(test_a_shared_module_stays),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_refuses),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
