#include "text/lossless.h"

#include <string.h>

#define BLANK  "\xE2\x96\x81" /* U+2581 */
#define ESCAPE "\xEF\xB7\x90" /* U+FDD0 */
#define SECOND "\xEF\xB7\x91" /* U+FDD1 */

static bool starts(const char *text, size_t length, const char *with)
{
    return length >= strlen(with) && !memcmp(text, with, strlen(with));
}

/* Copies `text`, with what `from[i]` says replaced by `to[i]`. */
static bool replace_pairs(const char *text, size_t length, const char *const from[2],
                          const char *const to[2], ksk_bytes *out)
{
    size_t begin = 0;
    for (size_t at = 0; at < length;) {
        const int which = starts(text + at, length - at, from[0])   ? 0
                          : starts(text + at, length - at, from[1]) ? 1
                                                                    : -1;
        if (which < 0) {
            at++;
            continue;
        }
        if (!ksk_bytes_add(out, text + begin, at - begin) ||
            !ksk_bytes_add(out, to[which], strlen(to[which])))
            return false;
        at += strlen(from[which]);
        begin = at;
    }
    return ksk_bytes_add(out, text + begin, length - begin);
}

static const char *const plain[] = {BLANK, ESCAPE};
static const char *const escaped[] = {ESCAPE SECOND, ESCAPE ESCAPE};

bool ksk_lossless_escape(const char *text, size_t length, ksk_bytes *out)
{
    return replace_pairs(text, length, plain, escaped, out);
}

bool ksk_lossless_unescape(const char *text, size_t length, ksk_bytes *out)
{
    return replace_pairs(text, length, escaped, plain, out);
}
