/* Text as code points, the unit that metrics count. */
#ifndef KSK_METRICS_CODEPOINTS_H
#define KSK_METRICS_CODEPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

/* A growing list of code points; zero it first, free `at` with ksk_free. */
typedef struct ksk_codepoints {
    uint32_t *at;
    size_t count, capacity;
} ksk_codepoints;

bool ksk_codepoints_push(ksk_codepoints *text, uint32_t codepoint);

/* The content becomes that of `utf8`; bytes that are not UTF-8 become U+FFFD each. False when
 * memory runs out. */
bool ksk_codepoints_set(ksk_codepoints *text, const char *utf8);

/* Full lower case in place, as Unicode's default algorithm and Python's str.lower have it: the
 * final sigma and the dotted capital I are treated by rule. False when memory runs out. */
bool ksk_codepoints_lower(ksk_codepoints *text);

#endif
