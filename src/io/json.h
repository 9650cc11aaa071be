/* JSON files. */
#ifndef KSK_IO_JSON_H
#define KSK_IO_JSON_H

#include <jansson.h>

#include "kaskad/error.h"

enum { KSK_JSON_MAX = 1 << 24 }; /* bytes of a file that is read whole */

/* Reads an object from a file; `*file` gets the path joined (caller frees with ksk_free, also on
 * failure). Keys used twice, NaN, nesting over 100 levels and anything after the object are
 * refused. Caller calls json_decref. Errors: BAD_FILE, BAD_FORMAT with file, line and column,
 * OUT_OF_MEMORY. */
json_t *ksk_json_read(const char *directory, const char *name, char **file, ksk_error *err);

/* Writes `object`, indented, keys in order of insertion; whole or not at all. */
bool ksk_json_write(const char *directory, const char *name, const json_t *object, ksk_error *err);

#endif
