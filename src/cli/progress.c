#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool active;
static double started, last_shown;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void ksk_progress_start(const ksk_lines *input)
{
    active = ksk_lines_size(input) > 0 && isatty(STDERR_FILENO);
    started = now();
}

void ksk_progress_show(const ksk_lines *input, int64_t lines)
{
    enum { WIDTH = 24 };
    const double time = now();
    const double done = (double)ksk_lines_position(input) / (double)ksk_lines_size(input);
    if (!active || (time - last_shown < 0.2 && done < 1))
        return;
    last_shown = time;
    const double elapsed = time - started + 1e-9;
    const double part = done < 1 ? done : 1; /* the file may have grown */
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(part * WIDTH) ? '#' : '.';
    bar[WIDTH] = 0;
    const long left = part > 0 ? (long)(elapsed * (1 - part) / part) : 0;
    fprintf(stderr, "\r[%s] %3.0f%%  %" PRId64 " lines, %.1f lines/s, %ld:%02ld left \033[K", bar,
            100 * part, lines, (double)lines / elapsed, left / 60, left % 60);
    fflush(stderr);
}

void ksk_progress_end(void)
{
    if (!active)
        return;
    active = false;
    fputc('\n', stderr);
}
