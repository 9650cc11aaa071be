/* A lexicon of tokens: what translates what, learned from sentence pairs by IBM Model 1 (Brown et
 * al. 1993, "The Mathematics of Statistical Machine Translation"), without a dictionary.
 *
 * The end token, which every source has once, is the model's empty word: target tokens that no
 * other source token explains are its translations. The targets' end is not learned. */
#ifndef KSK_DATA_LEXICON_H
#define KSK_DATA_LEXICON_H

#include "data/corpus.h"

typedef struct ksk_lexicon_entry {
    int32_t target;
    float probability; /* of the target token, given the source token */
} ksk_lexicon_entry;

/* Zero it first. */
typedef struct ksk_lexicon {
    size_t *offsets;            /* [source_size + 1]: where each source token's entries begin */
    ksk_lexicon_entry *entries; /* each source token's, by target ascending */
    size_t capacity;
    int source_size;
} ksk_lexicon;

typedef struct ksk_lexicon_options {
    int source_size, target_size; /* of the vocabularies: no id of the pairs is larger */
    int iterations;               /* of EM, at least 1 */
    float least;                  /* entries with a smaller probability are dropped each time */
    bool (*watch)(void *context, int iterations); /* after each; false stops. May be NULL. */
    void *context;
} ksk_lexicon_options;

/* Learns from all pairs, each of which ends in the end token on both sides. The same pairs give the
 * same bits. Errors: OUT_OF_MEMORY, INTERRUPTED (`watch` said so). Clear it also after a failure.
 */
bool ksk_lexicon_learn(const ksk_pairs *pairs, const ksk_lexicon_options *options,
                       ksk_lexicon *lexicon, ksk_error *err);
void ksk_lexicon_clear(ksk_lexicon *lexicon);

#endif
