#include "io/header.h"

#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "kaskad/memory.h"

static const ksk_stored_type types[] = {
    {"F32", 32, KSK_F32}, {"BF16", 16, KSK_BF16}, {"F16", 16, KSK_F16},   {"I32", 32, KSK_I32},
    {"I8", 8, KSK_I8},    {"U8", 8, KSK_U8},      {"BOOL", 8, -1},        {"I16", 16, -1},
    {"U16", 16, -1},      {"U32", 32, -1},        {"I64", 64, -1},        {"U64", 64, -1},
    {"F64", 64, -1},      {"C64", 64, -1},        {"F8_E4M3", 8, -1},     {"F8_E5M2", 8, -1},
    {"F8_E8M0", 8, -1},   {"F8_E4M3FNUZ", 8, -1}, {"F8_E5M2FNUZ", 8, -1}, {"F6_E2M3", 6, -1},
    {"F6_E3M2", 6, -1},   {"F4", 4, -1},
};

typedef struct scanner {
    const char *file, *start, *at, *end;
    const char *tensor; /* whose entry is being read, or NULL */
    char *text;         /* the last string, decoded; NUL-terminated */
    size_t capacity;
    ksk_error *err;
} scanner;

enum { name_room = 120 }; /* of a name within a message */

/* Always false: the file and the tensor are wrong as `problem` says. */
static bool refuse(const scanner *scan, const char *problem)
{
    char name[name_room];
    if (scan->tensor)
        return ksk_fail(scan->err, KSK_BAD_FORMAT, "%s: tensor \"%s\": %s", scan->file,
                        ksk_printable(scan->tensor, name, sizeof name), problem);
    return ksk_fail(scan->err, KSK_BAD_FORMAT, "%s: header, byte %zu: %s", scan->file,
                    (size_t)(scan->at - scan->start), problem);
}

/* --- tokens ---------------------------------------------------------------------------------- */

static void skip_space(scanner *scan)
{
    while (scan->at < scan->end && *scan->at && strchr(" \t\r\n", *scan->at))
        scan->at++;
}

/* Takes `mark`, after any space, if it is next. */
static bool accept(scanner *scan, char mark)
{
    skip_space(scan);
    const bool found = scan->at < scan->end && *scan->at == mark;
    scan->at += found;
    return found;
}

static bool expect(scanner *scan, char mark)
{
    char problem[] = "'?' expected";
    problem[1] = mark;
    return accept(scan, mark) || refuse(scan, problem);
}

/* After an item of a list: true with `*more` set unless neither a comma nor `close` follows. */
static bool next_item(scanner *scan, char close, bool *more)
{
    *more = accept(scan, ',');
    return *more || expect(scan, close);
}

/* Four hexadecimal digits, or -1. */
static long scan_hex(scanner *scan)
{
    long value = 0;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = scan->at < scan->end && *scan->at ? strchr(digits, *scan->at) : NULL;
        if (!digit)
            return -1;
        value = value * 16 + (digit - digits) % 16;
        scan->at++;
    }
    return value;
}

static size_t put_utf8(char *out, long code)
{
    size_t length = 0;
    if (code < 0x80) {
        out[length++] = (char)code;
        return length;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[length++] = (char)(lead[more] | (unsigned)(code >> 6 * more));
    for (int i = more - 1; i >= 0; i--)
        out[length++] = (char)(0x80 | (code >> 6 * i & 0x3F));
    return length;
}

/* The character of a \u escape, a pair of surrogates counting as one; 0 if it is none. */
static long scan_unicode(scanner *scan)
{
    const long high = scan_hex(scan);
    if (high < 0xD800 || high > 0xDFFF)
        return high < 0 ? 0 : high;
    if (high > 0xDBFF || scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u')
        return 0;
    scan->at += 2;
    const long low = scan_hex(scan);
    return low >= 0xDC00 && low <= 0xDFFF ? 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00) : 0;
}

/* What follows a backslash, as UTF-8 into `out`; its length, or 0 when it is no escape. */
static size_t scan_escape(scanner *scan, char *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->end)
        return 0;
    const char name = *scan->at++;
    if (name == 'u') {
        const long code = scan_unicode(scan);
        return code ? put_utf8(out, code) : 0;
    }
    const char *found = name ? strchr(names, name) : NULL;
    if (!found)
        return 0;
    *out = values[found - names];
    return 1;
}

/* Reads a string into scan->text. No escape is shorter than what it stands for. */
static bool scan_string(scanner *scan)
{
    if (!expect(scan, '"'))
        return false;
    const char *close = scan->at;
    while (close < scan->end && *close != '"')
        close += *close == '\\' && close + 1 < scan->end ? 2 : 1;
    if (close >= scan->end)
        return refuse(scan, "a string does not end");
    if (!ksk_grow(&scan->text, &scan->capacity, (size_t)(close - scan->at) + 1, 1))
        return ksk_fail_memory(scan->err);
    size_t length = 0;
    while (scan->at < close) {
        const char byte = *scan->at++;
        if ((unsigned char)byte < 0x20)
            return refuse(scan, "a control character within a string");
        scan->text[length] = byte;
        const size_t added = byte == '\\' ? scan_escape(scan, scan->text + length) : 1;
        if (added == 0)
            return refuse(scan, "a bad escape within a string");
        length += added;
    }
    scan->at = close + 1;
    scan->text[length] = '\0';
    return ksk_utf8_valid(scan->text, length) || refuse(scan, "a string is not UTF-8");
}

