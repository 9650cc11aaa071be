/* Words that say whether a full stop before or behind them ends a sentence. Lower case, UTF-8. */
#ifndef KSK_TEXT_WORDS_H
#define KSK_TEXT_WORDS_H

#include <stdbool.h>

bool ksk_word_is_title(const char *word);         /* "dr": never ends a sentence */
bool ksk_word_is_before_number(const char *word); /* "nr": does not end one before a digit */
bool ksk_word_is_abbreviation(const char *word);  /* "bzw": does not end one, unless … */
bool ksk_word_starts_sentence(const char *word);  /* … a word like "the" or "dann" follows */
bool ksk_word_follows_ordinal(const char *word);  /* "oktober", "jahrhundert" */
bool ksk_word_precedes_ordinal(const char *word); /* "am", "der" */

#endif
