#include "scorer/slots.h"

#include <string.h>

#include "kaskad/memory.h"

void ksk_slots_reset(ksk_slots *slots)
{
    slots->rows = 0;
    slots->entries = 0;
    slots->total = 0;
    slots->free_count = 0;
}

void ksk_slots_clear(ksk_slots *slots)
{
    ksk_free(slots->index);
    ksk_free(slots->spans);
    ksk_free(slots->slots);
    ksk_free(slots->old_index);
    ksk_free(slots->old_spans);
    ksk_free(slots->free_slots);
    ksk_free(slots->live);
    *slots = (ksk_slots){.rows = 0};
}

/* What was the newest step becomes the old one. */
static void swap(ksk_slots *s)
{
    int32_t *const index = s->index;
    int32_t(*const spans)[2] = s->spans;
    const size_t index_room = s->index_room, span_room = s->span_room;
    s->index = s->old_index;
    s->spans = s->old_spans;
    s->index_room = s->old_index_room;
    s->span_room = s->old_span_room;
    s->old_index = index;
    s->old_spans = spans;
    s->old_index_room = index_room;
    s->old_span_room = span_room;
}

static int32_t chain_length(const ksk_slots *s, int32_t parent)
{
    return parent < 0 ? 0 : s->old_spans[parent][1];
}

static bool make_room(ksk_slots *s, int rows, const int32_t *parents)
{
    s->entries = rows;
    for (int i = 0; i < rows; i++)
        s->entries += chain_length(s, parents[i]);
    return ksk_grow(&s->index, &s->index_room, (size_t)s->entries + 1, sizeof *s->index) &&
           ksk_grow(&s->spans, &s->span_room, (size_t)rows + 1, sizeof *s->spans) &&
           ksk_grow(&s->slots, &s->slot_room, (size_t)rows + 1, sizeof *s->slots);
}

static void continue_chains(ksk_slots *s, int rows, const int32_t *parents)
{
    int32_t at = 0;
    for (int i = 0; i < rows; i++) {
        const int32_t length = chain_length(s, parents[i]);
        s->spans[i][0] = at;
        s->spans[i][1] = length + 1;
        if (length)
            memcpy(s->index + at, s->old_index + s->old_spans[parents[i]][0],
                   (size_t)length * sizeof *s->index);
        at += length + 1;
    }
}

/* Slots that no chain holds any more. Chains that continue are in `index` already, but for their
 * newest entries. */
static bool collect(ksk_slots *s, int rows)
{
    if (!ksk_grow(&s->live, &s->live_room, (size_t)s->total + 1, sizeof *s->live) ||
        !ksk_grow(&s->free_slots, &s->free_room, (size_t)s->total + 1, sizeof *s->free_slots))
        return false;
    memset(s->live, 0, (size_t)s->total + 1);
    for (int i = 0; i < rows; i++)
        for (int32_t j = 0; j + 1 < s->spans[i][1]; j++)
            s->live[s->index[s->spans[i][0] + j]] = 1;
    s->free_count = 0;
    for (int64_t slot = s->total; slot-- > 0;)
        if (!s->live[slot])
            s->free_slots[s->free_count++] = (int32_t)slot;
    return true;
}

/* Collecting costs a pass over all chains, so it waits until slots run out; new ones are made when
 * little was found. */
static bool find_slots(ksk_slots *s, int rows)
{
    if (s->free_count >= rows)
        return true;
    if (s->total > 0 && !collect(s, rows))
        return false;
    if (s->free_count >= rows + s->total / 4)
        return true;
    const int64_t more = rows + s->total / 2 + 64;
    if (!ksk_grow(&s->free_slots, &s->free_room, (size_t)(s->free_count + more),
                  sizeof *s->free_slots))
        return false;
    memmove(s->free_slots + more, s->free_slots, (size_t)s->free_count * sizeof *s->free_slots);
    for (int64_t i = 0; i < more; i++)
        s->free_slots[i] = (int32_t)(s->total + more - 1 - i);
    s->free_count += more;
    s->total += more;
    return true;
}

bool ksk_slots_step(ksk_slots *slots, int rows, const int32_t *parents, ksk_error *err)
{
    for (int i = 0; i < rows; i++)
        if (parents[i] >= slots->rows)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d continues row %d of %d", i, parents[i],
                            slots->rows);
    swap(slots);
    if (!make_room(slots, rows, parents))
        return ksk_fail_memory(err);
    continue_chains(slots, rows, parents);
    if (!find_slots(slots, rows))
        return ksk_fail_memory(err);
    for (int i = 0; i < rows; i++) {
        slots->slots[i] = slots->free_slots[--slots->free_count];
        slots->index[slots->spans[i][0] + slots->spans[i][1] - 1] = slots->slots[i];
    }
    slots->rows = rows;
    return true;
}
