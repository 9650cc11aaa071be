/* JSON on stdout, one object a line. */
#ifndef KSK_CLI_JSON_H
#define KSK_CLI_JSON_H

#include <stdint.h>

/* "name": and then a value; `name` is written as it is. The first of an object is written with
 * `first`, the others get a comma before them. */
void ksk_json_name(const char *name, int first);
/* A string; bytes that are not UTF-8 are written as U+FFFD. */
void ksk_json_text(const char *utf8);
void ksk_json_integer(int64_t value);
/* Nine digits, enough for a float; null for infinities and NaN. */
void ksk_json_number(double value);
void ksk_json_ids(const int32_t *ids, int count);

#endif
