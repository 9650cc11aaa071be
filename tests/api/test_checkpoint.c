/* Checkpoints saved and loaded again, and the proof that they carry. */
#include <math.h>

#include "api/lines.h"
#include "checkpoint.h"
#include "io/proof.h"

static ksk_model *load_copy(void)
{
    return load_model(checkpoint_directory, KSK_PRECISION_F32);
}

static void save(const ksk_model *model)
{
    ksk_error err = {0};
    checkpoint_empty();
    if (!ksk_model_save(model, checkpoint_directory, &err))
        fail_msg("%s", err.message);
}

/* --- saving ------------------------------------------------------------------------------------
 */

static void check_round_trip(const char *directory, const char *const *lines, int count)
{
    ksk_model *model = load_model(directory, KSK_PRECISION_F32);
    save(model);
    ksk_model *again = load_copy();
    assert_true(ksk_module_equal(ksk_model_module(model), ksk_model_module(again)));
    ksk_translation *a = translate_lines(model, NULL, count, lines);
    ksk_translation *b = translate_lines(again, NULL, count, lines);
    assert_same_translations(a, b, count);
    clear_translations(a, count);
    clear_translations(b, count);
    char *text = ksk_model_describe(model, NULL), *same = ksk_model_describe(again, NULL);
    assert_string_equal(text, same);
    ksk_free(text);
    ksk_free(same);
    int checked = 0;
    assert_true(ksk_model_verify(again, &checked, NULL));
    assert_int_equal(checked, 3);
    ksk_model_free(model);
    ksk_model_free(again);
}

static void test_round_trips(void **state)
{
    static const char *const texts[] = {"Der Tag war lang.", "Wir sind da.", ""};
    check_round_trip(KSK_FIXTURES "/marian/opus", texts, 3);
    check_round_trip(KSK_FIXTURES "/marian/split", texts, 3);
    check_round_trip(KSK_FIXTURES "/marian/tiny", texts, 3);
    check_round_trip(SHIPPED_MODEL, lines_load(), 4);
}

/* Over itself: what is mapped stays what it was. */
static void test_saved_over_itself(void **state)
{
    ksk_model *source = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    save(source);
    ksk_model *model = load_copy();
    assert_true(ksk_model_save(model, checkpoint_directory, NULL));
    assert_true(ksk_module_equal(ksk_model_module(source), ksk_model_module(model)));
    ksk_model *again = load_copy();
    assert_true(ksk_module_equal(ksk_model_module(source), ksk_model_module(again)));
    ksk_model_free(source);
    ksk_model_free(model);
    ksk_model_free(again);
}

static void test_nowhere_to_save(void **state)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_error err = {0};
    assert_false(ksk_model_save(model, "/dev/null/model", &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    if (!strstr(err.message, "/dev/null"))
        fail_msg("%s", err.message);
    ksk_model_free(model);
}

/* A model that takes fewer tokens than the proof's texts have can be saved all the same. */
static void test_few_positions(void **state)
{
    checkpoint_copy(SMALL_MODEL);
    checkpoint_set("max_position_embeddings", "14");
    ksk_model *model = load_copy();
    ksk_error err = {0};
    if (!ksk_model_save(model, checkpoint_directory, &err))
        fail_msg("%s", err.message);
    ksk_model *again = load_copy();
    int checked = 0;
    assert_true(ksk_model_verify(again, &checked, NULL));
    assert_in_range(checked, 1, 3);
    ksk_model_free(model);
    ksk_model_free(again);
}

/* The checkpoint's own texts are proved again when it is saved. */
static void test_texts_stay(void **state)
{
    static const char text[] =
        "{\"format\": 1, \"library\": \"other 3\", \"texts\": [{\"source\": \"Tom schläft.\", "
        "\"source_ids\": [4], \"target_ids\": [2], \"probes\": []}], "
        "\"origin\": {\"recipe\": \"sha256:12\", \"data\": \"somewhere\"}}";
    checkpoint_copy(SMALL_MODEL);
    checkpoint_write("kaskad.json", text, sizeof text - 1);
    ksk_model *model = load_copy();
    assert_true(ksk_model_save(model, checkpoint_directory, NULL));
    ksk_proof proof;
    assert_true(ksk_proof_read(checkpoint_directory, &proof, NULL));
    assert_int_equal(proof.count, 1);
    assert_string_equal(proof.texts[0].source, "Tom schläft.");
    assert_true(proof.texts[0].source_count > 3 && proof.texts[0].probe_count > 2);
    assert_string_equal(proof.library, "kaskad " KSK_VERSION);
    assert_string_equal(proof.recipe, "sha256:12");
    assert_string_equal(proof.data, "somewhere");
    assert_true(ksk_model_verify(model, NULL, NULL));
    ksk_proof_clear(&proof);
    ksk_model_free(model);
}

/* --- the proof ---------------------------------------------------------------------------------
 */

static void assert_shipped_proof_holds(ksk_precision precision)
{
    ksk_model *model = load_model(SHIPPED_MODEL, precision);
    ksk_error err = {0};
    int checked = 0;
    if (!ksk_model_verify(model, &checked, &err))
        fail_msg("%s", err.message);
    assert_in_range(checked, 3, 100);
    ksk_model_free(model);
}

static void test_shipped_proof(void **state)
{
    assert_shipped_proof_holds(KSK_PRECISION_F32);
    assert_shipped_proof_holds(KSK_PRECISION_BF16);
    assert_shipped_proof_holds(KSK_PRECISION_INT8);
}

static void refuse_proof(const char *part)
{
    ksk_model *model = load_copy();
    ksk_error err = {0};
    assert_false(ksk_model_verify(model, NULL, &err));
    if (err.status != KSK_BAD_FORMAT || !strstr(err.message, part))
        fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    ksk_model_free(model);
}

static void save_small(void)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    save(model);
    ksk_model_free(model);
}

