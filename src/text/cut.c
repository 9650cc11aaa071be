/* Cuts a text that is too long for a model where it hurts least. */
#include "kaskad/memory.h"
#include "text/sentences.h"
#include "text/utf8.h"

typedef struct cutter {
    const ksk_tokenizer *tokenizer;
    const char *text;
    size_t length, most;
    ksk_ids ids; /* of the last piece measured */
    ksk_error *err;
} cutter;

/* `*fits` says whether [begin, end) has at most `most` tokens. */
static bool measure(cutter *cut, size_t begin, size_t end, bool *fits)
{
    cut->ids.count = 0;
    if (!ksk_tokenizer_encode_source(cut->tokenizer, cut->text + begin, end - begin, &cut->ids,
                                     NULL, cut->err))
        return false;
    *fits = cut->ids.count <= cut->most;
    return true;
}

static bool is_inside(const cutter *cut, size_t at)
{
    return at < cut->length && ((unsigned char)cut->text[at] & 0xC0) == 0x80;
}

/* The start of the character that has the byte `at`, not before `begin`. */
static size_t align(const cutter *cut, size_t begin, size_t at)
{
    for (int i = 0; i < 3 && at > begin && is_inside(cut, at); i++)
        at--;
    return at;
}

/* A start of a character in the middle of (low, high), `high` if there is none. */
static size_t find_middle(const cutter *cut, size_t low, size_t high)
{
    size_t middle = align(cut, low, low + (high - low) / 2);
    if (middle > low)
        return middle;
    uint32_t character;
    middle = low + ksk_utf8_next(cut->text + low, cut->length - low, &character);
    return middle < high ? middle : high;
}

/* About the largest prefix of [begin, length) that fits: doubling, then halving, so that the work
 * depends on the piece and not on what is left. `begin` when not even one character fits. */
static bool find_reach(cutter *cut, size_t begin, size_t *reach)
{
    size_t fitting = begin, failing = cut->length + 1; /* that one would be too long */
    bool fits = true;
    for (size_t step = 64; fits && fitting < cut->length; step *= 2) {
        const size_t end =
            step < cut->length - begin ? align(cut, begin, begin + step) : cut->length;
        if (!measure(cut, begin, end, &fits))
            return false;
        *(fits ? &fitting : &failing) = end;
    }
    while (failing <= cut->length) {
        const size_t middle = find_middle(cut, fitting, failing);
        if (middle == failing)
            break;
        if (!measure(cut, begin, middle, &fits))
            return false;
        *(fits ? &fitting : &failing) = middle;
    }
    *reach = fitting;
    return true;
}

/* --- boundaries ---- */

static bool is_wide_punctuation(uint32_t c)
{
    return c == 0x3001 || c == 0x3002 || c == 0xFF0C || c == 0xFF01 || c == 0xFF1A || c == 0xFF1B ||
           c == 0xFF1F;
}

static bool is_punctuation(uint32_t c)
{
    return c == ',' || c == ';' || c == ':' || c == '.' || c == '!' || c == '?' || c == ')' ||
           c == 0x2013 || c == 0x2014 || c == 0x2026 || is_wide_punctuation(c);
}

/* What belongs to the character before it: accents, joiners, variants, skin tones. */
static bool is_extending(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36F) || c == 0x200D || (c >= 0xFE00 && c <= 0xFE0F) ||
           (c >= 0x1F3FB && c <= 0x1F3FF);
}

typedef enum boundary { BEHIND_PUNCTUATION, BEHIND_SPACE, BEHIND_CHARACTER } boundary;

/* Whether a cut between `before` and `after` is one of the kind; `solid` is the last character
 * before the cut that is not white space. */
static bool is_boundary(boundary kind, uint32_t before, uint32_t after, uint32_t solid)
{
    const bool space = ksk_utf8_space(before) && !ksk_utf8_space(after);
    switch (kind) {
    case BEHIND_PUNCTUATION:
        return (space && is_punctuation(solid)) ||
               (is_wide_punctuation(before) && !ksk_utf8_space(after));
    case BEHIND_SPACE:
        return space;
    case BEHIND_CHARACTER:
        return !is_extending(after) && before != 0x200D;
    }
    return false;
}

