#include "base/string.h"

#include <stdarg.h>
#include <stdio.h>

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
