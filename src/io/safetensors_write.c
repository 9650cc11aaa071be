/* Writing safetensors. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/string.h"
#include "io/checkpoint.h"
#include "io/header.h"
#include "kaskad/memory.h"

enum { alignment = 64 };

typedef struct item {
    const char *name;
    const ksk_tensor *tensor;
} item;

typedef struct writing {
    const item *items;
    int count;
    const char *key, *value; /* the note, or NULL */
    ksk_string header;
} writing;

/* Large elements first, so that every offset is a multiple of its own element's size. */
static int by_size_then_name(const void *left, const void *right)
{
    const item *a = left, *b = right;
    const size_t first = ksk_dtype_size(ksk_tensor_dtype(a->tensor));
    const size_t second = ksk_dtype_size(ksk_tensor_dtype(b->tensor));
    return first != second ? (first < second ? 1 : -1) : strcmp(a->name, b->name);
}

/* Those first that fill whole multiples of the alignment. */
static int by_alignment(const void *left, const void *right)
{
    const item *a = left, *b = right;
    const bool first = ksk_tensor_bytes(a->tensor) % alignment == 0;
    const bool second = ksk_tensor_bytes(b->tensor) % alignment == 0;
    return first != second ? (first ? -1 : 1) : by_size_then_name(left, right);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const item *)left)->name, ((const item *)right)->name);
}

/* Sorts by name along the way. */
static bool check_names(item *items, int count, ksk_error *err)
{
    char name[120];
    qsort(items, (size_t)count, sizeof *items, by_name);
    for (int i = 0; i < count; i++) {
        const char *problem = NULL;
        if (strcmp(items[i].name, "__metadata__") == 0)
            problem = "is reserved";
        else if (!ksk_utf8_valid(items[i].name, strlen(items[i].name)))
            problem = "is not UTF-8";
        else if (i > 0 && strcmp(items[i].name, items[i - 1].name) == 0)
            problem = "is used twice";
        if (problem)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "the tensor name \"%s\" %s",
                            ksk_printable(items[i].name, name, sizeof name), problem);
    }
    return true;
}

static void add_json_string(ksk_string *out, const char *text)
{
    ksk_string_add(out, "\"");
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < 0x20)
            ksk_string_add(out, "\\u%04x", byte);
        else
            ksk_string_add(out, byte == '"' || byte == '\\' ? "\\%c" : "%c", byte);
    }
    ksk_string_add(out, "\"");
}

/* Appends the tensor's entry; its data begin at `offset`. */
static void add_entry(ksk_string *out, const item *one, uint64_t offset)
{
    ksk_string_add(out, ",");
    add_json_string(out, one->name);
    ksk_string_add(out, ":{\"dtype\":\"%s\",\"shape\":[",
                   ksk_dtype_name(ksk_tensor_dtype(one->tensor)));
    for (int i = 0; i < ksk_tensor_rank(one->tensor); i++)
        ksk_string_add(out, "%s%" PRId64, i ? "," : "", ksk_tensor_size(one->tensor, i));
    ksk_string_add(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset,
                   offset + ksk_tensor_bytes(one->tensor));
}

/* The whole header, padded with spaces so that the data are aligned. */
static bool make_header(writing *self, ksk_error *err)
{
    uint64_t offset = 0;
    ksk_string_add(&self->header, "{\"__metadata__\":{\"%s\":\"%s\"}",
                   self->key ? self->key : "format", self->key ? self->value : "pt");
    for (int i = 0; i < self->count; i++) {
        add_entry(&self->header, &self->items[i], offset);
        offset += ksk_tensor_bytes(self->items[i].tensor);
    }
    ksk_string_add(&self->header, "}");
    const size_t over = (self->header.length + sizeof(uint64_t)) % alignment;
    if (!ksk_string_add(&self->header, "%*s", over ? (int)(alignment - over) : 0, ""))
        return ksk_fail_memory(err);
    return self->header.length <= KSK_HEADER_MAX ||
           ksk_fail(err, KSK_BAD_ARGUMENT,
                    "the names and shapes of %d tensors need %zu bytes, more "
                    "than the %d of a safetensors header",
                    self->count, self->header.length, KSK_HEADER_MAX);
}

static bool write_all(void *context, ksk_file_writer *writer, ksk_error *err)
{
    const writing *self = context;
    const uint64_t length = self->header.length;
    bool well = ksk_file_put(writer, &length, sizeof length, err) &&
                ksk_file_put(writer, self->header.data, self->header.length, err);
    for (int i = 0; well && i < self->count; i++)
        well = ksk_file_put(writer, ksk_tensor_data(self->items[i].tensor),
                            ksk_tensor_bytes(self->items[i].tensor), err);
    return well;
}

bool ksk_safetensors_write_noted(const char *path, const char *key, const char *value, int count,
                                 const char *const *names, const ksk_tensor *const *tensors,
                                 ksk_error *err)
{
    item *items = ksk_calloc((size_t)count, sizeof *items);
    if (!items)
        return ksk_fail_memory(err);
    for (int i = 0; i < count; i++)
        items[i] = (item){names[i], tensors[i]};
    bool well = check_names(items, count, err);
    qsort(items, (size_t)count, sizeof *items, key ? by_alignment : by_size_then_name);
    writing self = {.items = items, .count = count, .key = key, .value = value};
    well = well && make_header(&self, err) && ksk_file_replace(path, write_all, &self, err);
    ksk_free(self.header.data);
    ksk_free(items);
    return well;
}

bool ksk_safetensors_write(const char *path, int count, const char *const *names,
                           const ksk_tensor *const *tensors, ksk_error *err)
{
    return ksk_safetensors_write_noted(path, NULL, NULL, count, names, tensors, err);
}
