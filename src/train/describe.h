/* What a run writes down about itself and its model. */
#ifndef KSK_TRAIN_DESCRIBE_H
#define KSK_TRAIN_DESCRIBE_H

#include <jansson.h>

#include "data/digest.h"
#include "train/recipe.h"
#include "train/setup.h"

/* Writes recipe.yaml. Errors: BAD_FILE, OUT_OF_MEMORY. */
bool ksk_describe_recipe(const ksk_recipe *recipe, const char *directory, ksk_error *err);

/* The digests of the recipe's data files, {"PATH": "sha256:…"}; caller calls json_decref. NULL on
 * failure: BAD_FILE, OUT_OF_MEMORY. */
json_t *ksk_describe_data(const ksk_recipe *recipe, ksk_error *err);

/* Writes run.json: versions, machine, seed, digests. Errors: BAD_FILE, OUT_OF_MEMORY. */
bool ksk_describe_run(const ksk_recipe *recipe, const ksk_setup *setup, json_t *data,
                      const char *directory, ksk_error *err);

/* The digest of a checkpoint's model.safetensors, or of the index where its tensors are in several
 * files. Errors: BAD_FILE, OUT_OF_MEMORY. */
bool ksk_describe_weights(const char *checkpoint, ksk_digest *digest, ksk_error *err);

/* BAD_ARGUMENT when run.json names other digests than `data`. */
bool ksk_describe_same_data(json_t *data, const char *directory, ksk_error *err);

/* Writes config.json and generation_config.json of the recipe's model, whose vocabulary, end and
 * padding are the tokenizer's. Errors: BAD_ARGUMENT (model_options), BAD_FILE, OUT_OF_MEMORY. */
bool ksk_describe_model(const ksk_recipe *recipe, const ksk_tokenizer *tokenizer,
                        const char *directory, ksk_error *err);

/* Computes and writes model/kaskad.json, with the recipe's digest and the data's. */
bool ksk_describe_proof(const ksk_recipe *recipe, const char *model, ksk_error *err);

#endif
