/* Quantised checkpoints: the same bits as quantising while loading, mapped or packed anew; what is
 * asked of them that they cannot do; damage. */
#include <math.h>
#include <stdlib.h>

#include "api/lines.h"
#include "api/model.h"
#include "checkpoint.h"
#include "fault.h"
#include "io/proof.h"
#include "tensor/packing.h"
#include "train/step.h"

static void quantise(const char *directory, ksk_precision precision)
{
    ksk_model *model = load_model(directory, precision);
    ksk_error err = {0};
    checkpoint_empty();
    if (!ksk_model_quantize(model, checkpoint_directory, &err))
        fail_msg("%s", err.message);
    ksk_model_free(model);
}

/* --- the same bits ------------------------------------------------------------------------------
 */

static void check_same(const char *directory, ksk_precision precision, const char *const *lines,
                       int count)
{
    quantise(directory, precision);
    ksk_model *model = load_model(directory, precision);
    ksk_model *small = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    assert_int_equal(ksk_model_precision(small), precision);
    ksk_translation *a = translate_lines(model, NULL, count, lines);
    ksk_translation *b = translate_lines(small, NULL, count, lines);
    assert_same_translations(a, b, count);
    clear_translations(a, count);
    clear_translations(b, count);
    int checked = 0;
    assert_true(ksk_model_verify(small, &checked, NULL));
    assert_int_equal(checked, 3);
    ksk_model_free(model);
    ksk_model_free(small);
}

static void test_same_translations(void **state)
{
    static const char *const texts[] = {"Der Tag war lang.", "Wir sind da.", ""};
    static const char *const checkpoints[] = {
        KSK_FIXTURES "/marian/opus", KSK_FIXTURES "/marian/split", KSK_FIXTURES "/marian/tiny"};
    for (int i = 0; i < 3; i++) {
        check_same(checkpoints[i], KSK_PRECISION_INT8, texts, 3);
        check_same(checkpoints[i], KSK_PRECISION_BF16, texts, 3);
    }
    check_same(SHIPPED_MODEL, KSK_PRECISION_INT8, lines_load(), 4);
}

static double score(ksk_model *model)
{
    static const char *const source = "Wir sind da.", *const target = "We are here.";
    ksk_translator *translator = ksk_translator_new(model, NULL, NULL);
    double log_prob = 0;
    assert_true(ksk_score(translator, 1, &source, &target, &log_prob, NULL, NULL));
    ksk_translator_free(translator);
    return log_prob;
}

static void test_same_scores(void **state)
{
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_INT8);
    ksk_model *small = load_model(checkpoint_directory, KSK_PRECISION_FULL);
    assert_true(score(model) == score(small));
    ksk_model_free(model);
    ksk_model_free(small);
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* What fits is used where the file lies in memory, at its alignment; nothing is copied. */
static void test_used_where_it_lies(void **state)
{
    quantise(SHIPPED_MODEL, KSK_PRECISION_INT8);
    ksk_model *model = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    int packed = 0;
    for (int i = 0; i < ksk_module_leaves(model->module); i++) {
        const ksk_tensor *leaf = ksk_module_leaf(model->module, i);
        if (!leaf->packing)
            continue;
        packed++;
        assert_ptr_equal(leaf, ksk_module_leaf(model->packed, i));
        assert_int_equal((uintptr_t)ksk_tensor_data(leaf) % 64, 0);
        assert_null(ksk_tensor_fill(leaf->packing->stored));
    }
    assert_int_equal(packed, 1 + 3 * 6 + 2 * 10);
    ksk_model_free(model);
}

/* Saved by another processor's kernels: other panels, the same numbers. */
static void test_packed_anew(void **state)
{
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    ksk_model *here = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    ksk_error err = {0};
    ksk_module *away =
        ksk_module_pack(here->packed, ksk_kernels_named("scalar"), KSK_PRECISION_INT8, 1, &err);
    assert_non_null(away);
    assert_true(ksk_weights_save(away, checkpoint_directory, &err));
    ksk_model *there = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    assert_int_equal(there->stored.panel, ksk_kernels_named("scalar")->panel);
    assert_true(ksk_module_equal(there->module, away));
    assert_true(ksk_module_equal(there->packed, here->packed));
    assert_true(ksk_model_verify(there, NULL, NULL));
    ksk_module_release(away);
    ksk_model_free(here);
    ksk_model_free(there);
}

/* --- precision ----------------------------------------------------------------------------------
 */

