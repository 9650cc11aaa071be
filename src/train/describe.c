#include "train/describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/model.h"
#include "base/file.h"
#include "base/string.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "kaskad/kaskad.h"
#include "models/marian.h"
#include "models/models.h"

/* --- the recipe ---------------------------------------------------------------------------------
 */

static bool put(void *context, ksk_file_writer *writer, ksk_error *err)
{
    return ksk_file_put(writer, context, strlen(context), err);
}

bool ksk_describe_recipe(const ksk_recipe *recipe, const char *directory, ksk_error *err)
{
    char *text = ksk_recipe_print(recipe), *path = ksk_path(directory, "recipe.yaml");
    const bool ok = text && path ? ksk_file_replace(path, put, text, err) : ksk_fail_memory(err);
    ksk_free(text);
    ksk_free(path);
    return ok;
}

static bool digest_recipe(const ksk_recipe *recipe, ksk_digest *digest, ksk_error *err)
{
    char *text = ksk_recipe_print(recipe);
    if (!text)
        return ksk_fail_memory(err);
    ksk_digester digester;
    ksk_digest_start(&digester);
    ksk_digest_add(&digester, text, strlen(text));
    *digest = ksk_digest_end(&digester);
    ksk_free(text);
    return true;
}

/* --- the data -----------------------------------------------------------------------------------
 */

json_t *ksk_describe_data(const ksk_recipe *recipe, ksk_error *err)
{
    const char *const files[] = {recipe->train, recipe->train_source, recipe->train_target,
                                 recipe->dev,   recipe->dev_source,   recipe->dev_target};
    json_t *data = json_object();
    bool ok = data || ksk_fail_memory(err);
    for (size_t i = 0; ok && i < sizeof files / sizeof *files; i++) {
        ksk_digest digest;
        if (!files[i])
            continue;
        ok = ksk_digest_file(files[i], &digest, err) &&
             (json_object_set_new(data, files[i], json_string(digest.text)) == 0 ||
              ksk_fail(err, KSK_BAD_ARGUMENT, "the path %s is not UTF-8", files[i]));
    }
    if (ok)
        return data;
    json_decref(data);
    return NULL;
}

bool ksk_describe_same_data(json_t *data, const char *directory, ksk_error *err)
{
    char *file = NULL;
    json_t *run = ksk_json_read(directory, "run.json", &file, err);
    const json_t *before = json_object_get(run, "data");
    const bool same = json_equal(data, (json_t *)before);
    if (run && !same)
        ksk_fail(err, KSK_BAD_ARGUMENT,
                 "the data are not those that the run was begun with (their digests in %s differ); "
                 "put them back, or begin another run",
                 file);
    json_decref(run);
    ksk_free(file);
    return same;
}

bool ksk_describe_weights(const char *checkpoint, ksk_digest *digest, ksk_error *err)
{
    char *whole = ksk_path(checkpoint, "model.safetensors");
    char *index = ksk_path(checkpoint, "model.safetensors.index.json");
    const bool ok = whole && index
                        ? ksk_digest_file(access(whole, F_OK) == 0 ? whole : index, digest, err)
                        : ksk_fail_memory(err);
    ksk_free(whole);
    ksk_free(index);
    return ok;
}

/* --- the run ------------------------------------------------------------------------------------
 */

static void find_processor(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file)
        fclose(file);
}

/* The checkpoint that the weights come from. */
static bool add_parent(json_t *run, const ksk_setup *setup)
{
    return !setup->inherited ||
           json_object_set_new(run, "init_from",
                               json_pack("{s:O, s:O}", "checkpoint",
                                         json_object_get(setup->inherited, "checkpoint"), "weights",
                                         json_object_get(setup->inherited, "weights"))) == 0;
}

