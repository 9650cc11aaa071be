#include "text/sentences.h"

#include <string.h>

#include "kaskad/memory.h"
#include "text/utf8.h"
#include "text/words.h"

bool ksk_spans_add(ksk_spans *spans, size_t begin, size_t end)
{
    if (!ksk_grow(&spans->spans, &spans->capacity, spans->count + 1, sizeof *spans->spans))
        return false;
    spans->spans[spans->count++] = (ksk_span){begin, end};
    return true;
}

/* The text as characters: rules look both ways. */
typedef struct letter {
    uint32_t character;
    size_t at; /* its first byte */
} letter;

typedef struct reader {
    const char *text;
    letter *letters; /* [count + 1]; the last one is 0 and stands behind the text */
    size_t count;
} reader;

static bool read_letters(reader *in, const char *text, size_t length)
{
    in->text = text;
    in->letters = ksk_calloc(length + 1, sizeof *in->letters);
    if (!in->letters)
        return false;
    for (size_t at = 0; at < length; in->count++) {
        in->letters[in->count].at = at;
        at += ksk_utf8_next(text + at, length - at, &in->letters[in->count].character);
    }
    in->letters[in->count].at = length;
    return true;
}

static uint32_t character(const reader *in, size_t i)
{
    return in->letters[i].character;
}

/* --- kinds of characters ---- */

static bool is_among(uint32_t c, const uint32_t *list)
{
    for (; *list; list++)
        if (*list == c)
            return true;
    return false;
}

static bool is_wide_terminator(uint32_t c)
{
    return is_among(c, (const uint32_t[]){0x3002, 0xFF01, 0xFF1F, 0xFF61, 0});
}

static bool is_terminator(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || (c >= 0x203C && c <= 0x203D) ||
           (c >= 0x2047 && c <= 0x2049) || is_wide_terminator(c);
}

/* Quotes and brackets; which of them open and which close depends on the language, so where they
 * stand decides: right behind a terminator they close, before a word they open. */
static bool is_closer(uint32_t c)
{
    return is_among(c, (const uint32_t[]){'"',    '\'',   ')',    ']',    '}',    0xBB,   0xAB,
                                          0x2018, 0x2019, 0x201C, 0x201D, 0x2039, 0x203A, 0x300D,
                                          0x300F, 0x3011, 0x3009, 0x300B, 0xFF09, 0});
}

static bool is_opener(uint32_t c)
{
    return is_among(c, (const uint32_t[]){'"',    '\'',   '(',    '[',    '{',    '-',
                                          '*',    0xA1,   0xBF,   0xAB,   0xBB,   0x2013,
                                          0x2014, 0x2018, 0x201A, 0x201B, 0x201C, 0x201E,
                                          0x2022, 0x2039, 0x203A, 0x300C, 0x300E, 0});
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

/* Small letters of Latin, Greek and Cyrillic. */
static bool is_small(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z';
    if (c < 0x100)
        return c >= 0xDF && c != 0xF7;
    if (c < 0x180)
        return ((c >= 0x139 && c <= 0x148) || c >= 0x179) ? c % 2 == 0 : c % 2 == 1;
    return (c >= 0x3AC && c <= 0x3CE) || (c >= 0x430 && c <= 0x45F);
}

static bool is_capital(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) ||
           (c >= 0x100 && c < 0x180 && !is_small(c)) || (c >= 0x386 && c <= 0x3AB) ||
           (c >= 0x400 && c <= 0x42F);
}

static bool is_letter(uint32_t c)
{
    return is_small(c) || is_capital(c);
}

/* --- words ---- */

typedef struct word {
    size_t begin, end; /* letters */
} word;

static size_t skip_space(const reader *in, size_t i)
{
    while (i < in->count && ksk_utf8_space(character(in, i)))
        i++;
    return i;
}

/* The word that ends before `end`: back to white space or what opens, and not before `from`. */
static word word_before(const reader *in, size_t from, size_t end)
{
    size_t begin = end;
    while (begin > from && !ksk_utf8_space(character(in, begin - 1)) &&
           !is_opener(character(in, begin - 1)))
        begin--;
    return (word){begin, end};
}

/* The word before another one, with its full stop if it has one. */
static word previous_word(const reader *in, size_t from, word behind)
{
    size_t end = behind.begin;
    while (end > from && ksk_utf8_space(character(in, end - 1)))
        end--;
    return word_before(in, from, end);
}

/* The word at `begin`: letters, or digits. */
static word word_at(const reader *in, size_t begin)
{
    size_t end = begin;
    while (end < in->count && (is_letter(character(in, end)) || is_digit(character(in, end))))
        end++;
    return (word){begin, end};
}

static size_t letters(word of)
{
    return of.end - of.begin;
}

/* Whether a list has the word, in lower case. Long words are in no list. */
static bool listed(const reader *in, word which, bool (*list)(const char *))
{
    unsigned char small[40];
    const size_t begin = in->letters[which.begin].at;
    const size_t length = in->letters[which.end].at - begin;
    if (!length || length >= sizeof small)
        return false;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)in->text[begin + i];
        /* Ä, Ö, Ü and their like are C3 80 to C3 9E; the small ones lie 20 higher. */
        const bool latin = i && small[i - 1] == 0xC3 && c <= 0x9E;
        small[i] = (unsigned char)(latin || (c >= 'A' && c <= 'Z') ? c + 0x20 : c);
    }
    small[length] = '\0';
    return list((const char *)small);
}

static bool all_are(const reader *in, word of, bool (*kind)(uint32_t))
{
    for (size_t i = of.begin; i < of.end; i++)
        if (!kind(character(in, i)))
            return false;
    return letters(of) > 0;
}

