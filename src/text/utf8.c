#include "text/utf8.h"

#include <limits.h>
#include <string.h>

#include "kaskad/memory.h"

bool ksk_bytes_add(ksk_bytes *bytes, const char *text, size_t length)
{
    if (length > SIZE_MAX - bytes->count ||
        !ksk_grow(&bytes->bytes, &bytes->capacity, bytes->count + length, 1))
        return false;
    if (length)
        memcpy(bytes->bytes + bytes->count, text, length);
    bytes->count += length;
    return true;
}

char *ksk_bytes_text(ksk_bytes *bytes)
{
    char *text = ksk_bytes_add(bytes, "", 1) ? bytes->bytes : NULL;
    if (!text)
        ksk_free(bytes->bytes);
    *bytes = (ksk_bytes){0};
    return text;
}

/* How many bytes follow the first one (0 for a byte that starts nothing and for ASCII), and between
 * which bounds the second byte lies: no overlong forms, no surrogates, nothing over U+10FFFF. */
static size_t following(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    return first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
}

size_t ksk_utf8_next(const char *text, size_t length, uint32_t *character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char low, high;
    const size_t more = following(bytes[0], &low, &high);
    if (!more) {
        *character = bytes[0] < 0x80 ? bytes[0] : KSK_UTF8_INVALID;
        return 1;
    }
    uint32_t value = bytes[0] & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if (i >= length || bytes[i] < low || bytes[i] > high) {
            *character = KSK_UTF8_INVALID;
            return i;
        }
        value = value << 6 | (bytes[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *character = value;
    return more + 1;
}

bool ksk_utf8_repair(const char *text, size_t length, ksk_bytes *out, int *replaced)
{
    int bad = 0;
    size_t begin = 0; /* of the well-formed stretch that is still to be copied */
    for (size_t at = 0; at < length;) {
        uint32_t character;
        const size_t taken = ksk_utf8_next(text + at, length - at, &character);
        if (character == KSK_UTF8_INVALID) {
            if (!ksk_bytes_add(out, text + begin, at - begin) ||
                !ksk_bytes_add(out, "\xEF\xBF\xBD", 3))
                return false;
            begin = at + taken;
            bad += bad < INT_MAX;
        }
        at += taken;
    }
    if (replaced)
        *replaced = bad;
    return ksk_bytes_add(out, text + begin, length - begin);
}

bool ksk_utf8_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

void ksk_utf8_strip_left(const char **text, size_t *length)
{
    while (*length) {
        uint32_t character;
        const size_t taken = ksk_utf8_next(*text, *length, &character);
        if (!ksk_utf8_space(character))
            return;
        *text += taken;
        *length -= taken;
    }
}

void ksk_utf8_strip_right(const char **text, size_t *length)
{
    while (*length) {
        size_t start = *length - 1;
        while (start && *length - start < 4 && ((unsigned char)(*text)[start] & 0xC0) == 0x80)
            start--;
        uint32_t character;
        if (ksk_utf8_next(*text + start, *length - start, &character) != *length - start ||
            !ksk_utf8_space(character))
            return;
        *length = start;
    }
}
