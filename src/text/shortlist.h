/* Vocabulary selection: for a source sentence the few target tokens that its translation may need,
 * so that the output layer has a few hundred columns instead of thousands. A list is the union of
 * the tokens that every sentence gets and of each source token's candidates, as a dictionary
 * learned from the training data has them (Jean et al. 2015, "On Using Very Large Target Vocabulary
 * for Neural Machine Translation"; L'Hostis et al. 2016, "Vocabulary Selection Strategies for
 * Neural Machine Translation").
 *
 *     ksk_shortlist *shortlist = ksk_shortlist_load(path, &scope, &err);
 *     ksk_selection selection = {0};
 *     if (ksk_shortlist_select(shortlist, sources, count, &selection, &err))
 *         use(selection.ids, selection.count);
 *
 * The file, little-endian (S, T: the sizes of the vocabularies):
 *
 *     char[8]       "ksklist\n"
 *     uint32        version, 1
 *     uint32        S
 *     uint32        T
 *     uint32        A, tokens that every list has
 *     uint64        fingerprint of the tokenizer
 *     uint32[S + 1] offsets: where each source token's candidates begin, and where the last's end
 *     id[A]         the tokens that every list has, ascending
 *     id[]          the candidates, each source token's ascending
 *
 * An id is a uint16 while T <= 65,536, else a uint32. */
#ifndef KSK_TEXT_SHORTLIST_H
#define KSK_TEXT_SHORTLIST_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

/* Immutable; serves any number of threads. */
typedef struct ksk_shortlist ksk_shortlist;

/* What a shortlist is for. */
typedef struct ksk_shortlist_scope {
    int source_size, target_size; /* ids that may come in, ids that may go out */
    uint64_t tokenizer;           /* ksk_tokenizer_fingerprint */
} ksk_shortlist_scope;

/* What a shortlist is made of; borrowed. */
typedef struct ksk_shortlist_lists {
    ksk_shortlist_scope scope;
    const int32_t *always; /* [always_count], ascending, none twice */
    size_t always_count;
    const uint32_t *offsets;   /* [source_size + 1], never falling, the first 0 */
    const int32_t *candidates; /* [offsets[source_size]]; each source token's as `always` */
} ksk_shortlist_lists;

/* Caller frees. Errors: BAD_ARGUMENT (not as said above), OUT_OF_MEMORY. */
ksk_shortlist *ksk_shortlist_new(const ksk_shortlist_lists *lists, ksk_error *err);

/* Reads a file, which need not be trusted. Caller frees. Errors: BAD_FILE, BAD_FORMAT (also when it
 * is for another model than `scope` says), UNSUPPORTED (another version), OUT_OF_MEMORY. */
ksk_shortlist *ksk_shortlist_load(const char *path, const ksk_shortlist_scope *scope,
                                  ksk_error *err);
void ksk_shortlist_free(ksk_shortlist *shortlist);

/* Writes the file, whole or not at all. Errors: BAD_FILE, OUT_OF_MEMORY. */
bool ksk_shortlist_save(const ksk_shortlist *shortlist, const char *path, ksk_error *err);

/* Bytes of its file. */
size_t ksk_shortlist_size(const ksk_shortlist *shortlist);

/* A sentence's list, and room to make the next in. Zero it first; one thread at a time. */
typedef struct ksk_selection {
    int32_t *ids; /* [count] target ids, ascending, none twice */
    size_t count;
    size_t capacity;
    uint64_t *marks; /* [(target_size + 63) / 64]: a bit for each target id */
    size_t words;
} ksk_selection;
void ksk_selection_clear(ksk_selection *selection);

/* Selects for the source ids [count] of a sentence, the end token included; those of several
 * sentences one behind the other get the union of their lists. Allocates only when `selection` is
 * new to so large a vocabulary. Errors: BAD_ARGUMENT (an id outside the source vocabulary),
 * OUT_OF_MEMORY. */
bool ksk_shortlist_select(const ksk_shortlist *shortlist, const int32_t *sources, size_t count,
                          ksk_selection *selection, ksk_error *err);

/* Puts one more id, of the target vocabulary, into a list that was selected: a token that decoding
 * is forced to. */
void ksk_selection_include(ksk_selection *selection, int32_t id);

/* Whether the list has an id of the target vocabulary. */
bool ksk_selection_has(const ksk_selection *selection, int32_t id);

#endif
