#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/stop.h"
#include "kaskad/memory.h"

enum { READ_AT_ONCE = 1 << 16, LONGEST_LINE = 64 << 20 };

struct ksk_lines {
    int fd;
    const char *name;
    char *buffer; /* what was read and not yet given: [start, end) */
    size_t start, end, capacity;
    size_t searched; /* no newline is before this */
    bool at_end, failed;
    int64_t size, position;
    int64_t limit, given; /* most bytes of a line; lines so far */
};

void ksk_line_free(ksk_line *line)
{
    ksk_free(line->text);
    *line = (ksk_line){0};
}

ksk_lines *ksk_lines_open(const char *path)
{
    const bool standard = !strcmp(path, "-");
    ksk_lines *lines = ksk_calloc(1, sizeof *lines);
    if (!lines) {
        ksk_complain("out of memory");
        return NULL;
    }
    lines->name = standard ? "standard input" : path;
    lines->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0) {
        ksk_complain("cannot open %s: %s", path, strerror(errno));
        ksk_free(lines);
        return NULL;
    }
    struct stat status;
    const bool regular = fstat(lines->fd, &status) == 0 && S_ISREG(status.st_mode);
    lines->size = regular ? (int64_t)status.st_size : -1;
    lines->limit = LONGEST_LINE;
    return lines;
}

void ksk_lines_limit(ksk_lines *lines, int64_t bytes)
{
    lines->limit = bytes ? bytes : INT64_MAX;
}

void ksk_lines_close(ksk_lines *lines)
{
    if (!lines)
        return;
    if (lines->fd != STDIN_FILENO)
        close(lines->fd);
    ksk_free(lines->buffer);
    ksk_free(lines);
}

int64_t ksk_lines_size(const ksk_lines *lines)
{
    return lines->size;
}

int64_t ksk_lines_position(const ksk_lines *lines)
{
    return lines->position;
}

/* Makes room for one more read behind what is held. */
static bool make_room(ksk_lines *lines)
{
    if (lines->start > 0 && lines->capacity - lines->end < READ_AT_ONCE) {
        memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->searched -= lines->start;
        lines->start = 0;
    }
    return ksk_grow(&lines->buffer, &lines->capacity, lines->end + READ_AT_ONCE, 1);
}

/* A failure is said once and stays. */
static ksk_lines_status fail(ksk_lines *lines, const char *what, const char *why)
{
    ksk_complain("%s: %s%s", lines->name, what, why);
    lines->failed = true;
    return KSK_LINES_FAILED;
}

static ksk_lines_status too_long(ksk_lines *lines)
{
    char what[120];
    snprintf(what, sizeof what, "line %lld has more than %lld bytes, which is the limit",
             (long long)lines->given + 1, (long long)lines->limit);
    return fail(lines, what, lines->limit < LONGEST_LINE ? "; --max-line SIZE raises it" : "");
}

static ksk_lines_status read_more(ksk_lines *lines, bool wait)
{
    struct pollfd ready[] = {{.fd = lines->fd, .events = POLLIN},
                             {.fd = ksk_stop_descriptor(), .events = POLLIN}};
    while (poll(ready, 2, wait ? -1 : 0) < 0 && errno == EINTR)
        continue;
    if (ready[1].revents)
        return KSK_LINES_END;
    if (!ready[0].revents && !wait)
        return KSK_LINES_LATER;
    if (!make_room(lines))
        return fail(lines, "out of memory", "");
    ssize_t got;
    do
        got = read(lines->fd, lines->buffer + lines->end, READ_AT_ONCE);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(lines, "cannot read: ", strerror(errno));
    lines->at_end = got == 0;
    lines->end += (size_t)got;
    return KSK_LINES_LINE;
}

/* Copies `length` bytes with every NUL replaced. */
static bool copy_text(const char *bytes, size_t length, ksk_line *line)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    for (size_t i = 0; i < length; i++)
        line->nul_bytes += bytes[i] == 0;
    line->text = ksk_malloc(length + 2 * (size_t)line->nul_bytes + 1);
    if (!line->text)
        return false;
    char *out = line->text;
    for (size_t i = 0; i < length; i++) {
        const char *piece = bytes[i] ? bytes + i : replacement;
        const size_t size = bytes[i] ? 1 : 3;
        memcpy(out, piece, size);
        out += size;
    }
    *out = 0;
    return true;
}

/* Takes what is held up to `end` (where the newline is, or the input ends) as a line. */
static ksk_lines_status take(ksk_lines *lines, size_t end, bool newline, ksk_line *line)
{
    const char *bytes = lines->buffer + lines->start;
    size_t length = end - lines->start;
    if ((int64_t)length > lines->limit)
        return too_long(lines);
    *line = (ksk_line){.newline = newline, .cr = length > 0 && bytes[length - 1] == '\r'};
    if (!copy_text(bytes, length - line->cr, line))
        return fail(lines, "out of memory", "");
    lines->position += (int64_t)(length + newline);
    lines->start = lines->searched = end + newline;
    lines->given++;
    return KSK_LINES_LINE;
}

ksk_lines_status ksk_lines_next(ksk_lines *lines, bool wait, ksk_line *line)
{
    while (!lines->failed) {
        if (lines->searched < lines->end) {
            const char *newline =
                memchr(lines->buffer + lines->searched, '\n', lines->end - lines->searched);
            if (newline)
                return take(lines, (size_t)(newline - lines->buffer), true, line);
            lines->searched = lines->end;
        }
        if (lines->at_end && lines->start == lines->end)
            return KSK_LINES_END;
        if (lines->at_end)
            return take(lines, lines->end, false, line);
        if ((int64_t)(lines->end - lines->start) > lines->limit)
            return too_long(lines);
        const ksk_lines_status status = read_more(lines, wait);
        if (status != KSK_LINES_LINE)
            return status;
    }
    return KSK_LINES_FAILED;
}

char **ksk_lines_read_all(const char *path, int *count)
{
    char **all = NULL;
    size_t capacity = 0;
    ksk_lines_status status;
    ksk_line line;
    *count = 0;
    ksk_lines *lines = ksk_lines_open(path);
    if (!lines)
        return NULL;
    while ((status = ksk_lines_next(lines, true, &line)) == KSK_LINES_LINE) {
        if (*count == INT_MAX || !ksk_grow(&all, &capacity, (size_t)*count + 1, sizeof *all)) {
            ksk_complain("%s has too many lines", path);
            ksk_line_free(&line);
            status = KSK_LINES_FAILED;
            break;
        }
        all[(*count)++] = line.text;
    }
    ksk_lines_close(lines);
    if (status == KSK_LINES_END && *count == 0)
        ksk_complain("%s is empty", path);
    if (status == KSK_LINES_END && *count > 0)
        return all;
    ksk_lines_free_all(all, *count);
    return NULL;
}

void ksk_lines_free_all(char **lines, int count)
{
    for (int i = 0; lines && i < count; i++)
        ksk_free(lines[i]);
    ksk_free(lines);
}
