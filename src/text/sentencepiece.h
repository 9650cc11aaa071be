/* SentencePiece (Kudo and Richardson 2018) behind a C interface: the only file that knows the C++
 * library. A model is immutable and serves any number of threads. */
#ifndef KSK_TEXT_SENTENCEPIECE_H
#define KSK_TEXT_SENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_sentencepiece ksk_sentencepiece;

/* A model from the bytes of an .spm file (copied); `origin` names it in messages. Caller frees.
 * Errors: BAD_FORMAT, OUT_OF_MEMORY. */
ksk_sentencepiece *ksk_sentencepiece_load(const void *bytes, size_t size, const char *origin,
                                          ksk_error *err);
void ksk_sentencepiece_free(ksk_sentencepiece *model);

int ksk_sentencepiece_size(const ksk_sentencepiece *model);

/* The piece of an id, valid while the model is; NULL when out of range. */
const char *ksk_sentencepiece_piece(const ksk_sentencepiece *model, int id);

/* The id of a piece; the unknown piece's when there is none. */
int ksk_sentencepiece_id(const ksk_sentencepiece *model, const char *piece);

/* Gets one piece after the other, `piece` [length] valid during the call; false stops. */
typedef bool (*ksk_piece_function)(void *context, const char *piece, size_t length);

/* Splits `text` [length], well-formed UTF-8, into pieces. What the vocabulary lacks comes as its
 * own text. False when `take` gave up (`err` is untouched), or with BAD_ARGUMENT (over 1 GB),
 * OUT_OF_MEMORY. */
bool ksk_sentencepiece_encode(const ksk_sentencepiece *model, const char *text, size_t length,
                              ksk_piece_function take, void *context, ksk_error *err);

/* The text of pieces, NUL-terminated, `*length` bytes without the NUL; caller frees with ksk_free.
 * Control pieces say nothing, pieces that the model lacks stand for themselves, byte pieces that do
 * not make UTF-8 become U+FFFD. */
char *ksk_sentencepiece_decode(const ksk_sentencepiece *model, const char *const *pieces,
                               size_t count, size_t *length, ksk_error *err);

/* How a vocabulary is learned. */
typedef struct ksk_sentencepiece_options {
    bool bpe;               /* byte-pair encoding; false: unigram (Kudo 2018) */
    int vocabulary;         /* pieces in all, special and byte pieces included; 8000 */
    bool soft_limit;        /* unigram: fewer pieces where the text does not yield as many */
    double coverage;        /* share of the characters that get a piece of their own; 0.9995 */
    bool byte_fallback;     /* other characters are spelled as UTF-8 bytes; true */
    const char *normalizer; /* "identity", or SentencePiece's "nmt_nfkc", "nfkc", …; "identity" */
    bool keep_spaces;       /* runs, leading and trailing spaces are kept; true */
    bool split_digits;      /* each digit is a piece of its own; false */
    const char *const *symbols; /* [symbol_count] texts that are always one piece */
    int symbol_count;
} ksk_sentencepiece_options;
ksk_sentencepiece_options ksk_sentencepiece_defaults(void);

/* Learns a model from lines of UTF-8 (invalid bytes are read as U+FFFD) and gives the bytes of its
 * .spm file; caller frees with ksk_free. Pieces 0 to 3 are <unk>, <s>, </s>, <pad>. Every line is
 * used, on one thread: the same lines and options give the same bytes. The library's own messages
 * are silenced for the whole process. Errors: BAD_ARGUMENT (no text; a vocabulary too small or too
 * large for it), OUT_OF_MEMORY. */
void *ksk_sentencepiece_train(const char *const *lines, size_t count,
                              const ksk_sentencepiece_options *options, size_t *size,
                              ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
