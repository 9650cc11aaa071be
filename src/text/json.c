#include "text/json.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "kaskad/memory.h"

static const size_t most_bytes = (size_t)256 << 20;

static json_t *load(const char *path, ksk_error *err)
{
    size_t size;
    char *text = ksk_file_read(path, most_bytes, &size, err);
    if (!text)
        return NULL;
    json_t *object = ksk_json_parse(path, text, size, 0, err);
    ksk_free(text);
    return object;
}

static json_t *load_named(const char *directory, const char *name, bool optional, ksk_error *err)
{
    char *path = ksk_path(directory, name);
    const bool absent = path && optional && access(path, F_OK) != 0;
    json_t *object = absent ? json_object() : path ? load(path, err) : NULL;
    if (!path || (absent && !object))
        ksk_fail_memory(err);
    ksk_free(path);
    return object;
}

json_t *ksk_json_load(const char *directory, const char *name, ksk_error *err)
{
    return load_named(directory, name, false, err);
}

json_t *ksk_json_load_optional(const char *directory, const char *name, ksk_error *err)
{
    return load_named(directory, name, true, err);
}