bool ksk_describe_run(const ksk_recipe *recipe, const ksk_setup *setup, json_t *data,
                      const char *directory, ksk_error *err)
{
    char processor[200];
    ksk_digest digest;
    find_processor(processor, sizeof processor);
    if (!digest_recipe(recipe, &digest, err))
        return false;
    json_t *run = json_pack(
        "{s:s, s:s, s:I, s:{s:s, s:i, s:s}, s:O, s:{s:I, s:I, s:I, s:I, s:I}, s:{s:i, s:I}}",
        "kaskad", ksk_version(), "recipe", digest.text, "seed", (json_int_t)recipe->seed, "machine",
        "processor", processor, "threads", setup->threads, "instructions", ksk_isa(), "data", data,
        "pairs", "train", (json_int_t)setup->train.count, "left_out",
        (json_int_t)setup->train.left_out, "source_tokens", (json_int_t)setup->train.source_tokens,
        "target_tokens", (json_int_t)setup->train.target_tokens, "dev",
        (json_int_t)setup->dev.count, "model", "vocabulary", ksk_tokenizer_size(setup->tokenizer),
        "parameters", (json_int_t)ksk_module_parameters(setup->module));
    const bool ok = run && add_parent(run, setup) ? ksk_json_write(directory, "run.json", run, err)
                                                  : ksk_fail_memory(err);
    json_decref(run);
    return ok;
}

/* --- the model ----------------------------------------------------------------------------------
 */

/* What targets start with: as in the checkpoint that the weights come from; <s> in a vocabulary
 * that ksk_sentencepiece_train learned; another tokenizer need not have one, and it is the padding
 * token, as Marian has it. */
static bool find_start(const ksk_recipe *recipe, const ksk_tokenizer *tokenizer, int *start,
                       ksk_error *err)
{
    *start = recipe->tokenizer ? (int)ksk_tokenizer_pad_id(tokenizer) : 1;
    if (!recipe->init_from)
        return true;
    ksk_config *config = ksk_config_load(recipe->init_from, "config.json", err);
    if (!config)
        return false;
    *start = ksk_config_int(config, "decoder_start_token_id", *start, 0,
                            ksk_tokenizer_size(tokenizer) - 1);
    const bool ok = ksk_config_ok(config, err);
    ksk_config_free(config);
    return ok;
}

/* What every encoder–decoder says of itself, under the names that Hugging Face's models use. */
static json_t *pack_common(const ksk_recipe *r, const ksk_tokenizer *tokenizer, int start)
{
    const int size = ksk_tokenizer_size(tokenizer);
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:i, s:i, s:I, s:b, s:i, s:i, s:i, s:i, "
        "s:f, s:f, s:f, s:s}",
        "model_type", ksk_recipe_model(r)->name, "d_model", (json_int_t)r->d_model,
        "encoder_layers", (json_int_t)r->encoder_layers, "decoder_layers",
        (json_int_t)r->decoder_layers, "encoder_attention_heads", (json_int_t)r->heads,
        "decoder_attention_heads", (json_int_t)r->heads, "encoder_ffn_dim", (json_int_t)r->ffn,
        "decoder_ffn_dim", (json_int_t)r->ffn, "activation_function", r->activation, "vocab_size",
        size, "decoder_vocab_size", size, "max_position_embeddings", (json_int_t)r->max_positions,
        "is_encoder_decoder", 1, "pad_token_id", (int)ksk_tokenizer_pad_id(tokenizer),
        "bos_token_id", start, "eos_token_id", (int)ksk_tokenizer_end_id(tokenizer),
        "decoder_start_token_id", start, "dropout", r->dropout, "attention_dropout", 0.0,
        "activation_dropout", 0.0, "torch_dtype",
        r->weights == KSK_WEIGHTS_BF16 ? "bfloat16" : "float32");
}

/* What makes it Marian. */
static json_t *pack_marian(void)
{
    return json_pack("{s:[s], s:b, s:b, s:b, s:b, s:b, s:b, s:b}", "architectures", "MarianMTModel",
                     "scale_embedding", 1, "static_position_embeddings", 1, "normalize_before", 0,
                     "normalize_embedding", 0, "add_final_layer_norm", 0,
                     "share_encoder_decoder_embeddings", 1, "tie_word_embeddings", 1);
}

static bool add_all(json_t *config, json_t *more)
{
    const bool ok = more && json_object_update(config, more) == 0;
    json_decref(more);
    return ok;
}

