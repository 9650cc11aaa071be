/* A window over the input: as many lines as may be worked on at once, or as have come. */
#ifndef KSK_CLI_WINDOW_H
#define KSK_CLI_WINDOW_H

#include "cli/lines.h"

typedef struct ksk_window {
    ksk_line *lines;
    const char **texts; /* the lines' texts */
    int count, capacity;
    int64_t first; /* number of the first line, from 1 on */
} ksk_window;

/* A window of at most `capacity` lines. False when memory runs out (said on stderr). */
bool ksk_window_make(ksk_window *window, int capacity);
void ksk_window_free(ksk_window *window);

/* Moves on: waits for one line, then takes what else is there, up to the capacity and about 4 MiB.
 * LINE when there is something in the window, else END or FAILED; lines before a failure come
 * first. */
ksk_lines_status ksk_window_fill(ksk_window *window, ksk_lines *input);

/* The same, but for exactly `count` lines (fewer at the end of the input). */
ksk_lines_status ksk_window_fill_exactly(ksk_window *window, ksk_lines *input, int count);

#endif