static bool scan_integer(scanner *scan, uint64_t *value)
{
    skip_space(scan);
    const char *first = scan->at;
    bool sound = true;
    for (*value = 0; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++)
        sound = sound && !__builtin_mul_overflow(*value, 10u, value) &&
                !__builtin_add_overflow(*value, (uint64_t)(*scan->at - '0'), value);
    const bool padded = scan->at - first > 1 && *first == '0';
    return (sound && !padded && scan->at > first) ||
           refuse(scan, "an integer from 0 to 18446744073709551615 expected");
}

/* --- entries --------------------------------------------------------------------------------- */

/* Where a tensor's fields have been seen. */
typedef struct fields {
    bool dtype, shape, offsets;
    uint64_t elements;
} fields;

static bool scan_dtype(scanner *scan, ksk_entry *entry)
{
    if (!scan_string(scan))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, scan->text) == 0)
            entry->type = &types[i];
    if (entry->type)
        return true;
    char problem[name_room + 40] = "unknown dtype ", *end = problem + strlen(problem);
    ksk_printable(scan->text, end, name_room);
    return refuse(scan, problem);
}

static bool scan_shape(scanner *scan, ksk_entry *entry, uint64_t *elements)
{
    if (!expect(scan, '['))
        return false;
    *elements = 1;
    for (bool more = !accept(scan, ']'); more;) {
        uint64_t size;
        if (!scan_integer(scan, &size))
            return false;
        if (size > INT64_MAX || __builtin_mul_overflow(*elements, size, elements))
            return refuse(scan, "the shape's sizes multiply to more than 64 bits hold");
        if (entry->rank < KSK_MAX_RANK)
            entry->shape[entry->rank] = (int64_t)size;
        if (++entry->rank > 1000)
            return refuse(scan, "the shape has more than 1000 sizes");
        if (!next_item(scan, ']', &more))
            return false;
    }
    return true;
}

static bool scan_offsets(scanner *scan, ksk_entry *entry)
{
    return expect(scan, '[') && scan_integer(scan, &entry->begin) && expect(scan, ',') &&
           scan_integer(scan, &entry->end) && expect(scan, ']');
}

/* True the first time. */
static bool once(scanner *scan, bool *seen, const char *problem)
{
    const bool first = !*seen;
    *seen = true;
    return first || refuse(scan, problem);
}

static bool scan_field(scanner *scan, ksk_entry *entry, fields *seen)
{
    if (!scan_string(scan) || !expect(scan, ':'))
        return false;
    if (strcmp(scan->text, "dtype") == 0)
        return once(scan, &seen->dtype, "two fields dtype") && scan_dtype(scan, entry);
    if (strcmp(scan->text, "shape") == 0)
        return once(scan, &seen->shape, "two fields shape") &&
               scan_shape(scan, entry, &seen->elements);
    if (strcmp(scan->text, "data_offsets") == 0)
        return once(scan, &seen->offsets, "two fields data_offsets") && scan_offsets(scan, entry);
    return refuse(scan, "a field other than dtype, shape and data_offsets");
}

static bool check_size(const scanner *scan, const ksk_entry *entry, const fields *seen)
{
    if (!seen->dtype || !seen->shape || !seen->offsets)
        return refuse(scan, !seen->dtype   ? "no field dtype"
                            : !seen->shape ? "no field shape"
                                           : "no field data_offsets");
    uint64_t bits;
    if (__builtin_mul_overflow(seen->elements, (uint64_t)entry->type->bits, &bits))
        return refuse(scan, "the shape and dtype need more than 64 bits hold");
    if (entry->begin > entry->end)
        return refuse(scan, "data_offsets end before they begin");
    return (bits % 8 == 0 && entry->end - entry->begin == bits / 8) ||
           refuse(scan, "data_offsets disagree with shape and dtype");
}

/* Reads the tensor whose name is in scan->text and appends it to *header. */
static bool scan_tensor(scanner *scan, ksk_header *header, int shard)
{
    if (!ksk_grow(&header->entries, &header->capacity, header->count + 1, sizeof *header->entries))
        return ksk_fail_memory(scan->err);
    ksk_entry *entry = &header->entries[header->count];
    *entry = (ksk_entry){.name = ksk_strdup(scan->text), .shard = shard};
    if (!entry->name)
        return ksk_fail_memory(scan->err);
    header->count++;
    scan->tensor = entry->name;
    fields seen = {0};
    bool more = true;
    if (!expect(scan, '{'))
        return false;
    while (more)
        if (!scan_field(scan, entry, &seen) || !next_item(scan, '}', &more))
            return false;
    if (!check_size(scan, entry, &seen))
        return false;
    scan->tensor = NULL;
    return true;
}

