#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void ksk_json_name(const char *name, int first)
{
    printf("%s\"%s\": ", first ? "" : ", ", name);
}

/* Bytes of the UTF-8 character at `s` (shortest form, no surrogates, at most 10FFFF), or 0. */
static int character_length(const unsigned char *s)
{
    const int length = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (s[0] > 0xF4)
        return 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

void ksk_json_text(const char *utf8)
{
    const unsigned char *s = (const unsigned char *)utf8;
    putchar('"');
    while (*s) {
        const int length = character_length(s);
        if (length == 0)
            fputs("\\ufffd", stdout);
        else if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            printf("\\u%04x", *s);
        else
            fwrite(s, 1, (size_t)length, stdout);
        s += length ? length : 1;
    }
    putchar('"');
}

void ksk_json_integer(int64_t value)
{
    printf("%" PRId64, value);
}

void ksk_json_number(double value)
{
    if (isfinite(value))
        printf("%.9g", value);
    else
        fputs("null", stdout);
}

void ksk_json_ids(const int32_t *ids, int count)
{
    putchar('[');
    for (int i = 0; i < count; i++)
        printf("%s%" PRId32, i ? ", " : "", ids[i]);
    putchar(']');
}
