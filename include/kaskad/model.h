/* Models: one published architecture is one file, which declares a module from a configuration and
 * traces its parts. */
#ifndef KASKAD_MODEL_H
#define KASKAD_MODEL_H

#include "kaskad/graph.h"
#include "kaskad/module.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The settings of a config.json. Reading a key of the wrong type or out of range gives `fallback`,
 * as a missing or null key does, but is remembered (the first one) and reported by ksk_config_ok,
 * so that reading stays plain. Text is borrowed from the settings. */
typedef struct ksk_config ksk_config;

KSK_API bool ksk_config_has(const ksk_config *config, const char *key); /* present and not null */
KSK_API int ksk_config_int(ksk_config *config, const char *key, int fallback, int min, int max);
KSK_API double ksk_config_number(ksk_config *config, const char *key, double fallback);
KSK_API bool ksk_config_bool(ksk_config *config, const char *key, bool fallback);
KSK_API const char *ksk_config_string(ksk_config *config, const char *key, const char *fallback);
KSK_API bool ksk_config_ok(const ksk_config *config, ksk_error *err);

/* Where the queries of an attention find their keys. */
typedef struct ksk_pattern {
    ksk_sym spans; /* i32 [rows, 2], see ksk_attention */
    ksk_sym index; /* i32 [entries] or none */
    ksk_sym slots; /* i32 [rows]: the slots that the rows' own keys take in the caches; none: the
                      keys are the rows of this run */
} ksk_pattern;

/* Dropout while training; a model passes what it would drop out through ksk_drop. */
typedef struct ksk_noise {
    ksk_sym key; /* i32 [2], see ksk_dropout */
    float rate;
    uint32_t stream; /* counts the places; starts at 0 */
} ksk_noise;

/* x itself when noise is NULL (outside training). */
KSK_API ksk_sym ksk_drop(ksk_noise *noise, ksk_sym x);

/* What a decoder is traced with. Over a whole target at once (training, scoring): `memory` is the
 * encoder's output and self.slots is none. A step at a time: `memory` is none, and keys and values
 * are in caches, those of the source put there by `remember`. */
typedef struct ksk_decoder_input {
    ksk_sym ids;       /* i32 [rows] */
    ksk_sym positions; /* i32 [rows], from 0 at the start token */
    ksk_sym memory;    /* [source rows, width] or none */
    ksk_pattern self, cross;
    ksk_noise *noise; /* or NULL */
} ksk_decoder_input;

enum { KSK_MAX_CACHES = 256 };

/* The parts of an encoder–decoder, traced from its module. */
typedef struct ksk_seq2seq {
    /* ids and positions i32 [source rows] → [source rows, width] */
    ksk_sym (*encode)(const ksk_module *module, ksk_sym ids, ksk_sym positions,
                      const ksk_pattern *self, ksk_noise *noise);
    /* Puts what the decoder needs of the encoder's output into caches; the caches as they are then
     * go to `caches`, their number is returned. */
    int (*remember)(const ksk_module *module, ksk_sym memory, ksk_sym slots,
                    ksk_sym caches[KSK_MAX_CACHES]);
    /* → [rows, width] */
    ksk_sym (*decode)(const ksk_module *module, const ksk_decoder_input *input);
    /* [rows, width] → logits [rows, vocabulary] */
    ksk_sym (*project)(const ksk_module *module, ksk_sym decoded);
} ksk_seq2seq;

/* Another name that a checkpoint may use for a tensor. */
typedef struct ksk_alias {
    const char *path, *other;
} ksk_alias;

typedef struct ksk_model_type {
    const char *name;     /* config.json's model_type */
    const char *citation; /* author, year, title */

    /* The module that the configuration describes, without values. Caller releases.
     * Errors: BAD_FORMAT names the setting that is missing or out of range, UNSUPPORTED one that
     * this library does not do. */
    ksk_module *(*declare)(ksk_config *config, ksk_error *err);

    const ksk_alias *aliases; /* ends with {NULL, NULL}; may be NULL */
    const ksk_seq2seq *seq2seq;
} ksk_model_type;

/* The type of that name, or NULL; and the i-th of all, or NULL at the end. */
KSK_API const ksk_model_type *ksk_model_type_find(const char *name);
KSK_API const ksk_model_type *ksk_model_type_at(int index);

#ifdef __cplusplus
}
#endif
#endif
