/* Sentences packed one after another into rows: ids, positions and spans of a batch without
 * padding. */
#ifndef KSK_SCORER_RAGGED_H
#define KSK_SCORER_RAGGED_H

#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_ragged {
    int64_t rows;
    int32_t *ids;           /* [rows] */
    int32_t *positions;     /* [rows], from 0 in each sentence */
    int32_t (*spans)[2];    /* [rows]: the rows of the sentence, or those up to this one */
    int32_t (*sentence)[2]; /* [sentences]: first row, rows */
} ksk_ragged;

/* Packs the sentences; `first` >= 0 is put before each (a start token) and its last token left out.
 * With `causal` a row's span ends at itself. Checks every id against `vocabulary` and every length
 * against `most`: BAD_ARGUMENT. `what` ("source") names the sentences in messages. Free the content
 * with ksk_ragged_clear, also after a failure. */
bool ksk_ragged_fill(ksk_ragged *ragged, int sentences, const int32_t *const *ids,
                     const int *lengths, int32_t first, bool causal, int vocabulary, int most,
                     const char *what, ksk_error *err);
void ksk_ragged_clear(ksk_ragged *ragged);

#endif
