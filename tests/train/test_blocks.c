/* A Markov Transformer's training: the published barriers, blocks as batch entries of their own,
 * and what the trainer does give the same loss and gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scorer/blocks.h"
#include "scorer/plans.h"
#include "small.h"
#include "train/batch.h"

enum { most_rows = 256, most_entries = 4096, sentences = 5 };

static const float smoothing = 0.1F;

/* Decoder rows of any order, with a list of keys each. */
typedef struct rows {
    int count, entries;
    int32_t ids[most_rows], positions[most_rows], targets[most_rows], index[most_entries];
    int32_t spans[most_rows][2], cross[most_rows][2];
} rows;

static small markov(int block, uint64_t seed)
{
    small s = small_drawn(seed);
    s.rules.block = block;
    return s;
}

/* --- three ways to lay out a batch -------------------------------------------------------------
 */

/* The paper's: the sentence as it is, its input changed where blocks open, and a mask over all
 * pairs of positions. */
static void lay_barriers(rows *r, const ksk_batch *b, const ksk_ragged *source, int block,
                         const int *offsets)
{
    *r = (rows){.count = 0};
    for (int i = 0; i < b->sentences; i++) {
        const int first = r->count, o = offsets[i];
        for (int t = 0; t < b->target_lengths[i]; t++) {
            const int at = r->count++;
            const bool opens = ((t - o) % block + block) % block == 0;
            r->ids[at] = opens ? SMALL_START : t == 0 ? SMALL_END : b->targets[i][t - 1];
            r->positions[at] = t;
            r->targets[at] = b->targets[i][t];
            r->spans[at][0] = r->entries;
            for (int s = 0; s < b->target_lengths[i]; s++)
                if (s <= t && (s - o + block) / block == (t - o + block) / block)
                    r->index[r->entries++] = first + s;
            r->spans[at][1] = r->entries - r->spans[at][0];
            memcpy(r->cross[at], source->sentence[i], sizeof r->cross[at]);
        }
    }
}

static void add_entry(rows *r, const ksk_batch *b, const ksk_ragged *source, int i, int from,
                      int to, int32_t opening)
{
    const int first = r->count;
    for (int t = from; t < to; t++) {
        const int at = r->count++;
        r->ids[at] = t == from ? opening : b->targets[i][t - 1];
        r->positions[at] = t;
        r->targets[at] = b->targets[i][t];
        r->spans[at][0] = first;
        r->spans[at][1] = at - first + 1;
        r->index[r->entries++] = at;
        memcpy(r->cross[at], source->sentence[i], sizeof r->cross[at]);
    }
}

/* Blocks as causal batch entries, the last block of the last sentence first. */
static void lay_entries(rows *r, const ksk_batch *b, const ksk_ragged *source, int block,
                        const int *offsets)
{
    *r = (rows){.count = 0};
    for (int i = b->sentences - 1; i >= 0; i--) {
        const int n = b->target_lengths[i], o = offsets[i];
        int from = o;
        while (from + block < n)
            from += block;
        for (; from >= o; from -= block)
            if (from < n)
                add_entry(r, b, source, i, from, from + block < n ? from + block : n, SMALL_START);
        add_entry(r, b, source, i, 0, o < n ? o : n, SMALL_END);
    }
}

/* --- loss and gradients ------------------------------------------------------------------------
 */

static ksk_sym vector(ksk_graph *graph, const char *name, const char *size)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape1(ksk_named(graph, size)));
}

static ksk_sym pairs(ksk_graph *graph, const char *name, const char *size)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape2(ksk_named(graph, size), ksk_fixed(2)));
}

enum { most_leaves = 120 };

