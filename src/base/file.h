/* Files that are whole or absent. */
#ifndef KSK_BASE_FILE_H
#define KSK_BASE_FILE_H

#include <stddef.h>

#include "kaskad/error.h"

/* directory/name as a new string; caller frees with ksk_free. NULL when memory runs out. */
char *ksk_path(const char *directory, const char *name);

/* The whole file, with a NUL after its `*size` bytes; caller frees with ksk_free. A file over
 * `limit` bytes is BAD_FORMAT. */
char *ksk_file_read(const char *path, size_t limit, size_t *size, ksk_error *err);

/* Writes aside (path + ".tmp-PID-N"), fsyncs, renames, fsyncs the directory: an interrupted write
 * leaves the old file whole. `fill` is called once with a writer to put bytes into; it returns
 * false with `err` filled to give up. Errors: BAD_FILE, OUT_OF_MEMORY. */
typedef struct ksk_file_writer ksk_file_writer;
bool ksk_file_put(ksk_file_writer *writer, const void *bytes, size_t size, ksk_error *err);
bool ksk_file_replace(const char *path, bool (*fill)(void *context, ksk_file_writer *, ksk_error *),
                      void *context, ksk_error *err);

/* Renames, replacing what has the name, and fsyncs the directory. */
bool ksk_file_move(const char *from, const char *to, ksk_error *err);

/* The directory, made with its parents where missing. */
bool ksk_directory_make(const char *path, ksk_error *err);

/* Copies a file, whole or not at all. */
bool ksk_file_copy(const char *from, const char *to, ksk_error *err);

#endif
