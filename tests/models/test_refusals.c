/* Checkpoints that cannot be: each is refused, and the message names the field or the tensor. */
#include "checkpoint.h"
#include "kaskad/kaskad.h"
#include "kaskad/random.h"

static const char source[] = KSK_FIXTURES "/marian/opus";

static void refuse(const char *what, ksk_status status, const char *part)
{
    ksk_error err = {0};
    ksk_model *model = ksk_model_load(checkpoint_directory, NULL, &err);
    if (model)
        fail_msg("%s was loaded", what);
    if (err.status != status || !strstr(err.message, part))
        fail_msg("%s: \"%s\" (%d) does not say \"%s\"", what, err.message, (int)err.status, part);
}

static void refuse_setting(const char *key, const char *value, ksk_status status)
{
    checkpoint_copy(source);
    checkpoint_set(key, value);
    refuse(value, status, key);
}

/* --- settings ----------------------------------------------------------------------------------
 */

static void test_numbers(void **state)
{
    static const char *const sizes[] = {"d_model",
                                        "vocab_size",
                                        "max_position_embeddings",
                                        "encoder_layers",
                                        "decoder_layers",
                                        "encoder_ffn_dim",
                                        "decoder_ffn_dim",
                                        "encoder_attention_heads",
                                        "decoder_attention_heads",
                                        "decoder_vocab_size"};
    static const char *const values[] = {"0",      "-3",   "4294967297", "1e300",
                                         "\"24\"", "24.5", "[24]"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof values / sizeof *values; j++)
            refuse_setting(sizes[i], values[j], KSK_BAD_FORMAT);
    refuse_setting("d_model", "65537", KSK_BAD_FORMAT);
    refuse_setting("encoder_layers", "65", KSK_BAD_FORMAT);
}

static void test_kinds(void **state)
{
    refuse_setting("activation_function", "\"gelu_fast\"", KSK_UNSUPPORTED);
    refuse_setting("activation_function", "7", KSK_BAD_FORMAT);
    refuse_setting("normalize_before", "true", KSK_UNSUPPORTED);
    refuse_setting("normalize_embedding", "true", KSK_UNSUPPORTED);
    refuse_setting("add_final_layer_norm", "true", KSK_UNSUPPORTED);
    refuse_setting("scale_embedding", "\"yes\"", KSK_BAD_FORMAT);
    refuse_setting("share_encoder_decoder_embeddings", "1", KSK_BAD_FORMAT);
    refuse_setting("model_type", "\"mariana\"", KSK_UNSUPPORTED);
    refuse_setting("model_type", "[\"marian\"]", KSK_BAD_FORMAT);
    refuse_setting("model_type", NULL, KSK_UNSUPPORTED);
}

static void test_settings_together(void **state)
{
    refuse_setting("encoder_attention_heads", "5", KSK_BAD_FORMAT);
    refuse("5 heads", KSK_BAD_FORMAT, "d_model 24 is not a multiple of encoder_attention_heads 5");
    refuse_setting("decoder_attention_heads", "7", KSK_BAD_FORMAT);
    refuse_setting("decoder_vocab_size", "66", KSK_BAD_FORMAT);
    refuse("two sizes", KSK_BAD_FORMAT, "share_encoder_decoder_embeddings");
}

static void test_token_ids(void **state)
{
    static const char *const ids[] = {"decoder_start_token_id", "eos_token_id", "pad_token_id"};
    for (int i = 0; i < 3; i++) {
        checkpoint_copy(source);
        checkpoint_delete("generation_config.json");
        checkpoint_set(ids[i], "65");
        refuse("beyond the vocabulary", KSK_BAD_FORMAT, ids[i]);
        checkpoint_set(ids[i], "[0, 3]");
        refuse("two of them", KSK_UNSUPPORTED, ids[i]);
        checkpoint_set(ids[i], "-2");
        refuse("negative", KSK_BAD_FORMAT, ids[i]);
    }
}

