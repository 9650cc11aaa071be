#include "train/setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/checkpoint.h"
#include "kaskad/memory.h"
#include "models/models.h"
#include "scorer/blocks.h"
#include "text/sentencepiece.h"
#include "train/describe.h"
#include "train/inherit.h"

/* --- vocabulary ---------------------------------------------------------------------------------
 */

/* Both sides of every pair, one after the other; NULL when memory runs out. */
static const char **list_lines(const ksk_corpus *corpus)
{
    const char **lines = ksk_calloc(2 * corpus->count, sizeof *lines);
    for (size_t i = 0; lines && i < corpus->count; i++) {
        lines[2 * i] = ksk_corpus_source(corpus, i);
        lines[2 * i + 1] = ksk_corpus_target(corpus, i);
    }
    return lines;
}

static void *learn(const ksk_recipe *recipe, const ksk_corpus *corpus, size_t *size, ksk_error *err)
{
    const char **lines = list_lines(corpus);
    if (!lines) {
        ksk_fail_memory(err);
        return NULL;
    }
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.bpe = recipe->vocabulary_kind == KSK_VOCABULARY_BPE;
    options.vocabulary = (int)recipe->vocabulary;
    options.soft_limit = !options.bpe;
    options.coverage = recipe->coverage;
    if (!recipe->lossless) {
        options.byte_fallback = options.keep_spaces = false;
        options.normalizer = "nmt_nfkc";
    }
    void *model = ksk_sentencepiece_train(lines, 2 * corpus->count, &options, size, err);
    ksk_free(lines);
    return model;
}

static bool learn_tokenizer(const ksk_recipe *recipe, const ksk_corpus *corpus,
                            const char *directory, ksk_error *err)
{
    size_t size;
    void *model = learn(recipe, corpus, &size, err);
    if (!model)
        return false;
    const ksk_tokenizer_options options = {.source_language = recipe->source_language,
                                           .target_language = recipe->target_language,
                                           .max_tokens = (int)recipe->max_positions,
                                           .lossless = recipe->lossless};
    const bool ok = ksk_tokenizer_write(directory, model, size, &options, err);
    ksk_free(model);
    return ok;
}

static bool copy_tokenizer(const char *from, const char *to, ksk_error *err)
{
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(from, err);
    const bool ok = tokenizer && ksk_tokenizer_save(tokenizer, to, err);
    ksk_tokenizer_free(tokenizer);
    return ok;
}

static bool make_tokenizer(ksk_setup *setup, const ksk_recipe *recipe, const ksk_corpus *corpus,
                           const char *model, bool fresh, ksk_error *err)
{
    const char *const given = recipe->tokenizer ? recipe->tokenizer : recipe->init_from;
    if (fresh &&
        !(given ? copy_tokenizer(given, model, err) : learn_tokenizer(recipe, corpus, model, err)))
        return false;
    setup->tokenizer = ksk_tokenizer_load(model, err);
    return setup->tokenizer && (!fresh || ksk_describe_model(recipe, setup->tokenizer, model, err));
}

/* A Markov Transformer's configuration says how long targets are for their sources. */
static bool describe_lengths(const ksk_setup *setup, const char *model, ksk_error *err)
{
    double a, b;
    ksk_config *config = ksk_config_load(model, "config.json", err);
    if (!config)
        return false;
    ksk_pairs_length_line(&setup->train, &a, &b);
    ksk_config_set_number(config, "length_a", a);
    ksk_config_set_number(config, "length_b", b);
    const bool ok = ksk_config_save(config, model, "config.json", err);
    ksk_config_free(config);
    return ok;
}

/* --- model --------------------------------------------------------------------------------------
 */

static bool make_model(ksk_setup *setup, const ksk_recipe *recipe, const char *model,
                       ksk_error *err)
{
    ksk_config *config = ksk_config_load(model, "config.json", err);
    if (!config)
        return false;
    const int size = ksk_config_int(config, "vocab_size", 0, 1, 1 << 22);
    setup->rules = (ksk_sequence_rules){
        .source_vocabulary = size,
        .vocabulary = size,
        .start_id = ksk_config_int(config, "decoder_start_token_id", 0, 0, size - 1),
        .end_id = ksk_tokenizer_end_id(setup->tokenizer),
        .pad_id = ksk_tokenizer_pad_id(setup->tokenizer),
        .max_source = (int)recipe->max_positions,
        .max_target = (int)recipe->max_positions};
    setup->type = ksk_recipe_model(recipe);
    ksk_module *declared = ksk_config_ok(config, err) ? setup->type->declare(config, err) : NULL;
    const ksk_key key = ksk_key_split(ksk_key_from_seed((uint64_t)recipe->seed), 0);
    if (declared)
        ksk_blocks_read(declared, &setup->rules);
    setup->module = declared ? ksk_module_init(declared, key, err) : NULL;
    ksk_module_release(declared);
    ksk_config_free(config);
    return setup->module != NULL;
}

