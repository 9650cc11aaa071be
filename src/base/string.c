#include "base/string.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kaskad/memory.h"

bool ksk_string_add(ksk_string *string, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int added = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (!string->failed)
        string->failed =
            added < 0 || !ksk_grow(&string->data, &string->capacity,
                                   string->length + (size_t)added + 1, sizeof *string->data);
    if (!string->failed) {
        vsnprintf(string->data + string->length, (size_t)added + 1, format, again);
        string->length += (size_t)added;
    }
    va_end(again);
    return !string->failed;
}

void ksk_string_cut(ksk_string *string, size_t length)
{
    string->length = length;
    if (string->data)
        string->data[length] = '\0';
}

char *ksk_string_take(ksk_string *string)
{
    ksk_string_add(string, "%s", "");
    char *text = string->data;
    if (string->failed) {
        ksk_free(text);
        text = NULL;
    }
    *string = (ksk_string){0};
    return text;
}

/* Bytes of the character at `text` [size], or 0 when it is no valid one (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *text, size_t size)
{
    const unsigned lead = text[0];
    if (lead < 0x80)
        return 1;
    const size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || length > size)
        return 0;
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool ksk_utf8_valid(const char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = utf8_length((const unsigned char *)text + at, size - at);
        if (length == 0)
            return false;
    }
    return true;
}

const char *ksk_printable(const char *text, char *out, size_t size)
{
    const size_t length = strnlen(text, size);
    size_t room = length < size ? length : size - 4;
    while (length == size && room > 0 && (text[room] & 0xC0) == 0x80)
        room--; /* not within a character */
    for (size_t i = 0; i < room; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    memcpy(out + room, length < size ? "" : "...", length < size ? 1 : 4);
    return out;
}
