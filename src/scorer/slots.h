/* Cache slots of hypotheses that fork, drop and reorder. A hypothesis is a chain of slots, one per
 * token; chains share the slots of the tokens that they have in common, so nothing is copied when a
 * beam is reordered. */
#ifndef KSK_SCORER_SLOTS_H
#define KSK_SCORER_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

/* Zero it first. The chain of row i is index[spans[i][0]] … for spans[i][1] entries. */
typedef struct ksk_slots {
    int32_t *index;
    int32_t (*spans)[2];
    int32_t *slots; /* [rows]: the newest slot of each row */
    int rows;
    int64_t entries;
    /* private: the step before, the free slots, how many there are in all */
    int32_t *old_index;
    int32_t (*old_spans)[2];
    int32_t *free_slots;
    unsigned char *live;
    int64_t free_count, total;
    size_t index_room, old_index_room, span_room, old_span_room, slot_room, free_room, live_room;
} ksk_slots;

/* Drops all rows; every slot is free again. */
void ksk_slots_reset(ksk_slots *slots);

/* One more token: row i continues the chain of row parents[i], or begins an empty one if that is
 * negative, and gets a slot of its own. False when memory runs out. */
bool ksk_slots_step(ksk_slots *slots, int rows, const int32_t *parents, ksk_error *err);

void ksk_slots_clear(ksk_slots *slots); /* frees the content */

#endif
