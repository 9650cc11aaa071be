#include "metrics/tokenize_13a.h"

#include <string.h>

#include "kaskad/memory.h"

/* One rule: reads the line from `i` on, writes what stands there now, and gives how many code
 * points it has read; 0 when memory runs out. */
typedef size_t (*rule)(const ksk_codepoints *line, size_t i, ksk_codepoints *out);

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_period_or_comma(uint32_t c)
{
    return c == '.' || c == ',';
}

/* ASCII symbols but for the apostrophe, the comma, the hyphen and the period. */
static bool is_symbol(uint32_t c)
{
    return (c >= 0x20 && c <= 0x26) || (c >= 0x28 && c <= 0x2B) || c == 0x2F ||
           (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}

static size_t push(ksk_codepoints *out, size_t count, const uint32_t *values)
{
    for (size_t i = 0; i < count; i++)
        if (!ksk_codepoints_push(out, values[i]))
            return 0;
    return 1;
}

static size_t set_symbols_apart(const ksk_codepoints *line, size_t i, ksk_codepoints *out)
{
    const uint32_t c = line->at[i];
    return is_symbol(c) ? push(out, 3, (uint32_t[]){' ', c, ' '}) : push(out, 1, &c);
}

static size_t split_unless_after_digit(const ksk_codepoints *line, size_t i, ksk_codepoints *out)
{
    const uint32_t c = line->at[i];
    if (i + 1 < line->count && !is_digit(c) && is_period_or_comma(line->at[i + 1]))
        return 2 * push(out, 4, (uint32_t[]){c, ' ', line->at[i + 1], ' '});
    return push(out, 1, &c);
}

static size_t split_unless_before_digit(const ksk_codepoints *line, size_t i, ksk_codepoints *out)
{
    const uint32_t c = line->at[i];
    if (i + 1 < line->count && is_period_or_comma(c) && !is_digit(line->at[i + 1]))
        return 2 * push(out, 4, (uint32_t[]){' ', c, ' ', line->at[i + 1]});
    return push(out, 1, &c);
}

static size_t split_hyphen_after_digit(const ksk_codepoints *line, size_t i, ksk_codepoints *out)
{
    const uint32_t c = line->at[i];
    if (i + 1 < line->count && is_digit(c) && line->at[i + 1] == '-')
        return 2 * push(out, 4, (uint32_t[]){c, ' ', '-', ' '});
    return push(out, 1, &c);
}

static bool apply(ksk_codepoints *line, rule read_one)
{
    ksk_codepoints out = {0};
    if (!ksk_grow(&out.at, &out.capacity, 2 * line->count, sizeof *out.at))
        return false;
    for (size_t i = 0; i < line->count;) {
        const size_t used = read_one(line, i, &out);
        if (!used) {
            ksk_free(out.at);
            return false;
        }
        i += used;
    }
    ksk_free(line->at);
    *line = out;
    return true;
}

static bool starts_with(const ksk_codepoints *line, size_t i, const char *ascii, size_t length)
{
    if (line->count - i < length)
        return false;
    for (size_t k = 0; k < length; k++)
        if (line->at[i + k] != (unsigned char)ascii[k])
            return false;
    return true;
}

/* Replaces every `what` by the character `by`, or by nothing when `by` is 0; never longer. */
static void replace(ksk_codepoints *line, const char *what, uint32_t by)
{
    const size_t length = strlen(what);
    size_t kept = 0;
    for (size_t i = 0; i < line->count;) {
        const bool found = starts_with(line, i, what, length);
        if (!found)
            line->at[kept++] = line->at[i];
        else if (by)
            line->at[kept++] = by;
        i += found ? length : 1;
    }
    line->count = kept;
}

bool ksk_tokenize_13a(ksk_codepoints *line)
{
    replace(line, "<skipped>", 0);
    replace(line, "-\n", 0);
    replace(line, "\n", ' ');
    replace(line, "&quot;", '"');
    replace(line, "&amp;", '&');
    replace(line, "&lt;", '<');
    replace(line, "&gt;", '>');
    /* A space at each end, so that the rules below see a neighbour everywhere. */
    for (int i = 0; i < 2; i++)
        if (!ksk_codepoints_push(line, ' '))
            return false;
    memmove(line->at + 1, line->at, (line->count - 2) * sizeof *line->at);
    line->at[0] = ' ';
    return apply(line, set_symbols_apart) && apply(line, split_unless_after_digit) &&
           apply(line, split_unless_before_digit) && apply(line, split_hyphen_after_digit);
}
