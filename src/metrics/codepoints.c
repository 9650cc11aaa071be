#include "metrics/codepoints.h"

#include <string.h>
#include <utf8proc.h>

#include "kaskad/memory.h"
#include "text/utf8.h"

bool ksk_codepoints_push(ksk_codepoints *text, uint32_t codepoint)
{
    if (!ksk_grow(&text->at, &text->capacity, text->count + 1, sizeof *text->at))
        return false;
    text->at[text->count++] = codepoint;
    return true;
}

bool ksk_codepoints_set(ksk_codepoints *text, const char *utf8)
{
    const size_t length = strlen(utf8);
    text->count = 0;
    if (!ksk_grow(&text->at, &text->capacity, length, sizeof *text->at))
        return false;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        i += ksk_utf8_next(utf8 + i, length - i, &c);
        text->at[text->count++] = c == KSK_UTF8_INVALID ? 0xFFFD : c;
    }
    return true;
}

static bool is_cased(uint32_t c)
{
    const utf8proc_int32_t point = (utf8proc_int32_t)c;
    const utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT || utf8proc_tolower(point) != point ||
           utf8proc_toupper(point) != point;
}

/* Characters that may stand inside a word without being letters: accents, apostrophes, formats. */
static bool is_case_ignorable(uint32_t c)
{
    static const uint32_t middle[] = {'\'',   '.',    ':',    0xB7,   0x387,  0x55F,
                                      0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                      0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    for (size_t i = 0; i < sizeof middle / sizeof *middle; i++)
        if (c == middle[i])
            return true;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

/* A sigma ends a word when a cased letter is before it and none after it. */
static bool is_final_sigma(const ksk_codepoints *text, size_t position)
{
    size_t i = position;
    while (i > 0 && is_case_ignorable(text->at[i - 1]))
        i--;
    if (i == 0 || !is_cased(text->at[i - 1]))
        return false;
    i = position + 1;
    while (i < text->count && is_case_ignorable(text->at[i]))
        i++;
    return i == text->count || !is_cased(text->at[i]);
}

bool ksk_codepoints_lower(ksk_codepoints *text)
{
    enum { capital_sigma = 0x3A3, sigma = 0x3C3, final_sigma = 0x3C2 };
    enum { dotted_capital_i = 0x130, dot_above = 0x307 };

    ksk_codepoints lower = {0};
    for (size_t i = 0; i < text->count; i++) {
        const uint32_t c = text->at[i];
        bool pushed;
        if (c == capital_sigma)
            pushed = ksk_codepoints_push(&lower, is_final_sigma(text, i) ? final_sigma : sigma);
        else if (c == dotted_capital_i)
            pushed = ksk_codepoints_push(&lower, 'i') && ksk_codepoints_push(&lower, dot_above);
        else
            pushed = ksk_codepoints_push(&lower, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
        if (!pushed) {
            ksk_free(lower.at);
            return false;
        }
    }
    ksk_free(text->at);
    *text = lower;
    return true;
}
