/* Checkpoints as models: loading, saving, describing. */
#include "api/model.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "tensor/kernels.h"

const char *ksk_version(void)
{
    return KSK_VERSION;
}

const char *ksk_isa(void)
{
    return ksk_kernels_best()->isa;
}

ksk_load_options ksk_load_defaults(void)
{
    return (ksk_load_options){.precision = KSK_PRECISION_F32};
}

/* --- loading ------------------------------------------------------------------------------------
 */

typedef struct finder {
    const ksk_safetensors *file;
    const ksk_model_type *type;
    int vocabulary;
    ksk_storage weights;
} finder;

/* The tensor under its own name, one of the type's aliases, or either without its first part, as a
 * file saved from the bare model has it. */
static const char *find_name(const finder *f, const char *path)
{
    if (ksk_safetensors_has(f->file, path))
        return path;
    for (const ksk_alias *alias = f->type->aliases; alias && alias->path; alias++)
        if (strcmp(alias->path, path) == 0 && ksk_safetensors_has(f->file, alias->other))
            return alias->other;
    const char *dot = strchr(path, '.');
    return dot && ksk_safetensors_has(f->file, dot + 1) ? dot + 1 : NULL;
}

static ksk_tensor *zeros(int64_t columns, ksk_error *err)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){1, columns}, err);
    if (tensor)
        memset(ksk_tensor_fill(tensor), 0, ksk_tensor_bytes(tensor));
    return tensor;
}

static ksk_tensor *look_up(void *context, const char *path, ksk_error *err)
{
    const finder *f = context;
    const char *name = find_name(f, path);
    if (!name && strcmp(path, "final_logits_bias") == 0)
        return zeros(f->vocabulary, err); /* older files leave it out */
    ksk_tensor *stored = ksk_safetensors_get(f->file, name ? name : path, err);
    if (!stored || f->weights == KSK_STORAGE_AS_IS)
        return stored;
    ksk_tensor *converted =
        ksk_tensor_convert(stored, f->weights == KSK_STORAGE_F32 ? KSK_F32 : KSK_BF16, err);
    ksk_tensor_release(stored);
    return converted;
}

/* config.json says what type the weights have, under the key of its transformers release. */
static void note_weights(ksk_config *config, ksk_storage weights)
{
    if (weights != KSK_STORAGE_AS_IS)
        ksk_config_set_string(config,
                              ksk_config_has(config, "torch_dtype") ? "torch_dtype" : "dtype",
                              weights == KSK_STORAGE_F32 ? "float32" : "bfloat16");
}

static bool load_module(ksk_model *model, ksk_storage weights, ksk_error *err)
{
    ksk_module *declared = model->type->declare(model->config, err);
    if (!declared)
        return false;
    ksk_safetensors *file = ksk_safetensors_open(model->directory, "model.safetensors", err);
    if (file) {
        finder f = {file, model->type,
                    ksk_config_int(model->config, "decoder_vocab_size",
                                   ksk_config_int(model->config, "vocab_size", 58101, 1, 1 << 22),
                                   1, 1 << 22),
                    weights};
        note_weights(model->config, weights);
        model->module = ksk_module_bind(declared, look_up, &f, err);
        ksk_safetensors_free(file);
    }
    ksk_module_release(declared);
    return model->module != NULL;
}

static bool load_type(ksk_model *model, ksk_error *err)
{
    const char *name = ksk_config_string(model->config, "model_type", "");
    if (!ksk_config_ok(model->config, err))
        return false;
    model->type = ksk_model_type_find(name);
    if (model->type)
        return true;
    ksk_string known = {0};
    for (int i = 0; ksk_model_type_at(i); i++)
        ksk_string_add(&known, "%s%s", i ? ", " : "", ksk_model_type_at(i)->name);
    char *const list = ksk_string_take(&known);
    ksk_fail(err, KSK_UNSUPPORTED, "%s/config.json: model_type '%s' is not one of: %s",
             model->directory, name, list ? list : "");
    ksk_free(list);
    return false;
}

bool ksk_model_file(const ksk_model *model, const char *name, bool *found, ksk_error *err)
{
    char *path = ksk_path(model->directory, name);
    if (!path)
        return ksk_fail_memory(err);
    *found = access(path, F_OK) == 0;
    ksk_free(path);
    return true;
}

static bool load_generation(ksk_model *model, ksk_error *err)
{
    static const char name[] = "generation_config.json";
    bool found = false;
    if (!ksk_model_file(model, name, &found, err))
        return false;
    return !found || (model->generation = ksk_config_load(model->directory, name, err));
}

static bool side_fits(const ksk_model *model, const char *file, int tokens, const char *setting,
                      int vocabulary, ksk_error *err)
{
    return tokens <= vocabulary ||
           ksk_fail(err, KSK_BAD_FORMAT, "%s: %s has %d tokens, config.json says %s %d",
                    model->directory, file, tokens, setting, vocabulary);
}

static bool vocabularies_fit(const ksk_model *model, ksk_error *err)
{
    return side_fits(model, "vocab.json", ksk_tokenizer_source_size(model->tokenizer), "vocab_size",
                     model->rules.source_vocabulary, err) &&
           side_fits(model, "the target's vocabulary", ksk_tokenizer_target_size(model->tokenizer),
                     "decoder_vocab_size", model->rules.vocabulary, err);
}

static bool load(ksk_model *model, const ksk_load_options *options, ksk_error *err)
{
    model->config = ksk_config_load(model->directory, "config.json", err);
    if (!model->config || !load_type(model, err))
        return false;
    if (!load_generation(model, err) || !load_module(model, options->weights, err) ||
        !ksk_model_read_rules(model, err))
        return false;
    model->tokenizer = ksk_tokenizer_load(model->directory, err);
    return model->tokenizer && vocabularies_fit(model, err);
}