/* One number of one matrix changes its sign. */
static void check_damaged(const char *side, const char *layer)
{
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    const ksk_module *of = ksk_module_get(ksk_module_get(ksk_model_module(model), "model"), side);
    of = ksk_module_get(ksk_module_at(of, "layers", 0), layer);
    const ksk_tensor *weight = ksk_module_tensor(of, "weight");
    size_t size;
    save(model);
    char *bytes = checkpoint_read(checkpoint_directory, "model.safetensors", &size);
    char *at = memmem(bytes, size, ksk_tensor_data(weight), ksk_tensor_bytes(weight));
    assert_non_null(at);
    at[4 * 10 + 3] = (char)(at[4 * 10 + 3] ^ 0x80);
    checkpoint_write("model.safetensors", bytes, size);
    ksk_free(bytes);
    ksk_model_free(model);
    refuse_proof("the logit of id");
}

static void test_damaged_weight(void **state)
{
    check_damaged("encoder", "fc1");
    check_damaged("decoder", "fc2");
}

/* Two pieces change places. */
static void test_damaged_vocabulary(void **state)
{
    save_small();
    char *path = ksk_path(checkpoint_directory, "vocab.json");
    json_t *vocabulary = json_load_file(path, 0, NULL);
    json_t *e = json_incref(json_object_get(vocabulary, "e"));
    json_t *n = json_incref(json_object_get(vocabulary, "n"));
    assert_true(e && n);
    json_object_set_new(vocabulary, "e", n);
    json_object_set_new(vocabulary, "n", e);
    assert_int_equal(json_dump_file(vocabulary, path, 0), 0);
    json_decref(vocabulary);
    ksk_free(path);
    refuse_proof("of the source is");
}

/* Another tokenizer where the source's was. */
static void test_damaged_pieces(void **state)
{
    save_small();
    size_t size;
    char *bytes = checkpoint_read(KSK_FIXTURES "/marian/opus", "source.spm", &size);
    checkpoint_write("source.spm", bytes, size);
    ksk_free(bytes);
    refuse_proof("of the source is");
}

typedef void change(ksk_proof *proof);

static void move_logit(ksk_proof *proof)
{
    proof->texts[2].probes[4].logit += 0.01F * fmaxf(1, fabsf(proof->texts[2].probes[4].logit));
}

static void change_probe_id(ksk_proof *proof)
{
    proof->texts[0].probes[0].id = 103;
}

static void change_source_id(ksk_proof *proof)
{
    proof->texts[1].source_ids[2]++;
}

static void change_target_id(ksk_proof *proof)
{
    proof->texts[0].target_ids[0] = 1000;
}

static void check_change(change *function, const char *part)
{
    save_small();
    ksk_proof proof;
    assert_true(ksk_proof_read(checkpoint_directory, &proof, NULL));
    function(&proof);
    assert_true(ksk_proof_write(checkpoint_directory, &proof, NULL));
    ksk_proof_clear(&proof);
    refuse_proof(part);
}

