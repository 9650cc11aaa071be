/* The inside of a loaded model, for the files of this room. */
#ifndef KSK_API_MODEL_H
#define KSK_API_MODEL_H

#include <pthread.h>

#include "io/checkpoint.h"
#include "io/proof.h"
#include "kaskad/kaskad.h"
#include "kaskad/model.h"
#include "scorer/seq2seq.h"
#include "text/tokenizer.h"

enum { KSK_MAX_BANNED = 64 };

struct ksk_model {
    const ksk_model_type *type;
    char *directory;
    ksk_module *module;
    ksk_config *config;
    ksk_config *generation; /* NULL when the checkpoint has none */
    ksk_tokenizer *tokenizer;
    ksk_sequence_rules rules;
    ksk_decode_options decode; /* the model's own defaults */
    int32_t banned[KSK_MAX_BANNED];
    ksk_compile_options compile;
    pthread_mutex_t mutex; /* guards the plans, which are compiled when first needed */
    ksk_seq2seq_plans *plans[KSK_PURPOSES];
};

/* The plans for a purpose, compiled at the first call; borrowed. The model may be shared between
 * threads. */
const ksk_seq2seq_plans *ksk_model_plans(const ksk_model *model, ksk_purpose purpose,
                                         ksk_error *err);

/* Whether the checkpoint has a file of that name. False when memory runs out. */
bool ksk_model_file(const ksk_model *model, const char *name, bool *found, ksk_error *err);

/* Decoding defaults and token ids from generation_config.json, then config.json. */
bool ksk_model_read_rules(ksk_model *model, ksk_error *err);

/* Writes directory/kaskad.json: what the model gives for the texts of the proof it was loaded with,
 * or for a few texts of any language. */
bool ksk_model_prove(const ksk_model *model, const char *directory, ksk_error *err);

#endif
