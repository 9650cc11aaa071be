#include "train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kaskad/memory.h"

struct ksk_log {
    int fd;
    char *path;
    int64_t length;
};

static bool fail_errno(const ksk_log *log, const char *what, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_FILE, "cannot %s %s: %s", what, log->path, strerror(errno));
}

static bool open_at(ksk_log *log, int64_t offset, ksk_error *err)
{
    struct stat status;
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (log->fd < 0 || fstat(log->fd, &status) != 0)
        return fail_errno(log, "open", err);
    if ((int64_t)status.st_size < offset)
        return ksk_fail(err, KSK_BAD_FILE,
                        "%s has %lld bytes, fewer than the %lld when the run was saved; put it "
                        "back, or begin another run",
                        log->path, (long long)status.st_size, (long long)offset);
    if (ftruncate(log->fd, offset) != 0 || lseek(log->fd, offset, SEEK_SET) < 0)
        return fail_errno(log, "truncate", err);
    log->length = offset;
    return true;
}

ksk_log *ksk_log_open(const char *path, int64_t offset, ksk_error *err)
{
    ksk_log *log = ksk_calloc(1, sizeof *log);
    char *copy = ksk_strdup(path);
    if (!log || !copy) {
        ksk_free(log);
        ksk_free(copy);
        ksk_fail_memory(err);
        return NULL;
    }
    log->path = copy;
    if (open_at(log, offset, err))
        return log;
    ksk_log_close(log);
    return NULL;
}

void ksk_log_close(ksk_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    ksk_free(log->path);
    ksk_free(log);
}

static bool write_fully(ksk_log *log, const char *text, size_t size, ksk_error *err)
{
    while (size) {
        const ssize_t now = write(log->fd, text, size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return fail_errno(log, "write", err);
        text += now;
        size -= (size_t)now;
        log->length += now;
    }
    return true;
}

bool ksk_log_write(ksk_log *log, json_t *object, ksk_error *err)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return ksk_fail_memory(err);
    const size_t length = strlen(text);
    text[length] = '\n'; /* in the place of the NUL, so that one write takes the whole line */
    const bool ok = write_fully(log, text, length + 1, err);
    free(text);
    return ok;
}

bool ksk_log_sync(ksk_log *log, int64_t *offset, ksk_error *err)
{
    *offset = log->length;
    return fsync(log->fd) == 0 || errno == EINVAL || fail_errno(log, "sync", err);
}

json_t *ksk_log_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
