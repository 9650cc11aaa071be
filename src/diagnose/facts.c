#include "diagnose/facts.h"

enum { LONGEST_LOOP = 4, TURNS = 3 };

/* Pairs of words that stood in the line before. Lines are short: every earlier pair is looked at.
 */
static long long repeated_pairs(const uint32_t *words, size_t count)
{
    long long repeated = 0;
    for (size_t i = 1; i + 1 < count; i++)
        for (size_t j = 0; j < i; j++)
            if (words[j] == words[i] && words[j + 1] == words[i + 1]) {
                repeated++;
                break;
            }
    return repeated;
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

void ksk_facts_count(const ksk_worded *text, const ksk_gram_counts counts[KSK_GRAMS],
                     ksk_text_facts *facts)
{
    long long pairs = 0, repeated = 0;
    *facts = (ksk_text_facts){.lines = text->lines};
    for (int i = 0; i < text->lines; i++) {
        size_t count;
        const uint32_t *const words = ksk_worded_line(text, i, &count);
        facts->empty += count == 0;
        facts->words += (long long)count;
        facts->longest = (int)count > facts->longest ? (int)count : facts->longest;
        facts->loops += loops(words, count);
        pairs += count > 0 ? (long long)count - 1 : 0;
        repeated += repeated_pairs(words, count);
    }
    facts->repeated = pairs ? (double)repeated / (double)pairs : 0;
    for (int k = 0; k < KSK_GRAMS; k++) {
        facts->types[k] = counts[k].types;
        facts->distinct[k] =
            counts[k].total ? (double)counts[k].types / (double)counts[k].total : 0;
    }
}
