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

/* How a quantised checkpoint was packed; precision F32: not at all. */
typedef struct ksk_quantised {
    ksk_precision precision;
    int panel, steps;
} ksk_quantised;

struct ksk_model {
    const ksk_model_type *type;
    char *directory;
    ksk_module *module;   /* as it is stored */
    ksk_module *packed;   /* as it computes; NULL in f32 */
    ksk_quantised stored; /* whether, and how, the checkpoint is quantised */
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

/* The same, compiled anew for the checkpoint as it is stored, in the most precision it has; caller
 * frees. */
ksk_seq2seq_plans *ksk_model_stored_plans(const ksk_model *model, ksk_error *err);

/* Whether the checkpoint has a file of that name. False when memory runs out. */
bool ksk_model_file(const ksk_model *model, const char *name, bool *found, ksk_error *err);

/* The tree of model.safetensors; fills model->stored. */
ksk_module *ksk_weights_load(ksk_model *model, const ksk_module *declared, ksk_storage weights,
                             ksk_error *err);

/* Writes directory/model.safetensors. */
bool ksk_weights_save(const ksk_module *module, const char *directory, ksk_error *err);

/* Decoding defaults and token ids from generation_config.json, then config.json. */
bool ksk_model_read_rules(ksk_model *model, ksk_error *err);

/* Writes directory/kaskad.json: what the checkpoint as it is stored, or the model as it computes,
 * gives for the texts of the proof it was loaded with, or for a few texts of any language. */
bool ksk_model_prove(const ksk_model *model, const char *directory, ksk_error *err);
bool ksk_model_prove_packed(const ksk_model *model, const char *directory, ksk_error *err);

#endif
