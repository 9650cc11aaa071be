/* The inside of a translator. */
#ifndef KSK_API_TRANSLATOR_H
#define KSK_API_TRANSLATOR_H

#include "api/crew.h"

struct ksk_translator {
    const ksk_model *model;
    const ksk_decoder *decoder;
    ksk_translate_options options;
    ksk_token_watcher watcher; /* tells options.on_token */
    ksk_shortlist *shortlist;  /* or NULL */
    ksk_crew *crew;
    ksk_workspace *workspace; /* for scoring, made when first needed */
    uint64_t lines;           /* translated so far */
};

#endif
