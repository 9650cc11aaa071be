#include "metrics/ngrams.h"

#include <string.h>

#include "kaskad/memory.h"

typedef struct ksk_trie_slot slot;

void ksk_trie_reset(ksk_trie *trie)
{
    trie->count = 1; /* the root */
    if (++trie->generation == 0) {
        memset(trie->slots, 0, trie->capacity * sizeof *trie->slots);
        trie->generation = 1;
    }
}

static slot *find(slot *slots, size_t capacity, uint32_t generation, uint64_t key)
{
    const uint64_t mixed = (key ^ key >> 32) * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(mixed >> 32) & (capacity - 1);
    while (slots[i].generation == generation && slots[i].key != key)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(ksk_trie *trie)
{
    const size_t capacity = trie->capacity ? 2 * trie->capacity : 1024;
    slot *slots = ksk_calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < trie->capacity; i++) {
        const slot *old = &trie->slots[i];
        if (old->generation == trie->generation)
            *find(slots, capacity, trie->generation, old->key) = *old;
    }
    ksk_free(trie->slots);
    trie->slots = slots;
    trie->capacity = capacity;
    return true;
}

uint32_t ksk_trie_child(ksk_trie *trie, uint32_t parent, uint32_t symbol)
{
    if (trie->count >= UINT32_MAX)
        return 0;
    if ((size_t)trie->count * 2 >= trie->capacity && !grow(trie))
        return 0;
    const uint64_t key = (uint64_t)parent << 32 | symbol;
    slot *found = find(trie->slots, trie->capacity, trie->generation, key);
    if (found->generation != trie->generation)
        *found = (slot){key, trie->count++, trie->generation};
    return found->node;
}

uint32_t ksk_trie_path(ksk_trie *trie, const uint32_t *symbols, size_t count)
{
    uint32_t node = 0;
    for (size_t i = 0; i < count; i++) {
        node = ksk_trie_child(trie, node, symbols[i]);
        if (!node)
            return 0;
    }
    return node;
}

bool ksk_ngrams_add(ksk_ngrams *ngrams, ksk_trie *trie, const uint32_t *symbols, size_t count,
                    int orders)
{
    const size_t start = ngrams->ends[ngrams->orders];
    if (!ksk_grow(&ngrams->nodes, &ngrams->capacity, start + count * (size_t)orders + 1,
                  sizeof *ngrams->nodes))
        return false;
    const uint32_t *shorter = NULL; /* the n-grams one order below */
    uint32_t *nodes = ngrams->nodes + start;
    for (size_t order = 1; order <= (size_t)orders; order++) {
        const size_t here = count >= order ? count - order + 1 : 0;
        for (size_t i = 0; i < here; i++) {
            nodes[i] = ksk_trie_child(trie, shorter ? shorter[i] : 0, symbols[i + order - 1]);
            if (!nodes[i])
                return false;
        }
        shorter = nodes;
        nodes += here;
        ngrams->ends[++ngrams->orders] = (size_t)(nodes - ngrams->nodes);
    }
    return true;
}

void ksk_ngram_counts_clear(ksk_ngram_counts *counts)
{
    if (counts->most)
        memset(counts->most, 0, counts->nodes * sizeof *counts->most);
    counts->nodes = 0;
}

static bool grow_zeroed(uint32_t **array, size_t *capacity, size_t needed)
{
    const size_t had = *capacity;
    if (!ksk_grow(array, capacity, needed, sizeof **array))
        return false;
    memset(*array + had, 0, (*capacity - had) * sizeof **array);
    return true;
}

bool ksk_ngram_counts_reserve(ksk_ngram_counts *counts, size_t nodes)
{
    if (!grow_zeroed(&counts->most, &counts->most_capacity, nodes) ||
        !grow_zeroed(&counts->now, &counts->now_capacity, nodes))
        return false;
    if (counts->nodes < nodes)
        counts->nodes = nodes;
    return true;
}

static void zero_again(ksk_ngram_counts *counts, const ksk_ngrams *text)
{
    for (size_t i = 0; i < text->ends[text->orders]; i++)
        counts->now[text->nodes[i]] = 0;
}

void ksk_ngram_counts_raise(ksk_ngram_counts *counts, const ksk_ngrams *reference)
{
    for (size_t i = 0; i < reference->ends[reference->orders]; i++) {
        const uint32_t node = reference->nodes[i];
        if (++counts->now[node] > counts->most[node])
            counts->most[node] = counts->now[node];
    }
    zero_again(counts, reference);
}

void ksk_ngram_counts_match(ksk_ngram_counts *counts, const ksk_ngrams *hypothesis,
                            int64_t *matches)
{
    for (int order = 0; order < hypothesis->orders; order++) {
        matches[order] = 0;
        for (size_t i = hypothesis->ends[order]; i < hypothesis->ends[order + 1]; i++) {
            const uint32_t node = hypothesis->nodes[i];
            matches[order] += ++counts->now[node] <= counts->most[node];
        }
    }
    zero_again(counts, hypothesis);
}