/* A run that goes on has its weights in its state. */
static bool inherit(ksk_setup *setup, const ksk_recipe *recipe, const char *model, ksk_error *err)
{
    if (!recipe->init_from)
        return true;
    ksk_module *module =
        ksk_inherit(setup->module, recipe->init_from, model, &setup->inherited, err);
    if (!module)
        return false;
    ksk_module_release(setup->module);
    setup->module = module;
    return true;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static int count_threads(const ksk_recipe *recipe)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (recipe->threads)
        return (int)recipe->threads;
    return processors < 1 ? 1 : processors > 64 ? 64 : (int)processors;
}

static bool read_corpus(const char *tsv, const char *source, const char *target, int64_t limit,
                        ksk_corpus *corpus, ksk_error *err)
{
    return ksk_corpus_read(tsv ? tsv : source, tsv ? NULL : target, limit, corpus, err);
}

static bool begin(const char *stage, ksk_setup_watch watch, void *context, ksk_error *err)
{
    return watch(context, stage) ||
           ksk_fail(err, KSK_INTERRUPTED, "stopped before the first update; nothing was saved");
}

static bool make_directories(const char *directory, const char *model, ksk_error *err)
{
    char *state = ksk_path(directory, "state"), *checkpoints = ksk_path(directory, "checkpoints");
    const bool ok = ((state && checkpoints) || ksk_fail_memory(err)) &&
                    ksk_directory_make(model, err) && ksk_directory_make(state, err) &&
                    ksk_directory_make(checkpoints, err);
    ksk_free(state);
    ksk_free(checkpoints);
    return ok;
}

static bool same_recipe(const ksk_recipe *recipe, const char *directory, ksk_error *err)
{
    char *path = ksk_path(directory, "recipe.yaml");
    ksk_recipe *before = path ? ksk_recipe_load(path, err) : NULL;
    const bool ok =
        path ? before && ksk_recipe_continues(recipe, before, err) : ksk_fail_memory(err);
    ksk_recipe_free(before);
    ksk_free(path);
    return ok;
}

/* Everything but the directory's own descriptions; `train` is read here and needed no longer. */
static bool make_parts(ksk_setup *setup, const ksk_recipe *r, const char *model, bool fresh,
                       ksk_setup_watch watch, void *context, ksk_error *err)
{
    ksk_corpus train = {0};
    const bool ok =
        begin("reading", watch, context, err) &&
        read_corpus(r->dev, r->dev_source, r->dev_target, r->max_dev_pairs, &setup->dev_text,
                    err) &&
        read_corpus(r->train, r->train_source, r->train_target, r->max_pairs, &train, err) &&
        begin("vocabulary", watch, context, err) &&
        make_tokenizer(setup, r, &train, model, fresh, err) &&
        begin("encoding", watch, context, err) &&
        ksk_pairs_encode(&setup->dev_text, setup->tokenizer, r->max_length, &setup->dev, err) &&
        ksk_pairs_encode(&train, setup->tokenizer, r->max_length, &setup->train, err) &&
        (!fresh || ksk_recipe_model(r) != &ksk_markov_transformer ||
         describe_lengths(setup, model, err)) &&
        make_model(setup, r, model, err) && (!fresh || inherit(setup, r, model, err));
    ksk_corpus_clear(&train);
    return ok;
}

static bool describe(const ksk_setup *setup, const ksk_recipe *recipe, const char *directory,
                     bool fresh, ksk_error *err)
{
    json_t *data = ksk_describe_data(recipe, err);
    const bool ok = data && (fresh ? ksk_describe_run(recipe, setup, data, directory, err)
                                   : ksk_describe_same_data(data, directory, err));
    json_decref(data);
    return ok;
}

bool ksk_setup_make(ksk_setup *setup, const ksk_recipe *recipe, const char *directory, bool fresh,
                    ksk_setup_watch watch, void *context, ksk_error *err)
{
    *setup = (ksk_setup){.threads = count_threads(recipe)};
    char *model = ksk_path(directory, "model");
    const bool ok =
        (model || ksk_fail_memory(err)) &&
        (fresh ? make_directories(directory, model, err) : same_recipe(recipe, directory, err)) &&
        ksk_describe_recipe(recipe, directory, err) &&
        make_parts(setup, recipe, model, fresh, watch, context, err) &&
        describe(setup, recipe, directory, fresh, err);
    ksk_free(model);
    return ok;
}

void ksk_setup_clear(ksk_setup *setup)
{
    ksk_corpus_clear(&setup->dev_text);
    ksk_pairs_clear(&setup->train);
    ksk_pairs_clear(&setup->dev);
    ksk_tokenizer_free(setup->tokenizer);
    ksk_module_release(setup->module);
    json_decref(setup->inherited);
    *setup = (ksk_setup){0};
}
