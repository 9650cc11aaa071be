/* Scorers that share the work: sources are cut into shares of alike lengths, and the shares are
 * decoded side by side, one thread each, when there are enough of them; a lone share gets all
 * threads. Of a share, as many sources run at the same time as a batch holds; when some have ended,
 * others join. Results do not depend on how the work was shared. */
#ifndef KSK_API_CREW_H
#define KSK_API_CREW_H

#include "api/model.h"
#include "text/shortlist.h"

/* A source to decode, and what came of it. */
typedef struct ksk_unit {
    int32_t *ids; /* the owner's */
    int count;
    uint64_t number;  /* in the whole job */
    ksk_nbest result; /* cleared by the owner */
    double seconds;   /* of the share that it was decoded in */
} ksk_unit;

typedef struct ksk_crew ksk_crew;

/* Of `threads` threads, decoding as `decoder` does, each batch with the tokens alone that the
 * shortlist (NULL: none) selects for it; model and shortlist must outlive it. Caller frees. Errors:
 * those of ksk_model_plans, OUT_OF_MEMORY. */
ksk_crew *ksk_crew_new(const ksk_model *model, const ksk_decoder *decoder,
                       const ksk_shortlist *shortlist, int threads, ksk_error *err);
void ksk_crew_free(ksk_crew *crew);

/* Whether the decoder takes these options: what decoding nothing says. */
bool ksk_crew_check(ksk_crew *crew, const ksk_translate_options *options, ksk_error *err);

/* Decodes all units. On failure some may have results. Errors: those of the decoder, of the first
 * share that failed. */
bool ksk_crew_decode(ksk_crew *crew, const ksk_translate_options *options, size_t count,
                     ksk_unit *const *units, ksk_error *err);

#endif