/* One letter and a full stop, as in "J." */
static bool is_initial(const reader *in, word of)
{
    return letters(of) == 1 && character(in, of.end) == '.' && is_letter(character(in, of.begin));
}

/* A word that names begin with rarely and sentences often. */
static bool starts_sentence(const reader *in, word next)
{
    return !is_initial(in, next) && listed(in, next, ksk_word_starts_sentence);
}

/* "z.B", "U.S", "a.m": parts of at most three letters, between full stops. */
static bool is_dotted(const reader *in, word of)
{
    size_t part = 0, dots = 0;
    for (size_t i = of.begin; i < of.end; i++) {
        const bool dot = character(in, i) == '.';
        if (!dot && !is_letter(character(in, i)))
            return false;
        part = dot ? 0 : part + 1;
        dots += dot;
        if (part > 3)
            return false;
    }
    return dots > 0;
}

/* --- rules for one full stop: `before` stands before it, `next` behind ---- */

/* "am 3. Oktober", "der 2. Weltkrieg", "3. 10. 1990", "1. Start" */
static bool is_ordinal(const reader *in, size_t from, word before, word next)
{
    if (before.begin == from)
        return true;
    if (letters(before) > 3)
        return false;
    if (listed(in, next, ksk_word_follows_ordinal))
        return true;
    if (letters(before) <= 2 && all_are(in, next, is_digit))
        return true;
    return listed(in, previous_word(in, from, before), ksk_word_precedes_ordinal) &&
           letters(next) > 0 && !starts_sentence(in, next);
}

/* "J. R. R. Tolkien", "z. B.", "d. h.", "n. Chr." */
static bool is_single(const reader *in, size_t from, word before, word next)
{
    const word previous = previous_word(in, from, before);
    const bool small = is_small(character(in, before.begin));
    if (letters(previous) == 2 && is_small(character(in, previous.begin)) &&
        character(in, previous.begin + 1) == '.')
        return !small || !starts_sentence(in, next);
    if (small)
        return letters(next) <= 3 && character(in, next.end) == '.';
    return before.begin == from || !starts_sentence(in, next);
}

/* "Hauptstr. 5" */
static bool is_street(const reader *in, word of)
{
    return letters(of) > 3 && character(in, of.end - 3) == 's' &&
           character(in, of.end - 2) == 't' && character(in, of.end - 1) == 'r';
}

static bool is_abbreviation(const reader *in, word before, word next)
{
    if (listed(in, before, ksk_word_is_title))
        return true;
    if (is_digit(character(in, next.begin)) &&
        (is_street(in, before) || listed(in, before, ksk_word_is_before_number)))
        return true;
    return (is_dotted(in, before) || listed(in, before, ksk_word_is_abbreviation)) &&
           !starts_sentence(in, next);
}

static bool full_stop_ends(const reader *in, size_t from, size_t stop, size_t next_begin)
{
    const word before = word_before(in, from, stop), next = word_at(in, next_begin);
    if (all_are(in, before, is_digit))
        return !is_ordinal(in, from, before, next);
    if (letters(before) == 1 && is_letter(character(in, before.begin)))
        return !is_single(in, from, before, next);
    return !is_abbreviation(in, before, next);
}

/* Whether the terminators [run, end), closed until `close`, end the sentence that starts at `from`.
 */
static bool ends_sentence(const reader *in, size_t from, size_t run, size_t end, size_t close)
{
    for (size_t i = run; i < end; i++)
        if (is_wide_terminator(character(in, i)))
            return true;
    if (close < in->count && !ksk_utf8_space(character(in, close)))
        return false;
    size_t next = skip_space(in, close);
    while (next < in->count &&
           (is_opener(character(in, next)) || ksk_utf8_space(character(in, next))))
        next++;
    if (next == in->count)
        return true;
    if (is_small(character(in, next)))
        return false;
    const bool full_stop = end - run == 1 && character(in, run) == '.';
    return !full_stop || full_stop_ends(in, from, run, next);
}

/* Where white space at `i` ends if it holds an empty line; `i` if it does not. */
static size_t empty_line(const reader *in, size_t i)
{
    const size_t end = skip_space(in, i);
    int feeds = 0;
    for (size_t j = i; j < end; j++)
        feeds += character(in, j) == '\n';
    return feeds > 1 ? end : i;
}

/* The letter behind the sentence that starts at `from`. */
static size_t sentence_end(const reader *in, size_t from)
{
    for (size_t i = from; i < in->count;) {
        const size_t run = i;
        if (ksk_utf8_space(character(in, i))) {
            if (empty_line(in, i) > i)
                return i;
            i = skip_space(in, i);
            continue;
        }
        while (i < in->count && is_terminator(character(in, i)))
            i++;
        if (i == run) {
            i++;
            continue;
        }
        size_t close = i;
        while (close < in->count && is_closer(character(in, close)))
            close++;
        if (ends_sentence(in, from, run, i, close))
            return close;
    }
    return in->count;
}

bool ksk_sentences_split(const char *text, size_t length, ksk_spans *spans, ksk_error *err)
{
    reader in = {0};
    bool split = read_letters(&in, text, length);
    for (size_t from = skip_space(&in, 0); split && from < in.count;) {
        const size_t end = sentence_end(&in, from);
        const char *sentence = text + in.letters[from].at;
        size_t bytes = in.letters[end].at - in.letters[from].at;
        ksk_utf8_strip_right(&sentence, &bytes);
        split = ksk_spans_add(spans, in.letters[from].at, in.letters[from].at + bytes);
        from = skip_space(&in, end);
    }
    ksk_free(in.letters);
    return split || ksk_fail_memory(err);
}
