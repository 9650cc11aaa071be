/* A batch's own small vocabulary: the tokens that a shortlist selects for its sources and those
 * that the options name. The scorer, the decoder and its options then speak of places in that list.
 */
#ifndef KSK_API_NARROW_H
#define KSK_API_NARROW_H

#include "scorer/scorer.h"
#include "text/shortlist.h"

/* Zero it first; one thread at a time. */
typedef struct ksk_narrow {
    ksk_selection selection;
    ksk_decode_options options; /* what the decoder is to be given */
    /* private */
    const ksk_token_watcher *watcher; /* of the whole vocabulary, */
    ksk_token_watcher narrow_watcher; /* and what stands before it */
    int32_t *sources, *prefix, *banned;
    size_t source_room, prefix_room, banned_room;
} ksk_narrow;

/* Narrows the scorer to what these sources may need. Errors: OUT_OF_MEMORY, those of the scorer. */
bool ksk_narrow_to(ksk_narrow *narrow, const ksk_shortlist *shortlist, ksk_scorer *scorer,
                   const ksk_sequence_rules *rules, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, ksk_error *err);

/* The tokens of results as the model knows them. */
void ksk_narrow_widen(const ksk_narrow *narrow, int sentences, ksk_nbest *results);

void ksk_narrow_clear(ksk_narrow *narrow);

#endif
