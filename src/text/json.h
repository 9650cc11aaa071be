/* JSON files of a tokenizer. */
#ifndef KSK_TEXT_JSON_H
#define KSK_TEXT_JSON_H

#include <jansson.h>

#include "kaskad/error.h"

/* Reads the object in directory/name; caller json_decrefs. NULL with `err` filled: BAD_FILE,
 * BAD_FORMAT (with line and column), OUT_OF_MEMORY. */
json_t *ksk_json_load(const char *directory, const char *name, ksk_error *err);

/* The same for a file that may be absent: an empty object then. */
json_t *ksk_json_load_optional(const char *directory, const char *name, ksk_error *err);

#endif
