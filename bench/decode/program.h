/* What the program itself takes: time until it answers, memory while it works. */
#ifndef BENCH_DECODE_PROGRAM_H
#define BENCH_DECODE_PROGRAM_H

#include <stdbool.h>

/* How `kaskad translate` is called; lines come from a file. */
typedef struct call {
    const char *path, *model, *precision;
    int threads, batch_size;
} call;

/* Seconds from starting the program until its first line is there; negative when it fails. */
double program_first_line(const call *c, const char *line);

/* Translates `lines` lines, which repeat the `count` texts, and notes the resident megabytes after
 * each of `marks` equal parts. False when the program fails. */
bool program_memory(const call *c, const char *const *texts, int count, long lines, int marks,
                    double *megabytes);

#endif
