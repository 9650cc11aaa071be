/* Checkpoints as models: loading, saving, describing. */
#include "api/model.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "api/need.h"
#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "kaskad/sink.h"
#include "tensor/packing.h"

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
    return (ksk_load_options){.precision = KSK_PRECISION_AUTO};
}

const char *ksk_precision_name(ksk_precision precision)
{
    static const char *const names[] = {[KSK_PRECISION_F32] = "f32",
                                        [KSK_PRECISION_BF16] = "bf16",
                                        [KSK_PRECISION_INT8] = "int8",
                                        [KSK_PRECISION_AUTO] = "auto",
                                        [KSK_PRECISION_FULL] = "full"};
    return names[precision];
}

/* --- loading ------------------------------------------------------------------------------------
 */

static bool load_module(ksk_model *model, ksk_storage weights, ksk_error *err)
{
    ksk_module *declared = model->type->declare(model->config, err);
    if (!declared)
        return false;
    model->module = ksk_weights_load(model, declared, weights, err);
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

/* int8 is the fastest that there are kernels for, with translations as good (docs/translate.md); of
 * Markov Transformers, whose rounds compare many contexts, that was not measured. */
static ksk_precision fastest(const ksk_model *model)
{
    return model->rules.block || strcmp(ksk_isa(), "scalar") == 0 ? KSK_PRECISION_F32
                                                                  : KSK_PRECISION_INT8;
}

static bool choose_precision(ksk_model *model, ksk_precision wanted, ksk_error *err)
{
    const ksk_precision stored = model->stored.precision;
    const bool quantised = stored != KSK_PRECISION_F32;
    ksk_precision *chosen = &model->compile.precision;
    *chosen = wanted;
    if (wanted == KSK_PRECISION_FULL || (wanted == KSK_PRECISION_AUTO && quantised))
        *chosen = stored;
    else if (wanted == KSK_PRECISION_AUTO)
        *chosen = fastest(model);
    return *chosen >= stored ||
           ksk_fail(err, KSK_UNSUPPORTED,
                    "%s is quantised to %s and cannot compute in %s; load the checkpoint that it "
                    "was made from",
                    model->directory, ksk_precision_name(stored), ksk_precision_name(*chosen));
}

/* Small matrices are packed in less time than threads start. */
static int packing_threads(const ksk_module *module)
{
    enum { least_parameters = 1000000, most_threads = 16 };
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (ksk_module_parameters(module) < least_parameters || processors < 1)
        return 1;
    return processors < most_threads ? (int)processors : most_threads;
}

static bool pack(ksk_model *model, ksk_error *err)
{
    if (model->compile.precision == KSK_PRECISION_F32)
        return true;
    const int threads = model->stored.precision == KSK_PRECISION_F32 ||
                                model->stored.panel != ksk_kernels_best()->panel
                            ? packing_threads(model->module)
                            : 1;
    model->packed =
        ksk_module_pack(model->module, ksk_kernels_best(), model->compile.precision, threads, err);
    return model->packed != NULL;
}

static bool load(ksk_model *model, const ksk_load_options *options, ksk_error *err)
{
    model->config = ksk_config_load(model->directory, "config.json", err);
    if (!model->config || !load_type(model, err))
        return false;
    if (!load_generation(model, err) || !load_module(model, options->weights, err) ||
        !ksk_model_read_rules(model, err) || !choose_precision(model, options->precision, err) ||
        !ksk_model_fits(model, options->memory_limit, err) || !pack(model, err))
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
    pthread_mutex_init(&model->mutex, NULL);
    if (load(model, &chosen, err)) {
        ksk_say(KSK_INFO, "%s: %s, %lld parameters, kernels for %s", directory, model->type->name,
                (long long)ksk_module_parameters(model->module), ksk_isa());
        return model;
    }
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
    ksk_module_release(model->packed);
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
            ksk_seq2seq_plans_new(model->type, model->packed ? model->packed : model->module,
                                  purpose, &model->compile, err);
    const ksk_seq2seq_plans *plans = own->plans[purpose];
    pthread_mutex_unlock(&own->mutex);
    return plans;
}

ksk_seq2seq_plans *ksk_model_stored_plans(const ksk_model *model, ksk_error *err)
{
    const ksk_compile_options options = {.precision = model->stored.precision};
    return ksk_seq2seq_plans_new(model->type, model->module, KSK_TO_GENERATE, &options, err);
}

ksk_precision ksk_model_precision(const ksk_model *model)
{
    return model->compile.precision;
}

/* --- saving -------------------------------------------------------------------------------------
 */

/* All but the proof. */
static bool save_files(const ksk_model *model, const ksk_module *module, const char *directory,
                       ksk_error *err)
{
    return ksk_directory_make(directory, err) && ksk_weights_save(module, directory, err) &&
           ksk_config_save(model->config, directory, "config.json", err) &&
           (!model->generation ||
            ksk_config_save(model->generation, directory, "generation_config.json", err)) &&
           ksk_tokenizer_save(model->tokenizer, directory, err);
}

bool ksk_model_save(const ksk_model *model, const char *directory, ksk_error *err)
{
    return save_files(model, model->module, directory, err) &&
           ksk_model_prove(model, directory, err);
}

bool ksk_model_quantize(const ksk_model *model, const char *directory, ksk_error *err)
{
    if (!model->packed)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "a model that computes in f32 has nothing to quantise; load it in int8 or "
                        "bf16");
    return save_files(model, model->packed, directory, err) &&
           ksk_model_prove_packed(model, directory, err);
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
        if (model->stored.precision != KSK_PRECISION_F32)
            ksk_string_add(&text, "quantised: %s, in panels of %d rows, %s here\n",
                           ksk_precision_name(model->stored.precision), model->stored.panel,
                           model->stored.panel == ksk_kernels_best()->panel ? "used where they lie"
                                                                            : "packed anew");
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
