/* Lines of a file, a pipe or a terminal, as they come. */
#ifndef KSK_CLI_LINES_H
#define KSK_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line. `text` is NUL-terminated and without its end; NUL bytes in it have become U+FFFD. */
typedef struct ksk_line {
    char *text;
    int nul_bytes; /* how many */
    bool cr;       /* a carriage return stood before the end */
    bool newline;  /* false for a last line that just ends */
} ksk_line;

void ksk_line_free(ksk_line *line);

typedef struct ksk_lines ksk_lines;

/* Opens a file, or standard input for "-". NULL when that fails (said on stderr). A line of more
 * than 64 MiB, or what ksk_lines_limit says (0: any), is a failure. */
ksk_lines *ksk_lines_open(const char *path);
void ksk_lines_limit(ksk_lines *lines, int64_t bytes);
void ksk_lines_close(ksk_lines *lines);

typedef enum ksk_lines_status {
    KSK_LINES_LINE,
    KSK_LINES_LATER, /* no whole line has come yet; only without `wait` */
    KSK_LINES_END,   /* of the input, or a signal has asked to stop (cli/stop.h) */
    KSK_LINES_FAILED /* said on stderr */
} ksk_lines_status;

/* The next line, which the caller frees. */
ksk_lines_status ksk_lines_next(ksk_lines *lines, bool wait, ksk_line *line);

/* Size of a regular file, or -1; bytes of it that lines have been given of. */
int64_t ksk_lines_size(const ksk_lines *lines);
int64_t ksk_lines_position(const ksk_lines *lines);

/* All lines of a file; NULL when it fails or there are none (said on stderr). Caller frees with
 * ksk_lines_free_all. */
char **ksk_lines_read_all(const char *path, int *count);
void ksk_lines_free_all(char **lines, int count);

#endif