ksk_model *ksk_model_load(const char *directory, const ksk_load_options *options, ksk_error *err)
{
    ksk_model *model = ksk_calloc(1, sizeof *model);
    char *copy = ksk_strdup(directory);
    if (!model || !copy) {
        ksk_free(model);
        ksk_free(copy);
        ksk_fail_memory(err);
        return NULL;
    }
    model->directory = copy;
    const ksk_load_options chosen = options ? *options : ksk_load_defaults();
    model->compile.precision = chosen.precision;
    pthread_mutex_init(&model->mutex, NULL);
    if (load(model, &chosen, err))
        return model;
    ksk_model_free(model);
    return NULL;
}

void ksk_model_free(ksk_model *model)
{
    if (!model)
        return;
    for (int i = 0; i < KSK_PURPOSES; i++)
        ksk_seq2seq_plans_free(model->plans[i]);
    ksk_module_release(model->module);
    ksk_config_free(model->config);
    ksk_config_free(model->generation);
    ksk_tokenizer_free(model->tokenizer);
    pthread_mutex_destroy(&model->mutex);
    ksk_free(model->directory);
    ksk_free(model);
}

const ksk_module *ksk_model_module(const ksk_model *model)
{
    return model->module;
}

const ksk_seq2seq_plans *ksk_model_plans(const ksk_model *model, ksk_purpose purpose,
                                         ksk_error *err)
{
    ksk_model *own = (ksk_model *)(uintptr_t)model; /* plans are a cache behind the mutex */
    pthread_mutex_lock(&own->mutex);
    if (!own->plans[purpose])
        own->plans[purpose] =
            ksk_seq2seq_plans_new(model->type, model->module, purpose, &model->compile, err);
    const ksk_seq2seq_plans *plans = own->plans[purpose];
    pthread_mutex_unlock(&own->mutex);
    return plans;
}

/* --- saving -------------------------------------------------------------------------------------
 */

static bool save_tensors(const ksk_model *model, const char *directory, ksk_error *err)
{
    const int count = ksk_module_leaves(model->module);
    char(*paths)[256] = ksk_calloc((size_t)count, sizeof *paths);
    const char **names = ksk_calloc((size_t)count, sizeof *names);
    const ksk_tensor **tensors = ksk_calloc((size_t)count, sizeof *tensors);
    char *file = ksk_path(directory, "model.safetensors");
    bool ok = (paths && names && tensors && file) || ksk_fail_memory(err);
    for (int i = 0; ok && i < count; i++) {
        ok = ksk_module_leaf_path(model->module, i, paths[i], sizeof *paths) ||
             ksk_fail(err, KSK_UNSUPPORTED, "a tensor's name is longer than 255 bytes");
        names[i] = paths[i];
        tensors[i] = ksk_module_leaf(model->module, i);
    }
    ok = ok && ksk_safetensors_write(file, count, names, tensors, err);
    ksk_free(paths);
    ksk_free(names);
    ksk_free(tensors);
    ksk_free(file);
    return ok;
}

bool ksk_model_save(const ksk_model *model, const char *directory, ksk_error *err)
{
    return ksk_directory_make(directory, err) && save_tensors(model, directory, err) &&
           ksk_config_save(model->config, directory, "config.json", err) &&
           (!model->generation ||
            ksk_config_save(model->generation, directory, "generation_config.json", err)) &&
           ksk_tokenizer_save(model->tokenizer, directory, err) &&
           ksk_model_prove(model, directory, err);
}

/* --- describing ---------------------------------------------------------------------------------
 */

char *ksk_model_describe(const ksk_model *model, ksk_error *err)
{
    ksk_string text = {0};
    int64_t bytes = 0;
    for (int i = 0; i < ksk_module_leaves(model->module); i++)
        bytes += (int64_t)ksk_tensor_bytes(ksk_module_leaf(model->module, i));
    char *settings = ksk_config_print(model->config);
    char *tree = ksk_module_print(model->module);
    if (settings && tree) {
        ksk_string_add(&text, "type: %s (%s)\n", model->type->name, model->type->citation);
        ksk_string_add(&text, "parameters: %lld in %lld bytes\n",
                       (long long)ksk_module_parameters(model->module), (long long)bytes);
        ksk_string_add(&text, "vocabulary: %d\n\n%s\n%s", ksk_tokenizer_size(model->tokenizer),
                       settings, tree);
    }
    const bool ok = settings && tree;
    ksk_free(settings);
    ksk_free(tree);
    char *whole = ksk_string_take(&text);
    if (ok && whole)
        return whole;
    ksk_free(whole);
    ksk_fail_memory(err);
    return NULL;
}

int32_t *ksk_model_encode(const ksk_model *model, ksk_side side, const char *text, int *count,
                          ksk_error *err)
{
    ksk_ids ids = {0};
    const bool ok =
        side == KSK_SIDE_SOURCE
            ? ksk_tokenizer_encode_source(model->tokenizer, text, strlen(text), &ids, NULL, err)
            : ksk_tokenizer_encode_target(model->tokenizer, text, strlen(text), &ids, NULL, err);
    if (ok && ids.count > INT_MAX)
        ksk_fail(err, KSK_BAD_ARGUMENT, "a text of %zu tokens is too long", ids.count);
    if (!ok || ids.count > INT_MAX) {
        ksk_free(ids.ids);
        return NULL;
    }
    *count = (int)ids.count - 1;
    return ids.ids;
}

const char *ksk_model_piece(const ksk_model *model, ksk_side side, int32_t id)
{
    return side == KSK_SIDE_SOURCE ? ksk_tokenizer_source_piece(model->tokenizer, id)
                                   : ksk_tokenizer_target_piece(model->tokenizer, id);
}
