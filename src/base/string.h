/* Text that grows. Zero it first; free `data` with ksk_free. */
#ifndef KSK_BASE_STRING_H
#define KSK_BASE_STRING_H

#include <stddef.h>

#include "kaskad/error.h"

typedef struct ksk_string {
    char *data; /* NUL-terminated once something was added */
    size_t length, capacity;
    bool failed; /* memory ran out; what was there before is kept, later calls do nothing */
} ksk_string;

/* Appends by a printf format. False when memory runs out, now or before. */
bool ksk_string_add(ksk_string *string, const char *format, ...) KSK_PRINTF(2, 3);

/* Cuts back to `length` bytes, which must not be more than there are. */
void ksk_string_cut(ksk_string *string, size_t length);

/* The text, which the caller then owns and frees with ksk_free ("" if nothing was added); NULL,
 * with everything freed, when memory ran out. */
char *ksk_string_take(ksk_string *string);

/* True when `text` [size] is UTF-8: no stray or missing bytes, overlong forms or surrogates. */
bool ksk_utf8_valid(const char *text, size_t size);

/* `text` made fit for a message, into `out` [size]: control characters become '?', and what does
 * not fit ends in "...". Gives `out`. */
const char *ksk_printable(const char *text, char *out, size_t size);

#endif
