#include "io/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "kaskad/memory.h"

json_t *ksk_json_read(const char *directory, const char *name, char **file, ksk_error *err)
{
    *file = ksk_path(directory, name);
    if (!*file) {
        ksk_fail_memory(err);
        return NULL;
    }
    size_t size;
    char *text = ksk_file_read(*file, KSK_JSON_MAX, &size, err);
    json_t *value = text ? ksk_json_parse(*file, text, size, JSON_REJECT_DUPLICATES, err) : NULL;
    ksk_free(text);
    return value;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Digits that keep every number of the value: 15 give back what people wrote ("0.1"), 17 anything.
 */
static size_t digits_needed(const json_t *value)
{
    size_t needed = 15, index;
    const char *key;
    json_t *item;
    if (json_is_real(value)) {
        char text[40];
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        return strtod(text, NULL) == json_real_value(value) ? 15 : 17;
    }
    if (json_is_array(value))
        json_array_foreach(value, index, item) needed = larger(needed, digits_needed(item));
    if (json_is_object(value))
        json_object_foreach((json_t *)value, key, item) needed =
            larger(needed, digits_needed(item));
    return needed;
}

typedef struct writing {
    const json_t *object;
    ksk_file_writer *writer;
    ksk_error *err;
    bool failed; /* by the file, which has then said so */
} writing;

static int put(const char *bytes, size_t size, void *context)
{
    writing *self = context;
    self->failed = self->failed || !ksk_file_put(self->writer, bytes, size, self->err);
    return self->failed ? -1 : 0;
}

static bool write_object(void *context, ksk_file_writer *writer, ksk_error *err)
{
    writing *self = context;
    self->writer = writer;
    self->err = err;
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(digits_needed(self->object));
    if (json_dump_callback(self->object, put, self, flags) != 0)
        return self->failed ? false : ksk_fail_memory(err);
    return ksk_file_put(writer, "\n", 1, err);
}

bool ksk_json_write(const char *directory, const char *name, const json_t *object, ksk_error *err)
{
    char *file = ksk_path(directory, name);
    if (!file)
        return ksk_fail_memory(err);
    writing self = {.object = object};
    const bool well = ksk_file_replace(file, write_object, &self, err);
    ksk_free(file);
    return well;
}
