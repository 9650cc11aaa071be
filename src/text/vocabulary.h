/* vocab.json: which piece has which id. */
#ifndef KSK_TEXT_VOCABULARY_H
#define KSK_TEXT_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_vocabulary ksk_vocabulary;

/* Reads directory/name, an object {"piece": id}. Caller frees. Errors: BAD_FILE, BAD_FORMAT (an id
 * that is no integer, negative, or 2^24 and more), OUT_OF_MEMORY. */
ksk_vocabulary *ksk_vocabulary_load(const char *directory, const char *name, ksk_error *err);
void ksk_vocabulary_free(ksk_vocabulary *vocabulary);

/* Pieces, and one more than the largest id. */
size_t ksk_vocabulary_count(const ksk_vocabulary *vocabulary);
int32_t ksk_vocabulary_limit(const ksk_vocabulary *vocabulary);

/* The id of a piece, -1 if absent; the piece of an id, NULL if there is none (of two pieces with
 * one id the later in the file, as the reference's inverted dictionary has it). */
int32_t ksk_vocabulary_id(const ksk_vocabulary *vocabulary, const char *piece, size_t length);
const char *ksk_vocabulary_piece(const ksk_vocabulary *vocabulary, int32_t id);

#endif
