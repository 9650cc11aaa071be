/* A checkpoint directory in Hugging Face's layout. */
#ifndef KSK_IO_CHECKPOINT_H
#define KSK_IO_CHECKPOINT_H

#include "kaskad/model.h"

/* --- safetensors ---------------------------------------------------------------------------------
 */

typedef struct ksk_safetensors ksk_safetensors;

/* Maps a file and checks every length in its header before anything is used (rules: N at most 100
 * MB, known types, shapes that multiply without overflow, offsets sorted without holes, overlaps or
 * a tail). `name` is opened below `directory`; where it is missing, an index (NAME.index.json) that
 * spreads tensors over shards is followed. Caller frees; tensors taken from it stay valid after
 * that. Files are opened for reading only, and must not be cut short while they are mapped.
 * Errors: BAD_FILE, BAD_FORMAT (names the file and the tensor), OUT_OF_MEMORY. */
ksk_safetensors *ksk_safetensors_open(const char *directory, const char *name, ksk_error *err);
void ksk_safetensors_free(ksk_safetensors *file);

/* Names are sorted. Tensors of types that the library lacks (F64, I64, BOOL, …) or of more than
 * KSK_MAX_RANK dimensions are listed too. */
int ksk_safetensors_count(const ksk_safetensors *file);
const char *ksk_safetensors_name(const ksk_safetensors *file, int index);
bool ksk_safetensors_has(const ksk_safetensors *file, const char *name);

/* The tensor, over the mapped memory where its alignment allows; caller releases. NULL with
 * BAD_FORMAT when there is none, UNSUPPORTED when its type or rank is not one of the library's. */
ksk_tensor *ksk_safetensors_get(const ksk_safetensors *file, const char *name, ksk_error *err);

/* What the file's metadata say under a key that begins with "kaskad."; NULL if nothing. */
const char *ksk_safetensors_note(const ksk_safetensors *file, const char *key);

/* Writes a file of `count` tensors with the metadata {"format":"pt"}; whole or not at all. The data
 * is sorted by element size, largest first, then by name, and begins at a multiple of 64, so that
 * every tensor is aligned. With a note (key and value, plain ASCII; the key begins with "kaskad."),
 * that is in the metadata instead, and tensors whose sizes are multiples of 64 bytes come first, so
 * that each of those begins at such a multiple. Errors: BAD_ARGUMENT (a name used twice, not UTF-8
 * or reserved), BAD_FILE, OUT_OF_MEMORY. */
bool ksk_safetensors_write(const char *path, int count, const char *const *names,
                           const ksk_tensor *const *tensors, ksk_error *err);
bool ksk_safetensors_write_noted(const char *path, const char *key, const char *value, int count,
                                 const char *const *names, const ksk_tensor *const *tensors,
                                 ksk_error *err);

/* --- JSON settings -------------------------------------------------------------------------------
 */

/* A JSON object of settings: config.json and its like. What models read of it is in
 * kaskad/model.h. */

/* Reads directory/name. Caller frees. Errors: BAD_FILE, BAD_FORMAT with line and column. */
ksk_config *ksk_config_load(const char *directory, const char *name, ksk_error *err);
/* An empty object; `origin` names it in messages. */
ksk_config *ksk_config_new(const char *origin, ksk_error *err);
void ksk_config_free(ksk_config *config);

/* An integer that may also stand as a list of one or more: fills at most `room`, gives how many. */
int ksk_config_ints(ksk_config *config, const char *key, int32_t *values, int room);
/* A list of lists of one integer each, as transformers writes bad_words_ids; likewise. */
int ksk_config_single_ids(ksk_config *config, const char *key, int32_t *values, int room);
bool ksk_config_is_string(const ksk_config *config, const char *key);

void ksk_config_set_int(ksk_config *config, const char *key, int64_t value);
void ksk_config_set_number(ksk_config *config, const char *key, double value);
void ksk_config_set_bool(ksk_config *config, const char *key, bool value);
void ksk_config_set_string(ksk_config *config, const char *key, const char *value);
bool ksk_config_save(const ksk_config *config, const char *directory, const char *name,
                     ksk_error *err);
/* The settings, one "key: value" a line. Caller frees with ksk_free. */
char *ksk_config_print(const ksk_config *config);

#endif
