/* Sentence pairs: as text, and as token ids. */
#ifndef KSK_DATA_CORPUS_H
#define KSK_DATA_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "text/tokenizer.h"

/* --- text ----------------------------------------------------------------------------------------
 */

/* Lines of both sides; zero it first. */
typedef struct ksk_corpus {
    char *text; /* every line with a NUL behind it */
    size_t size, capacity;
    size_t (*lines)[2]; /* [count]: where source and target begin in `text` */
    size_t count, line_capacity;
} ksk_corpus;

/* Reads pairs from one file of SOURCE<TAB>TARGET lines, or from two files when `target` is not
 * NULL; at most `limit` of them (0: all). Errors name file and line: BAD_FORMAT (a tab too few or
 * too many, an empty side, what ksk_line_reader_next refuses; files of different length; no pair at
 * all), BAD_FILE, OUT_OF_MEMORY. Clear it also after a failure. */
bool ksk_corpus_read(const char *source, const char *target, int64_t limit, ksk_corpus *corpus,
                     ksk_error *err);

/* The same from a file of sources alone, one a line; the targets are "". */
bool ksk_corpus_read_sources(const char *path, int64_t limit, ksk_corpus *corpus, ksk_error *err);
void ksk_corpus_clear(ksk_corpus *corpus);

const char *ksk_corpus_source(const ksk_corpus *corpus, size_t pair);
const char *ksk_corpus_target(const ksk_corpus *corpus, size_t pair);

/* --- ids -----------------------------------------------------------------------------------------
 */

typedef struct ksk_pair {
    size_t source, target; /* where they begin in `ids` */
    int source_length, target_length;
    size_t line; /* in the corpus */
} ksk_pair;

/* Zero it first. */
typedef struct ksk_pairs {
    int32_t *ids;
    size_t id_count, id_capacity;
    ksk_pair *pairs;
    size_t count, capacity;
    size_t left_out; /* pairs with a side that is too long */
    int64_t source_tokens, target_tokens;
} ksk_pairs;

/* Encodes every pair whose sides have at most `longest` tokens. Errors: BAD_FORMAT when none has,
 * those of the tokenizer. Clear it also after a failure. */
bool ksk_pairs_encode(const ksk_corpus *corpus, const ksk_tokenizer *tokenizer, int64_t longest,
                      ksk_pairs *pairs, ksk_error *err);
void ksk_pairs_clear(ksk_pairs *pairs);

/* The length line: ordinary least squares of the targets' lengths on the sources', both without the
 * end token. Sources of one length alone give the slope 1. */
void ksk_pairs_length_line(const ksk_pairs *pairs, double *a, double *b);

#endif
