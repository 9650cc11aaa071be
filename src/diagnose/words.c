#include "diagnose/words.h"

#include "kaskad/memory.h"
#include "metrics/tokenize_13a.h"
#include "text/utf8.h"

void ksk_dictionary_free(ksk_dictionary *dictionary)
{
    ksk_free(dictionary->trie.slots);
    ksk_free(dictionary->line.at);
    *dictionary = (ksk_dictionary){0};
}

void ksk_worded_free(ksk_worded *text)
{
    ksk_free(text->words);
    ksk_free(text->ends);
    *text = (ksk_worded){0};
}

/* Appends the words of the dictionary's line behind the `*count` that are there. */
static bool append(ksk_dictionary *dictionary, ksk_worded *text, size_t *count)
{
    const ksk_codepoints *const line = &dictionary->line;
    for (size_t i = 0; i < line->count;) {
        size_t end = i;
        while (end < line->count && !ksk_utf8_space(line->at[end]))
            end++;
        if (end > i) {
            const uint32_t word = ksk_trie_path(&dictionary->trie, line->at + i, end - i);
            if (!word || !ksk_grow(&text->words, &text->capacity, *count + 1, sizeof *text->words))
                return false;
            text->words[(*count)++] = word;
        }
        i = end + 1;
    }
    return true;
}

bool ksk_words_cut(ksk_dictionary *dictionary, int count, const char *const *lines,
                   ksk_worded *text, ksk_error *err)
{
    size_t words = 0;
    if (!dictionary->trie.count)
        ksk_trie_reset(&dictionary->trie);
    text->ends = ksk_calloc((size_t)count, sizeof *text->ends);
    bool ok = text->ends != NULL;
    for (int i = 0; ok && i < count; i++) {
        if (!lines[i])
            return ksk_fail(err, KSK_BAD_ARGUMENT, "line %d is NULL", i + 1);
        ok = ksk_codepoints_set(&dictionary->line, lines[i]) &&
             ksk_tokenize_13a(&dictionary->line) && append(dictionary, text, &words);
        text->ends[i] = words;
        text->lines = i + 1;
    }
    return ok || ksk_fail_memory(err);
}

const uint32_t *ksk_worded_line(const ksk_worded *text, int i, size_t *count)
{
    const size_t start = i ? text->ends[i - 1] : 0;
    *count = text->ends[i] - start;
    return text->words ? text->words + start : NULL;
}
