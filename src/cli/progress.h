/* A line on a terminal that says how far the work is. */
#ifndef KSK_CLI_PROGRESS_H
#define KSK_CLI_PROGRESS_H

#include "cli/lines.h"

/* Shows progress from now on when `input` is a regular file and stderr a terminal. */
void ksk_progress_start(const ksk_lines *input);

/* `lines` lines are done. */
void ksk_progress_show(const ksk_lines *input, int64_t lines);

/* Leaves the terminal on a fresh line. */
void ksk_progress_end(void);

#endif
