/* From text to ids and back. A tokenizer is immutable and serves any number of threads. */
#ifndef KSK_TEXT_TOKENIZER_H
#define KSK_TEXT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_tokenizer ksk_tokenizer;

/* A growing list of ids; zero it first, free ids with ksk_free. */
typedef struct ksk_ids {
    int32_t *ids;
    size_t count, capacity;
} ksk_ids;

/* Loads Marian's files from a checkpoint directory: source.spm, target.spm, vocab.json (and
 * target_vocab.json with separate vocabularies), tokenizer_config.json. Caller frees.
 * Errors: BAD_FILE, BAD_FORMAT, OUT_OF_MEMORY; the message names the file. */
ksk_tokenizer *ksk_tokenizer_load(const char *directory, ksk_error *err);
void ksk_tokenizer_free(ksk_tokenizer *tokenizer);

int ksk_tokenizer_size(const ksk_tokenizer *tokenizer);

/* Appends the ids of `text` [length] (UTF-8; bytes that are not are read as U+FFFD, and
 * `*replaced`, may be NULL, gets how many) and the end token. */
bool ksk_tokenizer_encode_source(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err);
bool ksk_tokenizer_encode_target(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err);

/* The text of target ids, special tokens left out. Caller frees with ksk_free. Ids out of range are
 * BAD_ARGUMENT. */
char *ksk_tokenizer_decode(const ksk_tokenizer *tokenizer, const int32_t *ids, size_t count,
                           ksk_error *err);

/* Copies the tokenizer's files to another checkpoint directory. */
bool ksk_tokenizer_save(const ksk_tokenizer *tokenizer, const char *directory, ksk_error *err);

#endif