static void refuse_to_load(const ksk_load_options *options, ksk_status status, const char *part)
{
    ksk_error err = {0};
    assert_null(ksk_model_load(checkpoint_directory, options, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.message, part))
        fail_msg("%s", err.message);
}

static ksk_precision precision_of(const char *directory, ksk_precision wanted)
{
    ksk_model *model = load_model(directory, wanted);
    const ksk_precision precision = ksk_model_precision(model);
    ksk_model_free(model);
    return precision;
}

static void test_precisions(void **state)
{
    const bool plain = strcmp(ksk_isa(), "scalar") == 0;
    assert_int_equal(precision_of(SMALL_MODEL, KSK_PRECISION_AUTO),
                     plain ? KSK_PRECISION_F32 : KSK_PRECISION_INT8);
    assert_int_equal(precision_of(SMALL_MODEL, KSK_PRECISION_FULL), KSK_PRECISION_F32);
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    assert_int_equal(precision_of(checkpoint_directory, KSK_PRECISION_FULL), KSK_PRECISION_INT8);
    refuse_to_load(&(ksk_load_options){.precision = KSK_PRECISION_F32}, KSK_UNSUPPORTED,
                   "is quantised to int8 and cannot compute in f32");
    refuse_to_load(&(ksk_load_options){.precision = KSK_PRECISION_BF16}, KSK_UNSUPPORTED,
                   "is quantised to int8 and cannot compute in bf16");
    refuse_to_load(&(ksk_load_options){.precision = KSK_PRECISION_FULL, .weights = KSK_STORAGE_F32},
                   KSK_UNSUPPORTED, "use the checkpoint that it was made from");
    quantise(SMALL_MODEL, KSK_PRECISION_BF16);
    assert_int_equal(precision_of(checkpoint_directory, KSK_PRECISION_AUTO), KSK_PRECISION_BF16);
    assert_int_equal(precision_of(checkpoint_directory, KSK_PRECISION_INT8), KSK_PRECISION_INT8);
    refuse_to_load(&(ksk_load_options){.precision = KSK_PRECISION_F32}, KSK_UNSUPPORTED, "bf16");
}

static void test_f32_is_not_quantised(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_error err = {0};
    assert_false(ksk_model_quantize(model, checkpoint_directory, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_model_free(model);
}

/* Saving writes what was loaded: the original as it was, with a proof in f32, or the packed one. */
static void test_saved(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_INT8);
    checkpoint_empty();
    assert_true(ksk_model_save(model, checkpoint_directory, NULL));
    ksk_model *again = load_model(checkpoint_directory, KSK_PRECISION_F32);
    assert_true(ksk_module_equal(ksk_model_module(model), ksk_model_module(again)));
    ksk_proof proof;
    assert_true(ksk_proof_read(checkpoint_directory, &proof, NULL));
    assert_string_equal(proof.precision, "f32");
    assert_true(ksk_model_verify(again, NULL, NULL));
    ksk_proof_clear(&proof);
    ksk_model_free(again);
    ksk_model_free(model);
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    model = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    assert_true(ksk_model_save(model, checkpoint_directory, NULL));
    again = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    assert_true(ksk_module_equal(model->packed, again->packed));
    assert_true(ksk_proof_read(checkpoint_directory, &proof, NULL));
    assert_string_equal(proof.precision, "int8");
    ksk_proof_clear(&proof);
    ksk_model_free(again);
    ksk_model_free(model);
}

static void test_not_trained(void **state)
{
    quantise(SMALL_MODEL, KSK_PRECISION_BF16);
    ksk_model *model = load_model(checkpoint_directory, KSK_PRECISION_AUTO);
    const ksk_step_options options = {.threads = 1};
    ksk_error err = {0};
    assert_null(ksk_trainer_new(model->type, model->module, &model->rules, &options, &err));
    assert_int_equal(err.status, KSK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "is quantised and cannot be trained"));
    ksk_model_free(model);
}

static void test_described(void **state)
{
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    ksk_model *model = load_model(checkpoint_directory, KSK_PRECISION_FULL);
    char *text = ksk_model_describe(model, NULL);
    assert_non_null(strstr(text, "quantised: int8, in panels of "));
    assert_non_null(strstr(text, " used where they lie here"));
    assert_non_null(strstr(text, "weight: I8 packed ["));
    ksk_free(text);
    ksk_model_free(model);
}

/* --- damage -------------------------------------------------------------------------------------
 */

