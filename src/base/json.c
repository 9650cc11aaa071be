#include "base/json.h"

#include <stdbool.h>
#include <string.h>

#include "base/string.h"

/* Jansson recurses up to 2,048 levels, whatever the stack is. The place of the bracket that
 * goes too deep, or NULL. */
static const char *too_deep(const char *text, size_t size)
{
    int depth = 0;
    bool within = false; /* a string */
    for (const char *at = text; at < text + size; at++) {
        if (*at == '"')
            within = !within;
        else if (within && *at == '\\')
            at++;
        else if (!within && (*at == '{' || *at == '['))
            depth++;
        else if (!within && (*at == '}' || *at == ']'))
            depth--;
        if (depth > KSK_JSON_DEPTH)
            return at;
    }
    return NULL;
}

static void fail_depth(const char *file, const char *text, const char *at, ksk_error *err)
{
    int line = 1;
    const char *start = text;
    for (const char *newline = text; (newline = memchr(newline, '\n', (size_t)(at - newline)));) {
        line++;
        start = ++newline;
    }
    ksk_fail(err, KSK_BAD_FORMAT, "%s: line %d, column %d: nested deeper than %d levels", file,
             line, (int)(at - start) + 1, KSK_JSON_DEPTH);
}

/* Jansson's text may quote the file, so it is made printable. */
static void fail_parse(const char *file, const json_error_t *error, ksk_error *err)
{
    char text[200];
    if (json_error_code(error) == json_error_out_of_memory)
        ksk_fail_memory(err);
    else
        ksk_fail(err, KSK_BAD_FORMAT, "%s: line %d, column %d: %s", file, error->line,
                 error->column, ksk_printable(error->text, text, sizeof text));
}

json_t *ksk_json_parse(const char *file, const char *text, size_t size, size_t flags,
                       ksk_error *err)
{
    const char *deep = too_deep(text, size);
    if (deep) {
        fail_depth(file, text, deep, err);
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(text, size, flags, &error);
    if (!value) {
        fail_parse(file, &error, err);
        return NULL;
    }
    if (!json_is_object(value)) {
        ksk_fail(err, KSK_BAD_FORMAT, "%s: line 1, column 1: an object expected", file);
        json_decref(value);
        return NULL;
    }
    return value;
}