/* Keeps the key that is in scan->text; its value comes next. */
static bool open_note(scanner *scan, ksk_header *header, ksk_note **note)
{
    static const char ours[] = "kaskad.";
    *note = NULL;
    if (strncmp(scan->text, ours, sizeof ours - 1) != 0)
        return true;
    if (header->note_count == KSK_MOST_NOTES)
        return refuse(scan, "too many notes of kaskad's in __metadata__");
    if (ksk_header_note(header, scan->text))
        return refuse(scan, "a key of __metadata__ is used twice");
    *note = &header->notes[header->note_count];
    (*note)->key = ksk_strdup(scan->text);
    return (*note)->key || ksk_fail_memory(scan->err);
}

static bool scan_note(scanner *scan, ksk_header *header)
{
    ksk_note *note;
    if (!scan_string(scan) || !open_note(scan, header, &note))
        return false;
    header->note_count += note != NULL;
    if (!expect(scan, ':') || !scan_string(scan))
        return false;
    if (note)
        note->value = ksk_strdup(scan->text);
    return !note || note->value || ksk_fail_memory(scan->err);
}

static bool scan_metadata(scanner *scan, ksk_header *header)
{
    if (!expect(scan, '{'))
        return false;
    for (bool more = !accept(scan, '}'); more;)
        if (!scan_note(scan, header) || !next_item(scan, '}', &more))
            return false;
    return true;
}

static bool scan_header(scanner *scan, ksk_header *header, int shard)
{
    bool metadata = false;
    if (scan->at == scan->end || *scan->at != '{')
        return refuse(scan, "'{' expected");
    scan->at++;
    for (bool more = !accept(scan, '}'); more;) {
        if (!scan_string(scan) || !expect(scan, ':'))
            return false;
        const bool well =
            strcmp(scan->text, "__metadata__") != 0
                ? scan_tensor(scan, header, shard)
                : once(scan, &metadata, "two fields __metadata__") && scan_metadata(scan, header);
        if (!well || !next_item(scan, '}', &more))
            return false;
    }
    skip_space(scan);
    return scan->at == scan->end || refuse(scan, "something follows the header's end");
}

/* --- order ----------------------------------------------------------------------------------- */

static int by_offsets(const void *left, const void *right)
{
    const ksk_entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static int by_name(const void *left, const void *right)
{
    const ksk_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* The entries from `first` on, in order of offsets, must cover the data exactly. */
static bool check_cover(scanner *scan, const ksk_header *header, size_t first, uint64_t data_bytes)
{
    uint64_t at = 0;
    for (size_t i = first; i < header->count; i++) {
        const ksk_entry *entry = &header->entries[i];
        scan->tensor = entry->name;
        if (entry->end > data_bytes)
            return refuse(scan, "data_offsets reach past the end of the file");
        if (entry->begin != at)
            return refuse(scan, entry->begin < at ? "data_offsets overlap another tensor's"
                                                  : "data_offsets leave a hole before it");
        at = entry->end;
    }
    scan->tensor = NULL;
    return at == data_bytes || refuse(scan, "the data is longer than the tensors");
}

static bool check_names(scanner *scan, const ksk_header *header)
{
    for (size_t i = 1; i < header->count; i++) {
        scan->tensor = header->entries[i].name;
        if (strcmp(scan->tensor, header->entries[i - 1].name) == 0)
            return refuse(scan, "the name is used twice");
    }
    return true;
}

static void sort(ksk_header *header, size_t first, int (*order)(const void *, const void *))
{
    if (header->count > first)
        qsort(header->entries + first, header->count - first, sizeof *header->entries, order);
}

bool ksk_header_read(ksk_header *header, const char *file, const char *text, size_t size,
                     uint64_t data_bytes, int shard, ksk_error *err)
{
    scanner scan = {.file = file, .start = text, .at = text, .end = text + size, .err = err};
    const size_t first = header->count;
    bool well = scan_header(&scan, header, shard);
    if (well) {
        sort(header, first, by_offsets);
        well = check_cover(&scan, header, first, data_bytes);
    }
    if (well) {
        sort(header, 0, by_name);
        well = check_names(&scan, header);
    }
    ksk_free(scan.text);
    return well;
}

void ksk_header_free(ksk_header *header)
{
    for (size_t i = 0; i < header->count; i++)
        ksk_free(header->entries[i].name);
    for (int i = 0; i < header->note_count; i++) {
        ksk_free(header->notes[i].key);
        ksk_free(header->notes[i].value);
    }
    ksk_free(header->entries);
    *header = (ksk_header){0};
}

const ksk_entry *ksk_header_find(const ksk_header *header, const char *name)
{
    const ksk_entry key = {.name = (char *)name};
    return header->count ? bsearch(&key, header->entries, header->count, sizeof key, by_name)
                         : NULL;
}

const char *ksk_header_note(const ksk_header *header, const char *key)
{
    for (int i = 0; i < header->note_count; i++)
        if (strcmp(header->notes[i].key, key) == 0)
            return header->notes[i].value;
    return NULL;
}
