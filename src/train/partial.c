#include "train/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/string.h"
#include "io/json.h"
#include "kaskad/memory.h"

struct ksk_partial {
    int fd;
    char *path, *part;
    char *directory, *name; /* of the file that says where it stands */
    json_t *state;          /* {"settings", "bytes", "position"} */
    int64_t bytes;
    bool fresh; /* begun, not gone on with */
};

static bool fail_errno(const ksk_partial *p, const char *what, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_FILE, "cannot %s %s: %s", what, p->part, strerror(errno));
}

/* --- opening ------------------------------------------------------------------------------------
 */

static char *join(const char *text, const char *end)
{
    ksk_string out = {0};
    ksk_string_add(&out, "%s%s", text, end);
    return ksk_string_take(&out);
}

static bool name_files(ksk_partial *p, const char *path, ksk_error *err)
{
    const char *slash = strrchr(path, '/');
    ksk_string directory = {0};
    ksk_string_add(&directory, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1,
                   slash ? path : ".");
    p->directory = ksk_string_take(&directory);
    p->name = join(slash ? slash + 1 : path, ".part.json");
    p->path = ksk_strdup(path);
    p->part = join(path, ".part");
    return (p->directory && p->name && p->path && p->part) || ksk_fail_memory(err);
}

static bool open_part(ksk_partial *p, ksk_error *err)
{
    p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->fd < 0)
        return fail_errno(p, "open", err);
    return flock(p->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ||
           ksk_fail(err, KSK_BAD_FILE, "another process is writing %s", p->part);
}

/* A position without a file is left from one that got its name just before the end. */
static bool is_begun(const ksk_partial *p, bool *begun, ksk_error *err)
{
    char *path = ksk_path(p->directory, p->name);
    *begun = path && access(path, F_OK) == 0 && access(p->part, F_OK) == 0;
    ksk_free(path);
    return path || ksk_fail_memory(err);
}

/* What lies behind the last chunk is cut off. */
static bool cut(ksk_partial *p, int64_t bytes, ksk_error *err)
{
    struct stat status;
    if (fstat(p->fd, &status) != 0)
        return fail_errno(p, "read", err);
    if ((int64_t)status.st_size < bytes)
        return ksk_fail(err, KSK_BAD_FORMAT,
                        "%s has %lld bytes, fewer than the %lld that were written; remove it and "
                        "%s/%s to begin again",
                        p->part, (long long)status.st_size, (long long)bytes, p->directory,
                        p->name);
    p->bytes = bytes;
    return (ftruncate(p->fd, bytes) == 0 && lseek(p->fd, bytes, SEEK_SET) >= 0) ||
           fail_errno(p, "truncate", err);
}

static bool go_on(ksk_partial *p, json_t *settings, ksk_error *err)
{
    char *file;
    p->state = ksk_json_read(p->directory, p->name, &file, err);
    ksk_free(file);
    if (!p->state)
        return false;
    const json_t *before = json_object_get(p->state, "settings");
    const json_t *bytes = json_object_get(p->state, "bytes");
    const char *key;
    json_t *value;
    json_object_foreach(settings, key, value)
    {
        if (!json_equal(value, json_object_get(before, key)))
            return ksk_fail(err, KSK_BAD_ARGUMENT,
                            "%s was begun with another \"%s\" (%s/%s says which); go on as it was "
                            "begun, or remove both files",
                            p->part, key, p->directory, p->name);
    }
    if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
        return ksk_fail(err, KSK_BAD_FORMAT, "%s/%s does not say where %s stands", p->directory,
                        p->name, p->part);
    return cut(p, json_integer_value(bytes), err);
}

static bool start(ksk_partial *p, json_t *settings, ksk_error *err)
{
    p->fresh = true;
    p->state = json_pack("{s:O}", "settings", settings);
    return p->state ? cut(p, 0, err) : ksk_fail_memory(err);
}

static bool open_all(ksk_partial *p, const char *path, json_t *settings, bool resume,
                     ksk_error *err)
{
    bool begun;
    if (!name_files(p, path, err) || !is_begun(p, &begun, err) || !open_part(p, err))
        return false;
    if (begun && !resume)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "%s is unfinished; go on with it (--resume), or remove it and %s/%s",
                        p->part, p->directory, p->name);
    return begun ? go_on(p, settings, err) : start(p, settings, err);
}

ksk_partial *ksk_partial_open(const char *path, json_t *settings, bool resume, ksk_error *err)
{
    ksk_partial *p = ksk_calloc(1, sizeof *p);
    if (!p) {
        ksk_fail_memory(err);
        return NULL;
    }
    p->fd = -1;
    if (open_all(p, path, settings, resume, err))
        return p;
    ksk_partial_close(p);
    return NULL;
}

void ksk_partial_close(ksk_partial *p)
{
    if (!p)
        return;
    if (p->fd >= 0 && p->fresh && !ksk_partial_position(p))
        unlink(p->part); /* nothing came of it */
    if (p->fd >= 0)
        close(p->fd);
    json_decref(p->state);
    ksk_free(p->path);
    ksk_free(p->part);
    ksk_free(p->directory);
    ksk_free(p->name);
    ksk_free(p);
}

bool ksk_partial_whole(const char *path, bool *whole, ksk_error *err)
{
    char *part = join(path, ".part");
    *whole = part && access(path, F_OK) == 0 && access(part, F_OK) != 0;
    ksk_free(part);
    return part || ksk_fail_memory(err);
}

const char *ksk_partial_path(const ksk_partial *p)
{
    return p->part;
}

const json_t *ksk_partial_position(const ksk_partial *p)
{
    return json_object_get(p->state, "position");
}

/* --- writing ------------------------------------------------------------------------------------
 */

static bool write_fully(const ksk_partial *p, const char *bytes, size_t size, ksk_error *err)
{
    while (size) {
        const ssize_t now = write(p->fd, bytes, size);
        if (now < 0 && errno == EINTR)
            continue;
        if (now < 0)
            return fail_errno(p, "write", err);
        bytes += now;
        size -= (size_t)now;
    }
    return fsync(p->fd) == 0 || errno == EINVAL || fail_errno(p, "sync", err);
}

bool ksk_partial_add(ksk_partial *p, const char *bytes, size_t size, json_t *position,
                     ksk_error *err)
{
    const int64_t end = p->bytes + (int64_t)size;
    const bool ok = position && write_fully(p, bytes, size, err);
    if (!ok) {
        json_decref(position);
        return position ? false : ksk_fail_memory(err);
    }
    if (json_object_set_new(p->state, "position", position) != 0 ||
        json_object_set_new(p->state, "bytes", json_integer(end)) != 0)
        return ksk_fail_memory(err);
    p->bytes = end;
    return ksk_json_write(p->directory, p->name, p->state, err);
}

bool ksk_partial_finish(ksk_partial *p, ksk_error *err)
{
    char *state = ksk_path(p->directory, p->name);
    const bool ok = state ? ksk_file_move(p->part, p->path, err) : ksk_fail_memory(err);
    if (ok)
        unlink(state);
    ksk_free(state);
    return ok;
}
