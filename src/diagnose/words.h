/* Lines as words, words as numbers. */
#ifndef KSK_DIAGNOSE_WORDS_H
#define KSK_DIAGNOSE_WORDS_H

#include "metrics/ngrams.h"

/* Numbers of words: the same word has the same number in all texts. Zero it first. */
typedef struct ksk_dictionary {
    ksk_trie trie;
    ksk_codepoints line;
} ksk_dictionary;

void ksk_dictionary_free(ksk_dictionary *dictionary);

/* The words of a text: words[ends[i - 1]] to words[ends[i]] are line i's. Zero it first. */
typedef struct ksk_worded {
    int lines;
    uint32_t *words;
    size_t *ends; /* [lines] */
    size_t capacity;
} ksk_worded;

void ksk_worded_free(ksk_worded *text);

/* Cuts lines into words as the tokenizer 13a does. Errors: BAD_ARGUMENT (a line is NULL),
 * OUT_OF_MEMORY. */
bool ksk_words_cut(ksk_dictionary *dictionary, int count, const char *const *lines,
                   ksk_worded *text, ksk_error *err);

/* Words of line i, and how many. */
const uint32_t *ksk_worded_line(const ksk_worded *text, int i, size_t *count);

#endif