/* NULL with `err` filled. */
static json_t *pack_config(const ksk_recipe *r, const ksk_tokenizer *tokenizer, int start,
                           ksk_error *err)
{
    json_t *const config = pack_common(r, tokenizer, start);
    const bool marian = ksk_recipe_model(r)->seq2seq == &ksk_marian_parts;
    json_t *const options = ksk_recipe_model_options(r, err);
    bool ok = (config && (!marian || add_all(config, pack_marian()))) || ksk_fail_memory(err);
    if (ok && (r->markov_order || ksk_recipe_model(r) == &ksk_markov_transformer))
        ok = json_object_set_new(config, "markov_order",
                                 json_integer((json_int_t)r->markov_order)) == 0 ||
             ksk_fail_memory(err);
    ok = ok && options && (json_object_update(config, options) == 0 || ksk_fail_memory(err));
    json_decref(options);
    if (ok)
        return config;
    json_decref(config);
    return NULL;
}

static json_t *pack_generation(const ksk_recipe *r, const ksk_tokenizer *tokenizer, int start)
{
    const int pad = (int)ksk_tokenizer_pad_id(tokenizer);
    return json_pack("{s:I, s:I, s:i, s:i, s:i, s:i, s:[[i]]}", "num_beams", (json_int_t)r->beam,
                     "max_length", (json_int_t)r->max_positions, "bos_token_id", start,
                     "eos_token_id", (int)ksk_tokenizer_end_id(tokenizer), "pad_token_id", pad,
                     "decoder_start_token_id", start, "bad_words_ids", pad);
}

/* Takes the object. */
static bool write_object(const char *directory, const char *name, json_t *object, ksk_error *err)
{
    const bool ok = object && ksk_json_write(directory, name, object, err);
    json_decref(object);
    return ok;
}

bool ksk_describe_model(const ksk_recipe *recipe, const ksk_tokenizer *tokenizer,
                        const char *directory, ksk_error *err)
{
    int start;
    if (!find_start(recipe, tokenizer, &start, err) ||
        !write_object(directory, "config.json", pack_config(recipe, tokenizer, start, err), err))
        return false;
    json_t *const generation = pack_generation(recipe, tokenizer, start);
    return generation ? write_object(directory, "generation_config.json", generation, err)
                      : ksk_fail_memory(err);
}

/* --- the proof ----------------------------------------------------------------------------------
 */

/* "train.tsv.gz sha256:…, dev.tsv sha256:…", without the directories of this machine. */
static char *list_data(const ksk_recipe *recipe, ksk_error *err)
{
    json_t *data = ksk_describe_data(recipe, err);
    ksk_string list = {0};
    const char *path;
    json_t *digest;
    if (!data)
        return NULL;
    json_object_foreach(data, path, digest)
    {
        const char *slash = strrchr(path, '/');
        ksk_string_add(&list, "%s%s %s", list.length ? ", " : "", slash ? slash + 1 : path,
                       json_string_value(digest));
    }
    json_decref(data);
    char *text = ksk_string_take(&list);
    if (!text)
        ksk_fail_memory(err);
    return text;
}

static bool add_origin(const ksk_recipe *recipe, const char *directory, ksk_error *err)
{
    ksk_proof proof = {0};
    ksk_digest digest;
    bool ok = ksk_proof_read(directory, &proof, err) && digest_recipe(recipe, &digest, err);
    if (ok) {
        ksk_free(proof.recipe);
        ksk_free(proof.data);
        proof.recipe = ksk_strdup(digest.text);
        proof.data = list_data(recipe, err);
        ok = proof.data && (proof.recipe || ksk_fail_memory(err)) &&
             ksk_proof_write(directory, &proof, err);
    }
    ksk_proof_clear(&proof);
    return ok;
}

bool ksk_describe_proof(const ksk_recipe *recipe, const char *directory, ksk_error *err)
{
    ksk_model *model = ksk_model_load(directory, NULL, err);
    const bool ok =
        model && ksk_model_prove(model, directory, err) && add_origin(recipe, directory, err);
    ksk_model_free(model);
    return ok;
}
