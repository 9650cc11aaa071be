#include "text/json.h"

#include <unistd.h>

#include "base/file.h"
#include "kaskad/memory.h"

static const size_t most_bytes = (size_t)256 << 20;

static json_t *load(const char *path, ksk_error *err)
{
    size_t size;
    char *text = ksk_file_read(path, most_bytes, &size, err);
    if (!text)
        return NULL;
    json_error_t problem;
    json_t *object = json_loadb(text, size, 0, &problem);
    ksk_free(text);
    if (!object)
        ksk_fail(err, KSK_BAD_FORMAT, "%s:%d:%d: %s", path, problem.line, problem.column,
                 problem.text);
    else if (!json_is_object(object)) {
        ksk_fail(err, KSK_BAD_FORMAT, "%s: not a JSON object", path);
        json_decref(object);
        object = NULL;
    }
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
