#include "program.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The program at work on `input`, its output in `*output`; -1 when it cannot be started. */
static pid_t start(const call *c, FILE *input, FILE **output)
{
    int ends[2];
    char threads[16], batch[16];
    snprintf(threads, sizeof threads, "%d", c->threads);
    snprintf(batch, sizeof batch, "%d", c->batch_size);
    char *const arguments[] = {(char *)c->path,
                               "translate",
                               "-m",
                               (char *)c->model,
                               "--precision",
                               (char *)c->precision,
                               "--threads",
                               threads,
                               "--batch-size",
                               batch,
                               "--quiet",
                               NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    if (pipe(ends) != 0)
        return -1;
    rewind(input);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(input), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    if (posix_spawn(&pid, c->path, &actions, NULL, arguments, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = pid > 0 ? fdopen(ends[0], "r") : NULL;
    if (!*output)
        close(ends[0]);
    return pid;
}

/* Whether it ended well. */
static bool end(pid_t pid, FILE *output)
{
    int status = 1;
    if (output)
        fclose(output);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static FILE *write_lines(const char *const *texts, int count, long lines)
{
    FILE *file = tmpfile();
    for (long i = 0; file && i < lines; i++)
        fprintf(file, "%s\n", texts[i % count]);
    if (file)
        fflush(file);
    return file;
}

static bool read_line(FILE *output)
{
    int byte;
    do
        byte = output ? getc(output) : EOF;
    while (byte != EOF && byte != '\n');
    return byte == '\n';
}

double program_first_line(const call *c, const char *line)
{
    FILE *input = write_lines(&line, 1, 1), *output = NULL;
    if (!input)
        return -1;
    const double begin = now();
    const pid_t pid = start(c, input, &output);
    const bool came = read_line(output);
    const double seconds = now() - begin;
    fclose(input);
    return end(pid, output) && came ? seconds : -1;
}

static double resident(pid_t pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

bool program_memory(const call *c, const char *const *texts, int count, long lines, int marks,
                    double *megabytes)
{
    FILE *input = write_lines(texts, count, lines), *output = NULL;
    if (!input)
        return false;
    const pid_t pid = start(c, input, &output);
    long done = 0;
    for (int mark = 0; mark < marks; mark++) {
        while (done < lines * (mark + 1) / marks && read_line(output))
            done++;
        megabytes[mark] = resident(pid);
    }
    fclose(input);
    return end(pid, output) && done == lines;
}