/* The last boundary of the kind in (begin, reach]; `begin` if there is none. */
static size_t last_boundary(const cutter *cut, boundary kind, size_t begin, size_t reach)
{
    size_t found = begin;
    uint32_t before = 0, solid = 0;
    for (size_t at = begin; at <= reach && at < cut->length;) {
        uint32_t after;
        const size_t taken = ksk_utf8_next(cut->text + at, cut->length - at, &after);
        if (at > begin && is_boundary(kind, before, after, solid))
            found = at;
        before = after;
        if (!ksk_utf8_space(after))
            solid = after;
        at += taken;
    }
    return found;
}

/* The last boundary of the kind behind `low` whose piece fits; `begin` if there is none. A shorter
 * text can have more tokens, when the cut goes through one, so every candidate is measured. */
static bool find_cut(cutter *cut, boundary kind, size_t begin, size_t low, size_t reach,
                     size_t *found)
{
    for (*found = reach; *found > low;) {
        *found = last_boundary(cut, kind, begin, *found);
        bool fits;
        if (*found <= low)
            break;
        if (!measure(cut, begin, *found, &fits))
            return false;
        if (fits)
            return true;
        --*found;
    }
    *found = begin;
    return true;
}

/* The end of the word at `at` and of the white space behind it; at most some 200 bytes on. */
static size_t word_end(const cutter *cut, size_t at)
{
    const size_t limit = cut->length - at > 200 ? at + 200 : cut->length;
    for (bool space = false; at < limit;) {
        uint32_t next;
        const size_t taken = ksk_utf8_next(cut->text + at, cut->length - at, &next);
        if (space && !ksk_utf8_space(next))
            break;
        space = ksk_utf8_space(next);
        at += taken;
    }
    return at;
}

/* A part of a word can have more tokens than the whole, so words behind the reach may still fit. */
static bool extend_reach(cutter *cut, size_t begin, size_t *reach)
{
    for (bool fits = true; fits && *reach > begin && *reach < cut->length;) {
        const size_t end = word_end(cut, *reach);
        if (!measure(cut, begin, end, &fits))
            return false;
        if (fits)
            *reach = end;
    }
    return true;
}

/* Where the piece that begins at `begin` ends. */
static bool find_end(cutter *cut, size_t begin, size_t *end)
{
    size_t reach;
    if (!find_reach(cut, begin, &reach) || !extend_reach(cut, begin, &reach))
        return false;
    *end = reach;
    if (reach == cut->length)
        return true;
    const size_t half = begin + (reach - begin) / 2;
    static const boundary kinds[] = {BEHIND_PUNCTUATION, BEHIND_SPACE, BEHIND_SPACE,
                                     BEHIND_CHARACTER};
    for (int i = 0; i < 4; i++) {
        if (!find_cut(cut, kinds[i], begin, i < 2 ? half : begin, reach, end))
            return false;
        if (*end > begin)
            return true;
    }
    *end = reach; /* one long cluster: between its characters */
    return reach > begin ||
           ksk_fail(cut->err, KSK_BAD_ARGUMENT,
                    "one character alone has more than %zu tokens; allow more", cut->most);
}

bool ksk_sentences_cut(const ksk_tokenizer *tokenizer, const char *text, size_t length, size_t most,
                       ksk_spans *spans, ksk_error *err)
{
    cutter cut = {tokenizer, text, length, most, {0}, err};
    const size_t before = spans->count;
    bool done = true;
    for (size_t begin = 0; done && begin < length;) {
        size_t end = begin;
        done = find_end(&cut, begin, &end) &&
               (ksk_spans_add(spans, begin, end) || ksk_fail_memory(err));
        begin = end;
    }
    if (!done)
        spans->count = before;
    ksk_free(cut.ids.ids);
    return done;
}
