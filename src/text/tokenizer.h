/* From text to ids and back, as transformers' MarianTokenizer does it (checked against 4.57.6). A
 * tokenizer is immutable and serves any number of threads.
 *
 * Invalid UTF-8. Each maximal subpart that is not UTF-8 (the longest start of a well-formed
 * sequence, or one byte) is read as one U+FFFD: what Python's errors="replace" and the WHATWG
 * decoder do.
 *
 * Lossless tokenizers ("kaskad_lossless": true in tokenizer_config.json, written by
 * ksk_tokenizer_write). Encoding and decoding any UTF-8 text gives the text back, byte for byte.
 * The vocabulary brings the most of it: no normalisation, spaces kept, bytes for characters without
 * a piece. U+2581, SentencePiece's sign for a space, is escaped (lossless.h). Other than in
 * transformers, which loads the same files:
 *   - text with U+2581 or U+FDD0 gets other ids (the escape);
 *   - a source that begins with ">>x<<" where the vocabulary has no such piece, and every such
 *     target, is plain text; transformers makes it <unk>;
 *   - decoding keeps white space at both ends; transformers cuts it off.
 * Everything else has identical ids and text: "split_special_tokens": true makes both read "</s>"
 * and its like in a text as plain text. */
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
 * Errors: BAD_FILE, BAD_FORMAT, OUT_OF_MEMORY, UNSUPPORTED (sp_model_kwargs, special tokens that
 * match whole words only); the message names the file. */
ksk_tokenizer *ksk_tokenizer_load(const char *directory, ksk_error *err);
void ksk_tokenizer_free(ksk_tokenizer *tokenizer);

/* One more than the largest id: of both sides, of one. */
int ksk_tokenizer_size(const ksk_tokenizer *tokenizer);
int ksk_tokenizer_source_size(const ksk_tokenizer *tokenizer);
int ksk_tokenizer_target_size(const ksk_tokenizer *tokenizer);

/* Tells tokenizers apart: a hash of every piece and its id, on both sides. */
uint64_t ksk_tokenizer_fingerprint(const ksk_tokenizer *tokenizer);

/* Whether an id stands for the same piece on both sides. */
bool ksk_tokenizer_is_joint(const ksk_tokenizer *tokenizer);

/* The piece of a source's or a target's id as the vocabulary has it, borrowed; NULL: none. */
const char *ksk_tokenizer_source_piece(const ksk_tokenizer *tokenizer, int32_t id);
const char *ksk_tokenizer_target_piece(const ksk_tokenizer *tokenizer, int32_t id);

/* The ids of the end, padding and unknown tokens. */
int32_t ksk_tokenizer_end_id(const ksk_tokenizer *tokenizer);
int32_t ksk_tokenizer_pad_id(const ksk_tokenizer *tokenizer);
int32_t ksk_tokenizer_unknown_id(const ksk_tokenizer *tokenizer);

/* Appends the ids of `text` [length] (UTF-8; bytes that are not are read as U+FFFD, and
 * `*replaced`, may be NULL, gets how many U+FFFD) and the end token. On failure `ids` is as before.
 * Errors: OUT_OF_MEMORY, BAD_ARGUMENT (over 1 GB). */
bool ksk_tokenizer_encode_source(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err);
bool ksk_tokenizer_encode_target(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err);

/* The text of target ids, special tokens left out, NUL-terminated; `*length` (may be NULL) gets its
 * bytes without that NUL, which differs from strlen only where the text itself has NULs. Caller
 * frees with ksk_free. An id without a piece reads as the unknown token, which is left out.
 * Errors: BAD_ARGUMENT (a negative id), OUT_OF_MEMORY. */
char *ksk_tokenizer_decode(const ksk_tokenizer *tokenizer, const int32_t *ids, size_t count,
                           ksk_error *err);
char *ksk_tokenizer_decode_bytes(const ksk_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                 size_t *length, ksk_error *err);

/* Copies the tokenizer's files to another checkpoint directory, which must exist. Errors: BAD_FILE,
 * OUT_OF_MEMORY. */
bool ksk_tokenizer_save(const ksk_tokenizer *tokenizer, const char *directory, ksk_error *err);

/* Makes the files of a tokenizer out of a trained SentencePiece model ([size] bytes of an .spm file
 * with <unk>, </s> and <pad>): both sides share it, ids are the model's. `config` entries that a
 * reader needs are written too: source_lang and target_lang (may be NULL), the most tokens, and
 * `lossless`, which asks for a model trained with ksk_sentencepiece_defaults' normaliser, spaces
 * and byte fallback. `directory` must exist. Errors: BAD_FORMAT (the model), BAD_FILE,
 * OUT_OF_MEMORY. */
typedef struct ksk_tokenizer_options {
    const char *source_language, *target_language; /* NULL: not said */
    int max_tokens;                                /* 512 */
    bool lossless;                                 /* true */
} ksk_tokenizer_options;
ksk_tokenizer_options ksk_tokenizer_defaults(void);
bool ksk_tokenizer_write(const char *directory, const void *model, size_t size,
                         const ksk_tokenizer_options *options, ksk_error *err);

#endif