static void test_damaged_proof(void **state)
{
    check_change(move_logit, "text 2: the logit of id");
    check_change(change_probe_id, "probe id 103 is not in [0, 103)");
    check_change(change_source_id, "text 1: id 2 of the source");
    check_change(change_target_id, "target id 1000 is not in [0, 103)");
}

static void test_no_proof(void **state)
{
    checkpoint_copy(SMALL_MODEL);
    ksk_model *model = load_copy();
    ksk_error err = {0};
    assert_false(ksk_model_verify(model, NULL, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    assert_non_null(strstr(err.message, "kaskad.json"));
    ksk_model_free(model);
}

/* --- other names for tensors -------------------------------------------------------------------
 */

/* Writes the small model's tensors under names that `rename` gives; NULL leaves one out. */
static void rename_tensors(const char *(*rename)(const char *name))
{
    checkpoint_copy(SMALL_MODEL);
    ksk_safetensors *file = ksk_safetensors_open(checkpoint_directory, "model.safetensors", NULL);
    const char *names[checkpoint_most_tensors];
    const ksk_tensor *tensors[checkpoint_most_tensors];
    int count = 0;
    for (int i = 0; i < ksk_safetensors_count(file); i++) {
        const char *name = rename(ksk_safetensors_name(file, i));
        if (!name)
            continue;
        names[count] = name;
        tensors[count++] = ksk_safetensors_get(file, ksk_safetensors_name(file, i), NULL);
    }
    checkpoint_delete("model.safetensors");
    char *path = ksk_path(checkpoint_directory, "model.safetensors");
    assert_true(ksk_safetensors_write(path, count, names, tensors, NULL));
    for (int i = 0; i < count; i++)
        ksk_tensor_release(tensors[i]);
    ksk_safetensors_free(file);
    ksk_free(path);
}

static const char *as_encoders(const char *name)
{
    return strcmp(name, "model.shared.weight") ? name : "model.encoder.embed_tokens.weight";
}

static const char *as_head(const char *name)
{
    return strcmp(name, "model.shared.weight") ? name : "lm_head.weight";
}

/* As the bare model saves itself, without the language model's head and bias. */
static const char *without_first_part(const char *name)
{
    return strncmp(name, "model.", 6) ? NULL : name + 6;
}

static void test_other_names(void **state)
{
    static const char *const texts[] = {"Der Tag war lang.", "Wir sind da."};
    ksk_model *model = load_model(SMALL_MODEL, KSK_PRECISION_F32);
    ksk_translation *expected = translate_lines(model, NULL, 2, texts);
    const char *(*const renames[])(const char *) = {as_encoders, as_head};
    for (int i = 0; i < 2; i++) {
        rename_tensors(renames[i]);
        ksk_model *renamed = load_copy();
        assert_true(ksk_module_equal(ksk_model_module(model), ksk_model_module(renamed)));
        ksk_translation *found = translate_lines(renamed, NULL, 2, texts);
        assert_same_translations(found, expected, 2);
        clear_translations(found, 2);
        ksk_model_free(renamed);
    }
    clear_translations(expected, 2);
    rename_tensors(without_first_part);
    ksk_model *bare = load_copy();
    const ksk_tensor *bias = ksk_module_tensor(ksk_model_module(bare), "final_logits_bias");
    for (int i = 0; i < 103; i++)
        assert_true(ksk_tensor_f32(bias)[i] == 0);
    assert_true(ksk_tensor_equal(
        ksk_module_tensor(ksk_module_get(ksk_module_get(ksk_model_module(bare), "model"), "shared"),
                          "weight"),
        ksk_module_tensor(
            ksk_module_get(ksk_module_get(ksk_model_module(model), "model"), "shared"), "weight")));
    ksk_model_free(bare);
    ksk_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),     cmocka_unit_test(test_saved_over_itself),
        cmocka_unit_test(test_nowhere_to_save), cmocka_unit_test(test_few_positions),
        cmocka_unit_test(test_texts_stay),      cmocka_unit_test(test_shipped_proof),
        cmocka_unit_test(test_damaged_weight),  cmocka_unit_test(test_damaged_vocabulary),
        cmocka_unit_test(test_damaged_pieces),  cmocka_unit_test(test_damaged_proof),
        cmocka_unit_test(test_no_proof),        cmocka_unit_test(test_other_names),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
