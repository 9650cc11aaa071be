/* JSON text of a file, through jansson.
 *
 * Jansson's own small allocations do not come through ksk_malloc: its allocator is set for the
 * whole process, and the program around the library may be using jansson too. */
#ifndef KSK_BASE_JSON_H
#define KSK_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "kaskad/error.h"

enum { KSK_JSON_DEPTH = 100 }; /* most levels; settings need four */

/* The object that `text` [size] of `file` is; `flags` are jansson's. NaN, nesting over
 * KSK_JSON_DEPTH levels and anything after the object are refused. Caller calls json_decref.
 * Errors: BAD_FORMAT with file, line and column, OUT_OF_MEMORY. */
json_t *ksk_json_parse(const char *file, const char *text, size_t size, size_t flags,
                       ksk_error *err);

#endif
