#include "data/batches.h"

#include <stdlib.h>

#include "kaskad/memory.h"

/* --- planning -----------------------------------------------------------------------------------
 */

typedef struct candidate {
    int source_length, target_length;
    uint64_t random;
    size_t pair;
} candidate;

/* A total order, so that every sort gives the same. */
static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->target_length != y->target_length)
        return x->target_length < y->target_length ? -1 : 1;
    if (x->source_length != y->source_length)
        return x->source_length < y->source_length ? -1 : 1;
    if (x->random != y->random)
        return x->random < y->random ? -1 : 1;
    return (x->pair > y->pair) - (x->pair < y->pair);
}

static bool sort_pairs(const ksk_pairs *pairs, ksk_key key, size_t *order)
{
    candidate *all = ksk_calloc(pairs->count, sizeof *all);
    if (!all)
        return false;
    for (size_t i = 0; i < pairs->count; i++) {
        const uint64_t high = ksk_random_bits(key, 2 * i), low = ksk_random_bits(key, 2 * i + 1);
        all[i] = (candidate){pairs->pairs[i].source_length, pairs->pairs[i].target_length,
                             high << 32 | low, i};
    }
    qsort(all, pairs->count, sizeof *all, compare);
    for (size_t i = 0; i < pairs->count; i++)
        order[i] = all[i].pair;
    ksk_free(all);
    return true;
}

static size_t batch_end(const ksk_pairs *pairs, const size_t *order, size_t begin, int64_t tokens)
{
    int64_t source = 0, target = 0;
    size_t end = begin;
    for (; end < pairs->count; end++) {
        source += pairs->pairs[order[end]].source_length;
        target += pairs->pairs[order[end]].target_length;
        if (end > begin && (source > tokens || target > tokens))
            break;
    }
    return end;
}

static void cut(const ksk_pairs *pairs, int64_t tokens, ksk_batches *batches)
{
    for (size_t begin = 0, end; begin < pairs->count; begin = end) {
        end = batch_end(pairs, batches->order, begin, tokens);
        batches->ranges[batches->count][0] = begin;
        batches->ranges[batches->count++][1] = end;
        if (end - begin > batches->largest)
            batches->largest = end - begin;
    }
}

/* Fisher and Yates. */
static void shuffle(ksk_batches *batches, ksk_key key)
{
    for (size_t i = batches->count; i > 1; i--) {
        const size_t j = (size_t)(ksk_random_uniform_double(key, i) * (double)i);
        const size_t begin = batches->ranges[j][0], end = batches->ranges[j][1];
        batches->ranges[j][0] = batches->ranges[i - 1][0];
        batches->ranges[j][1] = batches->ranges[i - 1][1];
        batches->ranges[i - 1][0] = begin;
        batches->ranges[i - 1][1] = end;
    }
}

bool ksk_batches_plan(const ksk_pairs *pairs, int64_t tokens, ksk_key key, ksk_batches *batches,
                      ksk_error *err)
{
    ksk_batches_clear(batches);
    batches->order = ksk_calloc(pairs->count, sizeof *batches->order);
    batches->ranges = ksk_calloc(pairs->count, sizeof *batches->ranges);
    if (!batches->order || !batches->ranges ||
        !sort_pairs(pairs, ksk_key_split(key, 0), batches->order)) {
        ksk_batches_clear(batches);
        return ksk_fail_memory(err);
    }
    cut(pairs, tokens, batches);
    shuffle(batches, ksk_key_split(key, 1));
    return true;
}

void ksk_batches_clear(ksk_batches *batches)
{
    ksk_free(batches->order);
    ksk_free(batches->ranges);
    *batches = (ksk_batches){0};
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool make_room(ksk_batch_view *view, size_t room)
{
    if (view->room >= room)
        return true;
    ksk_batch_view_clear(view);
    view->sources = ksk_calloc(room, sizeof *view->sources);
    view->targets = ksk_calloc(room, sizeof *view->targets);
    view->source_lengths = ksk_calloc(room, sizeof *view->source_lengths);
    view->target_lengths = ksk_calloc(room, sizeof *view->target_lengths);
    view->room = room;
    return view->sources && view->targets && view->source_lengths && view->target_lengths;
}

bool ksk_batches_get(const ksk_batches *batches, const ksk_pairs *pairs, size_t batch,
                     ksk_batch_view *view, ksk_error *err)
{
    const size_t begin = batches->ranges[batch][0], end = batches->ranges[batch][1];
    if (!make_room(view, batches->largest)) {
        ksk_batch_view_clear(view);
        return ksk_fail_memory(err);
    }
    view->sentences = (int)(end - begin);
    for (size_t i = begin; i < end; i++) {
        const ksk_pair *pair = &pairs->pairs[batches->order[i]];
        view->sources[i - begin] = pairs->ids + pair->source;
        view->targets[i - begin] = pairs->ids + pair->target;
        view->source_lengths[i - begin] = pair->source_length;
        view->target_lengths[i - begin] = pair->target_length;
    }
    return true;
}

void ksk_batch_view_clear(ksk_batch_view *view)
{
    ksk_free(view->sources);
    ksk_free(view->targets);
    ksk_free(view->source_lengths);
    ksk_free(view->target_lengths);
    *view = (ksk_batch_view){0};
}
