/* What a cascade did for one sentence, round by round, kept for a page. */
#ifndef KSK_CLI_LATTICE_RECORD_H
#define KSK_CLI_LATTICE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "kaskad/decode.h"

/* An n-gram that stands at a position. */
typedef struct ksk_candidate {
    int32_t *tokens; /* [the round's length]; -1 is padding */
    float value;     /* round 0: log-probability, NAN for what is there in any case; else
                        the max-marginal */
    bool kept;       /* a state of the next round */
    bool chosen;     /* part of the output */
} ksk_candidate;

typedef struct ksk_column {
    ksk_candidate *candidates; /* best first */
    int count;
    int64_t more; /* candidates that are not listed */
    int64_t kept;
} ksk_column;

typedef struct ksk_round_record {
    int length; /* tokens of a candidate: 1 in round 0, then 2, 3 … */
    int positions;
    ksk_column *columns; /* [positions] */
    int32_t *tokens;     /* of all candidates */
    int64_t rows;        /* contexts that the model scored */
    float best;          /* the best path's score; rounds after 0 */
    float *of_length;    /* [hi + 1]: of the best path of each length, end included; likewise */
} ksk_round_record;

enum { KSK_MOST_ROUNDS = 66 };

/* Zero all but `pruned` and `end`. */
typedef struct ksk_lattice_record {
    int pruned; /* how many that were pruned are listed at a position */
    int32_t end;
    int topk, lo, hi, length;
    ksk_round_record rounds[KSK_MOST_ROUNDS];
    int count;
    int32_t *output; /* [length]: the tokens chosen, with their padding */
    bool failed;     /* memory ran out */
} ksk_lattice_record;

/* A cascade's watcher, with the record as its context. */
void ksk_lattice_see(void *record, const ksk_cascade_view *view);

int64_t ksk_round_candidates(const ksk_round_record *round); /* of all positions, listed or not */
int64_t ksk_round_kept(const ksk_round_record *round);

void ksk_lattice_record_clear(ksk_lattice_record *record);

#endif
