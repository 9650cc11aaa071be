/* What can be counted in a text. */
#ifndef KSK_DIAGNOSE_FACTS_H
#define KSK_DIAGNOSE_FACTS_H

#include "diagnose/grams.h"

/* Fills the facts from the text and from its n-grams of every kind. False when memory runs out. */
bool ksk_facts_count(const ksk_worded *text, const ksk_gram_counts counts[KSK_GRAMS],
                     ksk_text_facts *facts);

#endif