/* The loss and the gradients of all trained leaves, in their order. */
static ksk_plan *compile(const small *s, int *count)
{
    ksk_graph *graph = ksk_graph_new();
    const ksk_seq2seq *parts = s->type->seq2seq;
    const ksk_sym none = ksk_none(graph);
    ksk_sym outputs[1 + most_leaves], leaves[most_leaves];
    const ksk_sym source = vector(graph, "source", "source rows"),
                  source_positions = vector(graph, "source positions", "source rows");
    const ksk_pattern full = {pairs(graph, "source spans", "source rows"), none, none};
    ksk_decoder_input in = {.ids = vector(graph, "ids", "rows"),
                            .positions = vector(graph, "positions", "rows")};
    in.self = (ksk_pattern){pairs(graph, "spans", "rows"), vector(graph, "index", "entries"), none};
    in.cross = (ksk_pattern){pairs(graph, "cross", "rows"), none, none};
    const ksk_sym targets = vector(graph, "targets", "rows");
    in.memory = parts->encode(s->module, source, source_positions, &full, NULL);
    outputs[0] = ksk_sum(ksk_cross_entropy(parts->project(s->module, parts->decode(s->module, &in)),
                                           targets, smoothing));
    *count = 0;
    for (int i = 0; i < ksk_module_leaves(s->module); i++)
        if (ksk_module_leaf_trained(s->module, i)) {
            assert_true(*count < most_leaves);
            leaves[(*count)++] = ksk_leaf(graph, s->module, i);
        }
    ksk_grad(outputs[0], *count, leaves, outputs + 1);
    ksk_error err = {0};
    ksk_plan *plan = ksk_compile(graph, 1 + *count, outputs, NULL, &err);
    if (!plan)
        fail_msg("%s", err.message);
    ksk_graph_free(graph);
    return plan;
}

static void run(const ksk_plan *plan, const ksk_ragged *source, rows *r, ksk_tensor **outputs)
{
    const ksk_tensor tensors[] = {ksk_borrow_vector(source->ids, source->rows),
                                  ksk_borrow_vector(source->positions, source->rows),
                                  ksk_borrow_spans(source->spans, source->rows),
                                  ksk_borrow_vector(r->ids, r->count),
                                  ksk_borrow_vector(r->positions, r->count),
                                  ksk_borrow_spans(r->spans, r->count),
                                  ksk_borrow_vector(r->index, r->entries),
                                  ksk_borrow_spans(r->cross, r->count),
                                  ksk_borrow_vector(r->targets, r->count)};
    const ksk_tensor *inputs[9];
    for (int i = 0; i < 9; i++)
        inputs[i] = &tensors[i];
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    ksk_error err = {0};
    if (!ksk_run(plan, workspace, inputs, outputs, &err))
        fail_msg("%s", err.message);
    ksk_workspace_free(workspace);
}

