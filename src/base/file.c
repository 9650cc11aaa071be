#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kaskad/memory.h"

enum { buffer_bytes = 1 << 16 };

static bool fail_errno(ksk_error *err, const char *what, const char *path)
{
    return ksk_fail(err, KSK_BAD_FILE, "cannot %s %s: %s", what, path, strerror(errno));
}

char *ksk_path(const char *directory, const char *name)
{
    const size_t length = strlen(directory);
    const bool slash = length > 0 && directory[length - 1] != '/';
    const size_t size = length + slash + strlen(name) + 1;
    char *path = ksk_malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", directory, slash ? "/" : "", name);
    return path;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Reads up to `size` bytes; fewer only at the end of the file. */
static bool read_fully(int fd, char *bytes, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        const ssize_t now = read(fd, bytes + *got, size - *got);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            return now == 0;
        *got += (size_t)now;
    }
    return true;
}

static char *read_all(int fd, const char *path, size_t limit, size_t *size, ksk_error *err)
{
    struct stat status;
    char *text = NULL;
    size_t capacity = 0, length = 0, got;
    size_t room = fstat(fd, &status) == 0 && status.st_size > 0 ? (size_t)status.st_size : 4096;
    do {
        if (room > limit)
            room = limit;
        if (!ksk_grow(&text, &capacity, room + 2, 1)) {
            ksk_fail_memory(err);
            goto failed;
        }
        room = capacity - 1; /* one byte more than the limit or the file may have */
        if (!read_fully(fd, text + length, room - length, &got)) {
            fail_errno(err, "read", path);
            goto failed;
        }
        length += got;
        if (length > limit) {
            ksk_fail(err, KSK_BAD_FORMAT, "%s has more than %zu bytes", path, limit);
            goto failed;
        }
    } while (length == room && (room *= 2));
    text[length] = '\0';
    *size = length;
    return text;
failed:
    ksk_free(text);
    return NULL;
}

char *ksk_file_read(const char *path, size_t limit, size_t *size, ksk_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fail_errno(err, "open", path);
        return NULL;
    }
    char *text = read_all(fd, path, limit, size, err);
    close(fd);
    return text;
}

/* --- writing --------------------------------------------------------------------------------- */

struct ksk_file_writer {
    int fd;
    char *aside; /* the path written to */
    size_t used;
    char buffer[buffer_bytes];
};

static bool write_fully(const ksk_file_writer *writer, const char *bytes, size_t size,
                        ksk_error *err)
{
    while (size) {
        const ssize_t now = write(writer->fd, bytes, size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return fail_errno(err, "write", writer->aside);
        bytes += now;
        size -= (size_t)now;
    }
    return true;
}

static bool flush(ksk_file_writer *writer, ksk_error *err)
{
    const size_t used = writer->used;
    writer->used = 0;
    return write_fully(writer, writer->buffer, used, err);
}

bool ksk_file_put(ksk_file_writer *writer, const void *bytes, size_t size, ksk_error *err)
{
    if (size > buffer_bytes - writer->used && !flush(writer, err))
        return false;
    if (size >= buffer_bytes)
        return write_fully(writer, bytes, size, err);
    if (size)
        memcpy(writer->buffer + writer->used, bytes, size);
    writer->used += size;
    return true;
}

/* Opens a new file beside `path`; a number sets writers of one process apart. */
static bool open_aside(ksk_file_writer *writer, const char *path, ksk_error *err)
{
    static atomic_uint number;
    const size_t size = strlen(path) + 40;
    writer->aside = ksk_malloc(size);
    if (!writer->aside)
        return ksk_fail_memory(err);
    do {
        snprintf(writer->aside, size, "%s.tmp-%ld-%u", path, (long)getpid(),
                 atomic_fetch_add(&number, 1));
        writer->fd = open(writer->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (writer->fd < 0 && errno == EEXIST);
    return writer->fd >= 0 || fail_errno(err, "create", writer->aside);
}

/* Makes a rename in the file's directory outlive a loss of power. Not every file system knows how.
 */
static bool sync_directory(const char *path, ksk_error *err)
{
    const char *slash = strrchr(path, '/');
    char *directory = ksk_strdup(slash ? path : ".");
    if (!directory)
        return ksk_fail_memory(err);
    if (slash)
        directory[slash == path ? 1 : slash - path] = '\0';
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool well = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP);
    if (!well)
        fail_errno(err, "sync", directory);
    if (fd >= 0)
        close(fd);
    ksk_free(directory);
    return well;
}

static bool finish(ksk_file_writer *writer, const char *path, ksk_error *err)
{
    if (!flush(writer, err))
        return false;
    if (fsync(writer->fd) != 0)
        return fail_errno(err, "sync", writer->aside);
    const int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0)
        return fail_errno(err, "close", writer->aside);
    return rename(writer->aside, path) == 0 || fail_errno(err, "replace", path);
}

bool ksk_file_replace(const char *path, bool (*fill)(void *context, ksk_file_writer *, ksk_error *),
                      void *context, ksk_error *err)
{
    ksk_file_writer *writer = ksk_malloc(sizeof *writer);
    if (!writer)
        return ksk_fail_memory(err);
    writer->fd = -1;
    writer->used = 0;
    bool well = open_aside(writer, path, err);
    if (well) {
        well = fill(context, writer, err) && finish(writer, path, err);
        if (writer->fd >= 0)
            close(writer->fd);
        if (!well)
            unlink(writer->aside);
    }
    ksk_free(writer->aside);
    ksk_free(writer);
    return well && sync_directory(path, err);
}

bool ksk_file_move(const char *from, const char *to, ksk_error *err)
{
    return rename(from, to) == 0 ? sync_directory(to, err) : fail_errno(err, "replace", to);
}

/* --- directories and copies ------------------------------------------------------------------ */

static bool make_one(const char *path, ksk_error *err)
{
    if (mkdir(path, 0777) == 0)
        return true;
    const int reason = errno;
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    errno = reason;
    return fail_errno(err, "make the directory", path);
}

bool ksk_directory_make(const char *path, ksk_error *err)
{
    char *partial = ksk_strdup(path);
    if (!partial)
        return ksk_fail_memory(err);
    bool well = true;
    for (char *slash = partial; well && *slash && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        well = make_one(partial, err);
        *slash = '/';
    }
    well = well && make_one(partial, err);
    ksk_free(partial);
    return well;
}

typedef struct copying {
    int fd;
    const char *from;
    char buffer[buffer_bytes];
} copying;

static bool write_copy(void *context, ksk_file_writer *writer, ksk_error *err)
{
    copying *self = context;
    size_t got;
    do {
        if (!read_fully(self->fd, self->buffer, sizeof self->buffer, &got))
            return fail_errno(err, "read", self->from);
        if (!ksk_file_put(writer, self->buffer, got, err))
            return false;
    } while (got == sizeof self->buffer);
    return true;
}

bool ksk_file_copy(const char *from, const char *to, ksk_error *err)
{
    copying *self = ksk_malloc(sizeof *self);
    if (!self)
        return ksk_fail_memory(err);
    self->from = from;
    self->fd = open(from, O_RDONLY | O_CLOEXEC);
    const bool well =
        self->fd >= 0 ? ksk_file_replace(to, write_copy, self, err) : fail_errno(err, "open", from);
    if (self->fd >= 0)
        close(self->fd);
    ksk_free(self);
    return well;
}
