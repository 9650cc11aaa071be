#include "data/reader.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/string.h"
#include "kaskad/memory.h"

enum { BLOCK = 1 << 16, LONGEST = 1 << 20 };

struct ksk_line_reader {
    gzFile file;
    char *path;
    char *text; /* what was read and not yet given out: [begin, end) */
    size_t begin, end, capacity;
    int64_t line;
    bool ended;
};

ksk_line_reader *ksk_line_reader_open(const char *path, ksk_error *err)
{
    ksk_line_reader *reader = ksk_calloc(1, sizeof *reader);
    char *copy = ksk_strdup(path);
    if (!reader || !copy) {
        ksk_free(reader);
        ksk_free(copy);
        ksk_fail_memory(err);
        return NULL;
    }
    reader->path = copy;
    errno = 0;
    reader->file = gzopen(path, "rbe");
    if (reader->file)
        return reader;
    if (errno)
        ksk_fail(err, KSK_BAD_FILE, "cannot open %s: %s", path, strerror(errno));
    else
        ksk_fail_memory(err);
    ksk_line_reader_close(reader);
    return NULL;
}

void ksk_line_reader_close(ksk_line_reader *reader)
{
    if (!reader)
        return;
    if (reader->file)
        gzclose_r(reader->file);
    ksk_free(reader->text);
    ksk_free(reader->path);
    ksk_free(reader);
}

const char *ksk_line_reader_path(const ksk_line_reader *reader)
{
    return reader->path;
}

int64_t ksk_line_reader_line(const ksk_line_reader *reader)
{
    return reader->line;
}

static bool fail_line(const ksk_line_reader *reader, const char *what, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_FORMAT, "%s:%lld: %s", reader->path, (long long)reader->line,
                    what);
}

static bool fail_read(const ksk_line_reader *reader, ksk_error *err)
{
    int number;
    const char *what = gzerror(reader->file, &number);
    if (number == Z_MEM_ERROR)
        return ksk_fail_memory(err);
    if (number == Z_ERRNO)
        return ksk_fail(err, KSK_BAD_FILE, "cannot read %s: %s", reader->path, strerror(errno));
    return ksk_fail(err, KSK_BAD_FORMAT, "%s is a damaged gzip file: %s", reader->path, what);
}

/* Reads a block more; the last one sets `ended`. */
static bool fill(ksk_line_reader *reader, ksk_error *err)
{
    if (reader->begin > 0) {
        memmove(reader->text, reader->text + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    if (!ksk_grow(&reader->text, &reader->capacity, reader->end + BLOCK + 1, 1))
        return ksk_fail_memory(err);
    const int got = gzread(reader->file, reader->text + reader->end, BLOCK);
    int number = Z_OK;
    gzerror(reader->file, &number); /* a file cut short reads well but for this */
    if (got < 0 || number == Z_BUF_ERROR)
        return fail_read(reader, err);
    reader->end += (size_t)got;
    reader->ended = got == 0;
    return true;
}

static char *give(ksk_line_reader *reader, size_t length, size_t *given, ksk_error *err)
{
    char *line = reader->text + reader->begin;
    reader->begin += length + (reader->begin + length < reader->end);
    reader->line++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    line[length] = '\0';
    *given = length;
    if (memchr(line, '\0', length))
        fail_line(reader, "a NUL byte", err);
    else if (!ksk_utf8_valid(line, length))
        fail_line(reader, "not UTF-8", err);
    else
        return line;
    return NULL;
}

char *ksk_line_reader_next(ksk_line_reader *reader, size_t *length, ksk_error *err)
{
    if (!reader->text && !fill(reader, err))
        return NULL;
    for (size_t searched = 0;;) {
        const size_t have = reader->end - reader->begin;
        const char *begin = reader->text + reader->begin;
        const char *newline =
            have > searched ? memchr(begin + searched, '\n', have - searched) : NULL;
        const size_t found = newline ? (size_t)(newline - begin) : have;
        if (newline && found <= LONGEST)
            return give(reader, found, length, err);
        if (found > LONGEST) {
            reader->line++;
            fail_line(reader, "a line of more than 1 MB", err);
            return NULL;
        }
        if (reader->ended)
            return have > 0 ? give(reader, have, length, err) : NULL;
        searched = have;
        if (!fill(reader, err))
            return NULL;
    }
}
