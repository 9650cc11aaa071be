#include "api/narrow.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/head.h"

static bool select_tokens(ksk_narrow *n, const ksk_shortlist *shortlist, int sentences,
                          const int32_t *const *sources, const int *lengths, ksk_error *err)
{
    size_t count = 0;
    for (int i = 0; i < sentences; i++)
        count += (size_t)lengths[i];
    if (!ksk_grow(&n->sources, &n->source_room, count + 1, sizeof *n->sources))
        return ksk_fail_memory(err);
    count = 0;
    for (int i = 0; i < sentences; count += (size_t)lengths[i++])
        memcpy(n->sources + count, sources[i], (size_t)lengths[i] * sizeof *n->sources);
    return ksk_shortlist_select(shortlist, n->sources, count, &n->selection, err);
}

/* The tokens that decoding may be made to use. */
static void include_forced(ksk_narrow *n, const ksk_sequence_rules *rules,
                           const ksk_decode_options *options)
{
    const int ids[] = {rules->start_id, rules->end_id, options->forced_first, options->forced_last};
    for (int i = 0; i < 4; i++)
        if (ids[i] >= 0)
            ksk_selection_include(&n->selection, ids[i]);
    for (int i = 0; i < options->prefix_length; i++)
        ksk_selection_include(&n->selection, options->prefix[i]);
}

static int place_of(const ksk_narrow *n, int32_t id)
{
    return ksk_token_place(n->selection.ids, (int)n->selection.count, id);
}

static int place_all(const ksk_narrow *n, const int32_t *ids, int count, int32_t *places)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        if ((places[found] = place_of(n, ids[i])) >= 0)
            found++;
    return found;
}

static bool see_widened(void *context, const ksk_token_view *view)
{
    const ksk_narrow *const n = context;
    ksk_token_view wide = *view;
    wide.id = n->selection.ids[view->id];
    return n->watcher->see(n->watcher->context, &wide);
}

static bool translate_options(ksk_narrow *n, const ksk_decode_options *options, ksk_error *err)
{
    ksk_decode_options *const o = &n->options;
    *o = *options;
    if (!ksk_grow(&n->prefix, &n->prefix_room, (size_t)o->prefix_length + 1, sizeof *n->prefix) ||
        !ksk_grow(&n->banned, &n->banned_room, (size_t)o->banned_count + 1, sizeof *n->banned))
        return ksk_fail_memory(err);
    o->prefix_length = place_all(n, options->prefix, options->prefix_length, n->prefix);
    o->prefix = n->prefix;
    o->banned_count = place_all(n, options->banned, options->banned_count, n->banned);
    o->banned = n->banned;
    o->forced_first = place_of(n, options->forced_first);
    o->forced_last = place_of(n, options->forced_last);
    n->watcher = options->watcher;
    n->narrow_watcher = (ksk_token_watcher){see_widened, n};
    o->watcher = options->watcher ? &n->narrow_watcher : NULL;
    return true;
}

bool ksk_narrow_to(ksk_narrow *n, const ksk_shortlist *shortlist, ksk_scorer *scorer,
                   const ksk_sequence_rules *rules, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, ksk_error *err)
{
    if (!select_tokens(n, shortlist, sentences, sources, lengths, err))
        return false;
    include_forced(n, rules, options);
    return translate_options(n, options, err) &&
           ksk_scorer_narrow(scorer, (int)n->selection.count, n->selection.ids, err);
}

void ksk_narrow_widen(const ksk_narrow *n, int sentences, ksk_nbest *results)
{
    for (int i = 0; i < sentences; i++)
        for (int h = 0; h < results[i].count; h++) {
            ksk_hypothesis *const hypothesis = &results[i].hypotheses[h];
            for (int t = 0; t < hypothesis->length; t++)
                hypothesis->ids[t] = n->selection.ids[hypothesis->ids[t]];
        }
}

void ksk_narrow_clear(ksk_narrow *n)
{
    ksk_selection_clear(&n->selection);
    ksk_free(n->sources);
    ksk_free(n->prefix);
    ksk_free(n->banned);
    *n = (ksk_narrow){.sources = NULL};
}
