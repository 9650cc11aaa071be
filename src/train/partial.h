/* A file that grows in chunks until it is whole. It is written aside, as PATH.part, with where it
 * stands in PATH.part.json; killed at any moment, it goes on behind the last chunk that both
 * hold. */
#ifndef KSK_TRAIN_PARTIAL_H
#define KSK_TRAIN_PARTIAL_H

#include <jansson.h>

#include "kaskad/error.h"

typedef struct ksk_partial ksk_partial;

/* Begins the file, or with `resume` goes on where there is something to go on with. `settings`
 * (borrowed) tell what it is made of. Caller closes. Errors: BAD_ARGUMENT (it was begun, without
 * `resume`, or with other settings), BAD_FILE (another process writes it, too), BAD_FORMAT,
 * OUT_OF_MEMORY. */
ksk_partial *ksk_partial_open(const char *path, json_t *settings, bool resume, ksk_error *err);
void ksk_partial_close(ksk_partial *partial);

/* Whether the file has its name already, and no other is being written. False when memory runs out.
 */
bool ksk_partial_whole(const char *path, bool *whole, ksk_error *err);

/* The path that is written to; what was last added with, or NULL. Both borrowed. */
const char *ksk_partial_path(const ksk_partial *partial);
const json_t *ksk_partial_position(const ksk_partial *partial);

/* Appends `size` bytes, and waits until they and the position, which is taken, are on the disk. A
 * NULL position means that memory ran out. */
bool ksk_partial_add(ksk_partial *partial, const char *bytes, size_t size, json_t *position,
                     ksk_error *err);

/* The file gets its name. */
bool ksk_partial_finish(ksk_partial *partial, ksk_error *err);

#endif