static void test_generation_settings(void **state)
{
    static const char *const bad[][2] = {
        {"num_beams", "0"},
        {"max_length", "-5"},
        {"min_length", "\"two\""},
        {"length_penalty", "[]"},
        {"no_repeat_ngram_size", "-1"},
        {"forced_bos_token_id", "65"},
        {"forced_eos_token_id", "-7"},
        {"bad_words_ids", "[3]"},
        {"bad_words_ids", "[[3, 4]]"},
        {"renormalize_logits", "3"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        checkpoint_copy(source);
        checkpoint_set_in("generation_config.json", bad[i][0], bad[i][1]);
        ksk_error err = {0};
        ksk_model *model = ksk_model_load(checkpoint_directory, NULL, &err);
        if (model)
            fail_msg("%s %s was loaded", bad[i][0], bad[i][1]);
        if (!strstr(err.message, bad[i][0]))
            fail_msg("%s %s: \"%s\"", bad[i][0], bad[i][1], err.message);
    }
}

/* --- files -------------------------------------------------------------------------------------
 */

static void test_missing_files(void **state)
{
    static const char *const files[] = {"config.json", "model.safetensors", "source.spm",
                                        "target.spm", "vocab.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        checkpoint_copy(source);
        checkpoint_delete(files[i]);
        refuse(files[i], KSK_BAD_FILE, files[i]);
        checkpoint_write(files[i], "", 0);
        ksk_error err = {0};
        assert_null(ksk_model_load(checkpoint_directory, NULL, &err));
        if (!strstr(err.message, files[i]))
            fail_msg("an empty %s: \"%s\"", files[i], err.message);
    }
}

static void test_broken_json(void **state)
{
    static const char *const files[] = {"config.json", "generation_config.json", "vocab.json",
                                        "tokenizer_config.json"};
    static const char *const texts[] = {"{", "[]", "3", "{\"a\": }", "\xff\xfe", "{\"a\": 1} x"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            checkpoint_copy(source);
            checkpoint_write(files[i], texts[j], strlen(texts[j]));
            refuse(texts[j], KSK_BAD_FORMAT, files[i]);
        }
}

static void test_vocabulary_over_the_model(void **state)
{
    checkpoint_copy(source);
    checkpoint_set_in("vocab.json", "one more", "65");
    refuse("66 tokens", KSK_BAD_FORMAT, "vocab.json has 66 tokens, config.json says vocab_size 65");
    checkpoint_copy(KSK_FIXTURES "/marian/split");
    checkpoint_set_in("target_vocab.json", "one more", "72");
    refuse("73 tokens", KSK_BAD_FORMAT, "73 tokens, config.json says decoder_vocab_size 72");
    checkpoint_copy(KSK_FIXTURES "/marian/split");
    checkpoint_set_in("vocab.json", "one more", "62");
    refuse("63 tokens", KSK_BAD_FORMAT, "63 tokens, config.json says vocab_size 62");
}

/* --- tensors -----------------------------------------------------------------------------------
 */

static void test_missing_tensors(void **state)
{
    static const char *const names[] = {"model.shared.weight", "model.encoder.layers.1.fc2.bias",
                                        "model.decoder.layers.2.encoder_attn.k_proj.weight",
                                        "model.decoder.layers.0.final_layer_norm.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        checkpoint_copy(source);
        checkpoint_reshape(names[i], 0, NULL);
        refuse("a tensor less", KSK_BAD_FORMAT, names[i]);
    }
}

static void test_wrong_shapes(void **state)
{
    static const struct {
        const char *name;
        int rank;
        int64_t shape[3];
    } wrong[] = {{"model.shared.weight", 2, {64, 24}},
                 {"model.shared.weight", 2, {24, 65}},
                 {"model.shared.weight", 1, {65 * 24}},
                 {"model.encoder.layers.0.fc1.weight", 2, {24, 40}},
                 {"model.encoder.layers.0.fc1.bias", 1, {39}},
                 {"model.encoder.layers.0.fc1.bias", 2, {1, 40}},
                 {"model.decoder.layers.1.self_attn.q_proj.weight", 3, {1, 24, 24}},
                 {"model.decoder.layers.1.self_attn_layer_norm.bias", 1, {0}},
                 {"final_logits_bias", 1, {65}},
                 {"final_logits_bias", 2, {1, 64}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        checkpoint_copy(source);
        checkpoint_reshape(wrong[i].name, wrong[i].rank, wrong[i].shape);
        refuse("a wrong shape", KSK_BAD_FORMAT, wrong[i].name);
    }
}

/* What config.json says of a tensor and what the file holds differ: the tensor is named. */
static void test_settings_beside_tensors(void **state)
{
    static const char *const wrong[][3] = {
        {"d_model", "48", "model.shared.weight"},
        {"vocab_size", "80", "decoder_vocab_size"},
        {"encoder_ffn_dim", "41", "model.encoder.layers.0.fc1.weight"},
        {"decoder_ffn_dim", "40", "model.decoder.layers.0.fc1.weight"},
        {"encoder_layers", "3", "model.encoder.layers.2."},
        {"decoder_layers", "4", "model.decoder.layers.3."},
        {"share_encoder_decoder_embeddings", "false", "model.encoder.embed_tokens.weight"},
        {"tie_word_embeddings", "false", "lm_head.weight"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        checkpoint_copy(source);
        checkpoint_set(wrong[i][0], wrong[i][1]);
        refuse(wrong[i][0], KSK_BAD_FORMAT, wrong[i][2]);
    }
}

static void test_cut_tensors(void **state)
{
    size_t size;
    char *bytes = checkpoint_read(source, "model.safetensors", &size);
    checkpoint_copy(source);
    for (size_t kept = 0; kept < size; kept = kept < 16 ? kept + 5 : kept * 2 + 1) {
        checkpoint_write("model.safetensors", bytes, kept);
        refuse("a cut file", KSK_BAD_FORMAT, "model.safetensors");
    }
    checkpoint_write("model.safetensors", bytes, size - 1);
    refuse("a cut file", KSK_BAD_FORMAT, "model.safetensors");
    ksk_free(bytes);
}

/* A bit of the header turned round either shows or leaves a file that can be read. */
static void test_turned_bits(void **state)
{
    size_t size;
    char *bytes = checkpoint_read(source, "model.safetensors", &size);
    uint64_t header = 0;
    memcpy(&header, bytes, 8);
    assert_true(8 + header < size);
    checkpoint_copy(source);
    int refused = 0;
    for (int turn = 0; turn < 150; turn++) {
        const uint32_t draw = ksk_random_bits(ksk_key_from_seed(3), (uint64_t)turn);
        const size_t at = turn < 8 ? (size_t)turn : 8 + draw % header;
        const char was = bytes[at];
        bytes[at] = (char)(bytes[at] ^ (1 << (draw >> 29)));
        checkpoint_write("model.safetensors", bytes, size);
        bytes[at] = was;
        ksk_error err = {0};
        ksk_model *model = ksk_model_load(checkpoint_directory, NULL, &err);
        if (!model) {
            refused++;
            assert_true(err.status == KSK_BAD_FORMAT || err.status == KSK_UNSUPPORTED);
            assert_non_null(strstr(err.message, "safetensors"));
        }
        ksk_model_free(model);
    }
    assert_true(refused > 75);
    ksk_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_settings_together),
        cmocka_unit_test(test_token_ids),
        cmocka_unit_test(test_generation_settings),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_broken_json),
        cmocka_unit_test(test_vocabulary_over_the_model),
        cmocka_unit_test(test_missing_tensors),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_settings_beside_tensors),
        cmocka_unit_test(test_cut_tensors),
        cmocka_unit_test(test_turned_bits),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
