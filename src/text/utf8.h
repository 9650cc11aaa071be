/* UTF-8 read with care: every byte string has exactly one reading. */
#ifndef KSK_TEXT_UTF8_H
#define KSK_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What stands for bytes that are not UTF-8; no character has this number. */
#define KSK_UTF8_INVALID UINT32_MAX

/* A growing byte string; zero it first, free `bytes` with ksk_free. Not NUL-terminated, except by
 * ksk_bytes_text. */
typedef struct ksk_bytes {
    char *bytes;
    size_t count, capacity;
} ksk_bytes;

/* Appends. False, with the string as before, when memory runs out. */
bool ksk_bytes_add(ksk_bytes *bytes, const char *text, size_t length);

/* The string with a NUL behind it, which the caller frees with ksk_free; `bytes` is empty again.
 * NULL, with `bytes` freed, when memory runs out. */
char *ksk_bytes_text(ksk_bytes *bytes);

/* Reads the character at `text` [length >= 1] and gives how many bytes it takes, 1 to 4. Bytes that
 * are no character give KSK_UTF8_INVALID, one maximal subpart at a time: the longest start of a
 * well-formed sequence, or one byte (Unicode 15, section 3.9; WHATWG's decoder; Python's
 * errors="replace"). */
size_t ksk_utf8_next(const char *text, size_t length, uint32_t *character);

/* Appends `text` with each maximal subpart that is not UTF-8 read as U+FFFD; `*replaced` (may be
 * NULL) gets how many. False when memory runs out. */
bool ksk_utf8_repair(const char *text, size_t length, ksk_bytes *out, int *replaced);

/* White space as Python's str.isspace has it: Unicode's White_Space and U+001C to U+001F. */
bool ksk_utf8_space(uint32_t character);

/* Cuts white space from both ends of `*text` [*length], or from one. */
void ksk_utf8_strip_left(const char **text, size_t *length);
void ksk_utf8_strip_right(const char **text, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
