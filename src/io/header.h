/* The JSON header of a safetensors file.
 *
 * It is read by a scanner of its own, which takes what the format allows and nothing else: a
 * hostile header of 100 MB then costs no more memory than the tensors it names, and a message can
 * say which tensor is wrong. */
#ifndef KSK_IO_HEADER_H
#define KSK_IO_HEADER_H

#include "kaskad/tensor.h"

enum { KSK_HEADER_MAX = 100000000 }; /* bytes, as the format's own reader has it */

/* An element type that a file may have. */
typedef struct ksk_stored_type {
    const char *name;
    int bits;
    int dtype; /* the ksk_dtype, or -1 if the library has none */
} ksk_stored_type;

typedef struct ksk_entry {
    char *name; /* UTF-8 without NUL */
    const ksk_stored_type *type;
    int rank; /* may be over KSK_MAX_RANK; the shape is then not kept */
    int64_t shape[KSK_MAX_RANK];
    uint64_t begin, end; /* bytes, from the end of the header */
    int shard;           /* for the reader's use */
} ksk_entry;

/* What __metadata__ says under a key; only those that begin with "kaskad." are kept. */
typedef struct ksk_note {
    char *key, *value;
} ksk_note;

enum { KSK_MOST_NOTES = 16 };

typedef struct ksk_header {
    ksk_entry *entries; /* by name */
    size_t count, capacity;
    ksk_note notes[KSK_MOST_NOTES];
    int note_count;
} ksk_header;

/* Reads `text` [size]; `file` names it in messages; `data_bytes` follow it. Checks everything:
 * names unique and UTF-8, types known, shapes that multiply without overflow, offsets that cover
 * the data without hole, overlap or tail. Appends the entries to *header, with the given shard
 * number, and sorts it by name; on failure *header still has to be freed. Errors: BAD_FORMAT,
 * OUT_OF_MEMORY. */
bool ksk_header_read(ksk_header *header, const char *file, const char *text, size_t size,
                     uint64_t data_bytes, int shard, ksk_error *err);
void ksk_header_free(ksk_header *header);

/* The entry of that name, or NULL. */
const ksk_entry *ksk_header_find(const ksk_header *header, const char *name);

/* The value of that note, or NULL. */
const char *ksk_header_note(const ksk_header *header, const char *key);

#endif