/* Replaces a piece of the file by one of the same length. */
static void replace_bytes(const char *from, const char *to)
{
    size_t size;
    char *bytes = checkpoint_read(checkpoint_directory, "model.safetensors", &size);
    char *at = memmem(bytes, size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    checkpoint_write("model.safetensors", bytes, size);
    ksk_free(bytes);
}

static void refuse_after(const char *from, const char *to, ksk_status status, const char *part)
{
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    replace_bytes(from, to);
    refuse_to_load(NULL, status, part);
}

static void test_damaged(void **state)
{
    const int panel = ksk_kernels_best()->panel;
    char right[20], odd[20], other[20];
    snprintf(right, sizeof right, "panel %d,", panel);
    snprintf(odd, sizeof odd, "panel %d,", panel + 1);
    snprintf(other, sizeof other, "panel %d,", panel == 8 ? 6 : panel + 2);
    refuse_after("layout 1", "layout 2", KSK_UNSUPPORTED, "quantise the original checkpoint anew");
    refuse_after("\"int8, ", "\"int4, ", KSK_UNSUPPORTED, "packed as \"int4");
    refuse_after(right, odd, KSK_UNSUPPORTED, odd);
    refuse_after(right, other, KSK_BAD_FORMAT, "weight\": not a packed matrix");
    refuse_after("\"int8, ", "\"bf16, ", KSK_BAD_FORMAT, "the panels are not of type BF16");
    refuse_after("kaskad.packing", "caskad.packing", KSK_BAD_FORMAT, "has the shape");
    refuse_after("fc1.weight_scale", "fc1.weight_scala", KSK_BAD_FORMAT, "fc1.weight_scale");
}

/* Writes the file again with other scales for one matrix: cut short, or one of them changed. */
static void change_scales(const char *name, int64_t left_out, float first)
{
    ksk_safetensors *file = ksk_safetensors_open(checkpoint_directory, "model.safetensors", NULL);
    const char *names[checkpoint_most_tensors];
    const ksk_tensor *tensors[checkpoint_most_tensors];
    const int count = ksk_safetensors_count(file);
    for (int i = 0; i < count; i++) {
        names[i] = ksk_safetensors_name(file, i);
        ksk_tensor *tensor = ksk_safetensors_get(file, names[i], NULL);
        if (strcmp(names[i], name) == 0) {
            const int64_t left = ksk_tensor_count(tensor) - left_out;
            ksk_tensor *other = ksk_tensor_new(KSK_F32, 1, &left, NULL);
            float *values = ksk_tensor_fill(other);
            memcpy(values, ksk_tensor_data(tensor), (size_t)left * sizeof *values);
            values[0] = first;
            ksk_tensor_release(tensor);
            tensor = other;
        }
        tensors[i] = tensor;
    }
    checkpoint_delete("model.safetensors");
    char *path = ksk_path(checkpoint_directory, "model.safetensors");
    assert_true(ksk_safetensors_write_noted(path, "kaskad.packing",
                                            ksk_safetensors_note(file, "kaskad.packing"), count,
                                            names, tensors, NULL));
    for (int i = 0; i < count; i++)
        ksk_tensor_release(tensors[i]);
    ksk_safetensors_free(file);
    ksk_free(path);
}

static void test_wrong_scales(void **state)
{
    static const struct {
        int64_t left_out;
        float first;
    } changes[] = {{1, 1}, {0, -1}, {0, INFINITY}};
    quantise(SMALL_MODEL, KSK_PRECISION_INT8);
    change_scales("model.shared.weight_scale", 0, 0.25F);
    ksk_model_free(load_model(checkpoint_directory, KSK_PRECISION_AUTO));
    for (int i = 0; i < 3; i++) {
        quantise(SMALL_MODEL, KSK_PRECISION_INT8);
        change_scales("model.shared.weight_scale", changes[i].left_out, changes[i].first);
        refuse_to_load(NULL, KSK_BAD_FORMAT, "\"model.shared.weight\": not a packed matrix");
    }
}

/* --- memory that runs out -----------------------------------------------------------------------
 */

static bool load_quantised(void *context, ksk_error *err)
{
    ksk_model *model = ksk_model_load(checkpoint_directory, NULL, err);
    const ksk_seq2seq_plans *plans = model ? ksk_model_plans(model, KSK_TO_GENERATE, err) : NULL;
    ksk_model_free(model);
    return plans;
}

static void test_no_memory(void **state)
{
    quantise(KSK_FIXTURES "/marian/split", KSK_PRECISION_INT8);
    assert_true(fault_sweep(load_quantised, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_translations),
        cmocka_unit_test(test_same_scores),
        cmocka_unit_test(test_used_where_it_lies),
        cmocka_unit_test(test_packed_anew),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_f32_is_not_quantised),
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_not_trained),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_wrong_scales),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
