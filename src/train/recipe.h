/* The inside of a recipe: its settings as the training loop reads them. */
#ifndef KSK_TRAIN_RECIPE_H
#define KSK_TRAIN_RECIPE_H

#include <jansson.h>

#include "kaskad/train.h"
#include "train/optimiser.h"
#include "train/schedule.h"

enum { KSK_VOCABULARY_UNIGRAM, KSK_VOCABULARY_BPE };
enum { KSK_BY_BLEU, KSK_BY_LOSS };
enum { KSK_AVERAGE_LAST, KSK_AVERAGE_BEST };
enum { KSK_WEIGHTS_F32, KSK_WEIGHTS_BF16 };

/* Texts are NULL when not set. What each means is said in the table of keys. */
struct ksk_recipe {
    char *train, *train_source, *train_target;
    char *dev, *dev_source, *dev_target;
    int64_t max_pairs, max_dev_pairs, max_length;
    char *source_language, *target_language;

    char *init_from, *tokenizer;
    int64_t vocabulary;
    int vocabulary_kind;
    bool lossless;
    double coverage;

    char *model, *model_options;
    int64_t d_model, encoder_layers, decoder_layers, heads, ffn, max_positions, markov_order;
    char *activation;
    double dropout, label_smoothing;
    char *loss; /* NAME or NAME=ARGUMENT */

    char *optimiser;
    double beta1, beta2, epsilon, weight_decay, clip_norm;
    int schedule; /* ksk_schedule_kind */
    double learning_rate, min_learning_rate;
    int64_t warmup;

    int64_t seed, batch_tokens, accumulate;
    int64_t max_updates, max_epochs;
    double max_minutes;
    int64_t eval_every, patience, save_every, log_every;
    int64_t dev_beam;
    char *bleu_tokenizer;
    int best_by;
    int64_t average;
    int average_of;
    int weights;
    int64_t beam, threads;
};

/* What single keys cannot say: settings that are needed or exclude each other, and names that
 * stand for nothing. BAD_ARGUMENT. */
bool ksk_recipe_check(const ksk_recipe *recipe, ksk_error *err);

/* What the recipe's names stand for: never NULL in one that was checked. */
const ksk_model_type *ksk_recipe_model(const ksk_recipe *recipe);
const ksk_loss *ksk_recipe_loss(const ksk_recipe *recipe);
const char *ksk_recipe_loss_argument(const ksk_recipe *recipe); /* borrowed; "": none */

/* The model_options as JSON, {"NAME": VALUE}; caller calls json_decref. BAD_ARGUMENT,
 * OUT_OF_MEMORY. */
json_t *ksk_recipe_model_options(const ksk_recipe *recipe, ksk_error *err);

/* Whether a run of recipe `before` may go on with `recipe`: all that shapes the weights is equal.
 * BAD_ARGUMENT names the first key that differs. */
bool ksk_recipe_continues(const ksk_recipe *recipe, const ksk_recipe *before, ksk_error *err);

/* A recipe of nothing but defaults; caller frees. */
ksk_recipe *ksk_recipe_new(ksk_error *err);

/* Sets a key; a relative path in `value` stands below `base` (NULL: the working directory).
 * BAD_ARGUMENT. */
bool ksk_recipe_put(ksk_recipe *recipe, const char *key, const char *value, const char *base,
                    ksk_error *err);

#endif