/* Relative to the tensor's norm; the gradient of a key's bias is zero but for rounding. */
static void assert_close(const char *what, const ksk_tensor *a, const ksk_tensor *b)
{
    const float *x = ksk_tensor_f32(a), *y = ksk_tensor_f32(b);
    double norm = 0, difference = 0;
    assert_int_equal(ksk_tensor_count(a), ksk_tensor_count(b));
    for (int64_t i = 0; i < ksk_tensor_count(a); i++) {
        norm += (double)x[i] * (double)x[i];
        difference += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    if (!(sqrt(difference) <= 1e-5 * (strstr(what, "k_proj.bias") ? 1 : sqrt(norm))))
        fail_msg("%s: norm %.3g, difference %.3g", what, sqrt(norm), sqrt(difference));
}

static void path_of(const small *s, int trained, char *path, size_t size)
{
    for (int i = 0; i < ksk_module_leaves(s->module); i++)
        if (ksk_module_leaf_trained(s->module, i) && trained-- == 0)
            ksk_module_leaf_path(s->module, i, path, size);
}

static void pack_source(ksk_ragged *source, const ksk_batch *b)
{
    assert_true(ksk_ragged_fill(source, b->sentences, b->sources, b->source_lengths, -1, false, 31,
                                24, "source", NULL));
}

static void compare_layouts(int block, const int *offsets)
{
    static rows barriers, entries;
    small s = markov(block, 3);
    small_batch b;
    ksk_ragged source;
    ksk_tensor *one[1 + most_leaves] = {NULL}, *two[1 + most_leaves] = {NULL};
    int count;
    small_copy_batch(&b, sentences, 13, 40 + (uint64_t)block);
    pack_source(&source, &b.batch);
    ksk_plan *plan = compile(&s, &count);
    lay_barriers(&barriers, &b.batch, &source, block, offsets);
    lay_entries(&entries, &b.batch, &source, block, offsets);
    assert_int_equal(barriers.count, entries.count);
    run(plan, &source, &barriers, one);
    run(plan, &source, &entries, two);
    for (int i = 0; i <= count; i++) {
        char path[256] = "loss";
        if (i)
            path_of(&s, i - 1, path, sizeof path);
        assert_close(path, one[i], two[i]);
        ksk_tensor_release(one[i]);
        ksk_tensor_release(two[i]);
    }
    ksk_plan_free(plan);
    ksk_ragged_clear(&source);
    small_clear(&s);
}

static void test_barriers_and_blocks(void **state)
{
    compare_layouts(5, (int[]){0, 1, 4, 2, 3});
    compare_layouts(3, (int[]){2, 0, 1, 1, 0});
    compare_layouts(1, (int[]){0, 0, 0, 0, 0});
    compare_layouts(20, (int[]){0, 7, 19, 3, 12});
}

/* --- the trainer -------------------------------------------------------------------------------
 */

static ksk_trainer *new_trainer(const small *s)
{
    const ksk_step_options options = {.objective.label_smoothing = smoothing,
                                      .optimiser = ksk_optimiser_defaults(&ksk_adam),
                                      .threads = 1};
    ksk_error err = {0};
    ksk_trainer *trainer = ksk_trainer_new(s->type, s->module, &s->rules, &options, &err);
    if (!trainer)
        fail_msg("%s", err.message);
    return trainer;
}

static void compare_trainer(int block, uint64_t seed)
{
    static rows barriers;
    const ksk_key key = ksk_key_from_seed(seed);
    small s = markov(block, 5);
    small_batch b;
    ksk_ragged source;
    ksk_tensor *expected[1 + most_leaves] = {NULL};
    int count, offsets[sentences], next = 1;
    double loss = 0;
    int64_t tokens = 0;
    for (int i = 0; i < sentences; i++)
        offsets[i] = ksk_blocks_offset(key, i, block);
    small_copy_batch(&b, sentences, 12, 60 + seed);
    pack_source(&source, &b.batch);
    ksk_plan *plan = compile(&s, &count);
    lay_barriers(&barriers, &b.batch, &source, block, offsets);
    run(plan, &source, &barriers, expected);
    ksk_trainer *trainer = new_trainer(&s);
    assert_true(ksk_trainer_accumulate(trainer, &b.batch, key, &loss, &tokens, NULL));
    assert_int_equal(tokens, barriers.count);
    assert_true(fabs(loss - (double)*ksk_tensor_f32(expected[0])) < 1e-5 * loss);
    ksk_module *tree = ksk_trainer_gradients(trainer, NULL);
    for (int i = 0; i < ksk_module_leaves(tree); i++) {
        char path[256];
        if (!ksk_module_leaf_trained(tree, i))
            continue;
        ksk_module_leaf_path(tree, i, path, sizeof path);
        assert_close(path, ksk_module_leaf(tree, i), expected[next++]);
    }
    for (int i = 0; i <= count; i++)
        ksk_tensor_release(expected[i]);
    ksk_module_release(tree);
    ksk_trainer_free(trainer);
    ksk_plan_free(plan);
    ksk_ragged_clear(&source);
    small_clear(&s);
}

static void test_trainer(void **state)
{
    compare_trainer(5, 1);
    compare_trainer(2, 2);
    compare_trainer(4, 3);
}

/* All offsets occur, and about as often. */
static void test_offsets(void **state)
{
    int counts[5] = {0};
    for (int key = 0; key < 100; key++)
        for (int i = 0; i < 50; i++) {
            const int o = ksk_blocks_offset(ksk_key_from_seed((uint64_t)key), i, 5);
            assert_in_range(o, 0, 4);
            counts[o]++;
        }
    for (int o = 0; o < 5; o++)
        assert_in_range(counts[o], 900, 1100);
}

/* The loss of evaluation has its blocks at the start, whatever was trained on before. */
static void test_evaluation(void **state)
{
    static rows barriers;
    small s = markov(4, 7);
    small_batch b;
    ksk_ragged source;
    ksk_packed_batch packed;
    small_copy_batch(&b, sentences, 12, 70);
    pack_source(&source, &b.batch);
    lay_barriers(&barriers, &b.batch, &source, 4, (int[sentences]){0});
    assert_true(ksk_batch_pack(&packed, &b.batch, &s.rules, NULL, NULL));
    assert_int_equal(packed.shifted.rows, barriers.count);
    assert_memory_equal(packed.shifted.ids, barriers.ids,
                        (size_t)barriers.count * sizeof *barriers.ids);
    for (int i = 0; i < barriers.count; i++) {
        assert_int_equal(packed.shifted.spans[i][1], barriers.spans[i][1]);
        assert_int_equal(packed.shifted.spans[i][0], barriers.index[barriers.spans[i][0]]);
    }
    ksk_batch_clear(&packed);
    ksk_ragged_clear(&source);
    small_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers_and_blocks),
        cmocka_unit_test(test_trainer),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
