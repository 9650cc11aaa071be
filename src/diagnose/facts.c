#include "diagnose/facts.h"

#include <stdlib.h>

#include "kaskad/memory.h"

enum { LONGEST_LOOP = 4, TURNS = 3 };

/* Room for the pairs of words of a line. */
typedef struct pairs {
    uint64_t *at;
    size_t capacity;
} pairs;

static int by_value(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Adds the pairs that stood in the line before: all of a kind but the first. A line may be very
 * long, so they are sorted. */
static bool add_repeated(pairs *room, const uint32_t *words, size_t count, long long *repeated)
{
    if (count < 2)
        return true;
    if (!ksk_grow(&room->at, &room->capacity, count - 1, sizeof *room->at))
        return false;
    for (size_t i = 0; i + 1 < count; i++)
        room->at[i] = (uint64_t)words[i] << 32 | words[i + 1];
    qsort(room->at, count - 1, sizeof *room->at, by_value);
    for (size_t i = 1; i + 1 < count; i++)
        *repeated += room->at[i] == room->at[i - 1];
    return true;
}

/* Whether `length` words from `at` on come TURNS times in a row. */
static bool turns(const uint32_t *words, size_t length)
{
    for (size_t i = 0; i < (TURNS - 1) * length; i++)
        if (words[i] != words[i + length])
            return false;
    return true;
}

static bool loops(const uint32_t *words, size_t count)
{
    for (size_t length = 1; length <= LONGEST_LOOP; length++)
        for (size_t at = 0; at + TURNS * length <= count; at++)
            if (turns(words + at, length))
                return true;
    return false;
}

bool ksk_facts_count(const ksk_worded *text, const ksk_gram_counts counts[KSK_GRAMS],
                     ksk_text_facts *facts)
{
    long long all = 0, repeated = 0;
    pairs room = {0};
    bool ok = true;
    *facts = (ksk_text_facts){.lines = text->lines};
    for (int i = 0; ok && i < text->lines; i++) {
        size_t count;
        const uint32_t *const words = ksk_worded_line(text, i, &count);
        facts->empty += count == 0;
        facts->words += (long long)count;
        facts->longest = (int)count > facts->longest ? (int)count : facts->longest;
        facts->loops += loops(words, count);
        all += count > 0 ? (long long)count - 1 : 0;
        ok = add_repeated(&room, words, count, &repeated);
    }
    ksk_free(room.at);
    facts->repeated = all ? (double)repeated / (double)all : 0;
    for (int k = 0; k < KSK_GRAMS; k++) {
        facts->types[k] = counts[k].types;
        facts->distinct[k] =
            counts[k].total ? (double)counts[k].types / (double)counts[k].total : 0;
    }
    return ok;
}
