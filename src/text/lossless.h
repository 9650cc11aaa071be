/* The escape that keeps U+2581 apart from the space, which SentencePiece writes as U+2581.
 *
 * U+2581 becomes U+FDD0 U+FDD1, and U+FDD0 becomes U+FDD0 twice. U+FDD0 is a noncharacter, which
 * no text should contain, so ordinary text stays as it is. */
#ifndef KSK_TEXT_LOSSLESS_H
#define KSK_TEXT_LOSSLESS_H

#include "text/utf8.h"

/* Appends the escaped text; false when memory runs out. */
bool ksk_lossless_escape(const char *text, size_t length, ksk_bytes *out);

/* Appends what was escaped; a U+FDD0 that escapes nothing stays. False when memory runs out. */
bool ksk_lossless_unescape(const char *text, size_t length, ksk_bytes *out);

#endif
