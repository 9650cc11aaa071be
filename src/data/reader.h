/* Lines of a text file, plain or gzip. */
#ifndef KSK_DATA_READER_H
#define KSK_DATA_READER_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_line_reader ksk_line_reader;

/* Caller closes. Errors: BAD_FILE, OUT_OF_MEMORY. */
ksk_line_reader *ksk_line_reader_open(const char *path, ksk_error *err);
void ksk_line_reader_close(ksk_line_reader *reader);

/* The next line without its end (LF or CR-LF), valid until the next call; NULL at the end of the
 * file, `err` untouched, and after a failure. Errors name file and line: BAD_FORMAT (not UTF-8, a
 * NUL byte, over 1 MB, a damaged gzip file), BAD_FILE, OUT_OF_MEMORY. */
char *ksk_line_reader_next(ksk_line_reader *reader, size_t *length, ksk_error *err);

const char *ksk_line_reader_path(const ksk_line_reader *reader);
int64_t ksk_line_reader_line(const ksk_line_reader *reader); /* of the last line read, from 1 */

#endif
