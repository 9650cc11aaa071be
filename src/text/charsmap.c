#include "text/charsmap.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* --- protocol buffers: fields of a message, one after the other ---- */

typedef struct reader {
    const unsigned char *at, *end;
} reader;

typedef struct field {
    uint64_t number;
    reader content; /* of a field with a length; empty for numbers */
} field;

static bool read_number(reader *in, uint64_t *number)
{
    *number = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        const unsigned char byte = *in->at++;
        *number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool skip(reader *in, uint64_t size, reader *skipped)
{
    if (size > (uint64_t)(in->end - in->at))
        return false;
    *skipped = (reader){in->at, in->at + size};
    in->at += size;
    return true;
}

/* False where the message is broken. Groups are long out of use and count as broken. */
static bool read_field(reader *in, field *into)
{
    uint64_t tag, value;
    reader skipped;
    into->content = (reader){NULL, NULL};
    if (!read_number(in, &tag))
        return false;
    into->number = tag >> 3;
    switch (tag & 7) {
    case 0:
        return read_number(in, &value);
    case 1:
        return skip(in, 8, &skipped);
    case 2:
        return read_number(in, &value) && skip(in, value, &into->content);
    case 5:
        return skip(in, 4, &skipped);
    default:
        return false;
    }
}

/* --- the table: a size, a double-array trie (Yata's Darts-clone) of that size, texts ---- */

static uint32_t read_unit(const unsigned char *trie, size_t index)
{
    uint32_t unit;
    memcpy(&unit, trie + 4 * index, sizeof unit);
    return unit;
}

/* A unit's children lie at its base with the lowest byte changed, its text's offset at its base. */
static bool check_unit(const unsigned char *trie, size_t units, size_t index, size_t text_size)
{
    const uint32_t unit = read_unit(trie, index);
    if (unit >> 31) /* itself an offset of a text; only reached from its parent */
        return true;
    const size_t base = index ^ ((size_t)(unit >> 10) << (unit >> 6 & 8));
    if ((base | 0xFF) >= units)
        return false;
    const bool has_text = unit >> 8 & 1;
    return !has_text || (read_unit(trie, base) & 0x7FFFFFFF) < text_size;
}

static bool check_table(reader table)
{
    const size_t size = (size_t)(table.end - table.at);
    if (!size) /* no normalisation */
        return true;
    if (size < 5)
        return false;
    const size_t trie_size = read_unit(table.at, 0), units = trie_size / 4;
    if (trie_size % 4 || !units || trie_size >= size - 4 || table.end[-1])
        return false;
    for (size_t i = 0; i < units; i++)
        if (!check_unit(table.at + 4, units, i, size - 4 - trie_size))
            return false;
    return true;
}

/* normalizer_spec: its field 2 is the table. */
static bool check_normalizer(reader in)
{
    for (field one; in.at < in.end;)
        if (!read_field(&in, &one) || (one.number == 2 && !check_table(one.content)))
            return false;
    return true;
}

const char *ksk_charsmap_check(const void *bytes, size_t size)
{
    reader in = {bytes, (const unsigned char *)bytes + size};
    for (field one; in.at < in.end;) {
        if (!read_field(&in, &one))
            return "not a SentencePiece model";
        const bool normalizer = one.number == 3 || one.number == 5; /* and denormalizer */
        if (normalizer && !check_normalizer(one.content))
            return "its normalisation table is broken";
    }
    return NULL;
}
