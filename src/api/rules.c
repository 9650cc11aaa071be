/* What a checkpoint says about generating: generation_config.json wins over config.json. */
#include <string.h>

#include "api/model.h"
#include "scorer/blocks.h"

/* Where a setting stands; config.json when nowhere. */
static ksk_config *holder(const ksk_model *model, const char *key)
{
    return model->generation && ksk_config_has(model->generation, key) ? model->generation
                                                                       : model->config;
}

static int read_int(const ksk_model *model, const char *key, int fallback, int min, int max)
{
    return ksk_config_int(holder(model, key), key, fallback, min, max);
}

/* A token id; some settings may be a list, of which kaskad takes lists of one. */
static int read_token(const ksk_model *model, const char *key, int fallback, int vocabulary,
                      ksk_error *err)
{
    int32_t ids[2] = {fallback, 0};
    if (!ksk_config_has(holder(model, key), key))
        return fallback;
    const int count = ksk_config_ints(holder(model, key), key, ids, 2);
    if (count > 1)
        ksk_fail(err, KSK_UNSUPPORTED, "%s: %s lists several tokens; one is supported",
                 model->directory, key);
    else if (count == 1 && (ids[0] < 0 || ids[0] >= vocabulary))
        ksk_fail(err, KSK_BAD_FORMAT, "%s: %s %d is not in the vocabulary of %d", model->directory,
                 key, ids[0], vocabulary);
    return ids[0];
}

static ksk_early_stopping read_early_stopping(const ksk_model *model)
{
    static const char key[] = "early_stopping";
    ksk_config *config = holder(model, key);
    if (!ksk_config_has(config, key))
        return KSK_STOP_HEURISTIC;
    if (ksk_config_is_string(config, key))
        return strcmp(ksk_config_string(config, key, ""), "never") == 0 ? KSK_STOP_NEVER
                                                                        : KSK_STOP_HEURISTIC;
    return ksk_config_bool(config, key, false) ? KSK_STOP_AT_ONCE : KSK_STOP_HEURISTIC;
}

/* The setting at which the model was found to do best; kaskad alone reads these. */
static void read_cascade(const ksk_model *model, ksk_cascade_options *cascade)
{
    cascade->topk = read_int(model, "cascade_topk", cascade->topk, 1, 1024);
    cascade->keep = read_int(model, "cascade_keep", cascade->keep, 0, 1024);
    cascade->rounds = read_int(model, "cascade_rounds", cascade->rounds, 0, 65);
    cascade->delta = read_int(model, "cascade_delta", cascade->delta, 0, 1 << 20);
    cascade->support = read_int(model, "cascade_support", cascade->support, 0, 1024);
    cascade->length_reward = ksk_config_number(holder(model, "cascade_length_reward"),
                                               "cascade_length_reward", cascade->length_reward);
    cascade->threshold = ksk_config_number(holder(model, "cascade_threshold"), "cascade_threshold",
                                           cascade->threshold);
}

static void read_options(ksk_model *model, ksk_error *err)
{
    ksk_decode_options *options = &model->decode;
    const int vocabulary = model->rules.vocabulary;
    *options = ksk_decode_defaults();
    options->beams = read_int(model, "num_beams", 1, 1, 1024);
    options->max_length = read_int(model, "max_length", model->rules.max_target, 1, 1 << 20);
    if (options->max_length > model->rules.max_target)
        options->max_length = model->rules.max_target;
    options->min_length = read_int(model, "min_length", 0, 0, 1 << 20);
    options->no_repeat_ngram = read_int(model, "no_repeat_ngram_size", 0, 0, 1 << 20);
    options->early_stopping = read_early_stopping(model);
    options->length_penalty =
        (float)ksk_config_number(holder(model, "length_penalty"), "length_penalty", 1);
    options->repetition_penalty =
        (float)ksk_config_number(holder(model, "repetition_penalty"), "repetition_penalty", 1);
    options->renormalize =
        ksk_config_bool(holder(model, "renormalize_logits"), "renormalize_logits", false);
    read_cascade(model, &options->cascade);
    options->forced_first = read_token(model, "forced_bos_token_id", -1, vocabulary, err);
    options->forced_last = read_token(model, "forced_eos_token_id", -1, vocabulary, err);
    options->banned_count = ksk_config_single_ids(holder(model, "bad_words_ids"), "bad_words_ids",
                                                  model->banned, KSK_MAX_BANNED);
    options->banned = model->banned;
}

static void read_tokens(ksk_model *model, ksk_error *err)
{
    ksk_sequence_rules *rules = &model->rules;
    rules->source_vocabulary = ksk_config_int(model->config, "vocab_size", 58101, 1, 1 << 22);
    rules->vocabulary =
        ksk_config_int(model->config, "decoder_vocab_size", rules->source_vocabulary, 1, 1 << 22);
    rules->end_id = read_token(model, "eos_token_id", 0, rules->vocabulary, err);
    rules->pad_id = read_token(model, "pad_token_id", -1, rules->vocabulary, err);
    rules->start_id =
        read_token(model, "decoder_start_token_id", rules->pad_id, rules->vocabulary, err);
    rules->max_source = rules->max_target =
        ksk_config_int(model->config, "max_position_embeddings", 1024, 1, 1 << 20);
    ksk_blocks_read(model->module, rules);
    if (rules->start_id < 0)
        ksk_fail(err, KSK_BAD_FORMAT, "%s/config.json: decoder_start_token_id is missing",
                 model->directory);
}

bool ksk_model_read_rules(ksk_model *model, ksk_error *err)
{
    ksk_error failure = {0};
    read_tokens(model, &failure);
    read_options(model, &failure);
    if (failure.status != KSK_OK)
        return ksk_fail(err, failure.status, "%s", failure.message);
    return ksk_config_ok(model->config, err) &&
           (!model->generation || ksk_config_ok(model->generation, err));
}
