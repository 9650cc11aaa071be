/* A run's log: one JSON object a line. */
#ifndef KSK_TRAIN_LOG_H
#define KSK_TRAIN_LOG_H

#include <jansson.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_log ksk_log;

/* Opens the file to write behind its first `offset` bytes; what follows them is cut off. Caller
 * closes. Errors: BAD_FILE (also when there are fewer), OUT_OF_MEMORY. */
ksk_log *ksk_log_open(const char *path, int64_t offset, ksk_error *err);
void ksk_log_close(ksk_log *log);

/* Writes a line; takes the reference to `object`, where NULL means that memory ran out. */
bool ksk_log_write(ksk_log *log, json_t *object, ksk_error *err);

/* Waits until all is on the disk, and gives the file's length. */
bool ksk_log_sync(ksk_log *log, int64_t *offset, ksk_error *err);

/* A number, or null where JSON has none for it. */
json_t *ksk_log_number(double value);

#endif
