/* Loaded before a program (LD_PRELOAD), makes its files fail: the n-th write, fsync or rename, or a
 * power cut at the n-th of them all, after which only what was synced is there.
 *
 *     KASKAD_FAULT_UNDER   a directory; files elsewhere are left alone
 *     KASKAD_FAULT         KIND:N, where KIND is write, fsync, rename or any
 *     KASKAD_FAULT_HOW     an errno ("28"); "short": half is written, then the disk is full;
 *                          "cut": what was not synced is lost, and the process is killed
 *     KASKAD_FAULT_LOG     a file that each call is appended to: KIND PATH [PATH] */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { most_files = 256 };

/* A file that was written to. */
typedef struct written {
    char path[PATH_MAX]; /* "": none */
    off_t synced;        /* bytes that would outlive a power cut */
    bool dirty;          /* there are others */
} written;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static written files[most_files];
static int calls;
static bool disk_is_full;

static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int), (*real_rename)(const char *, const char *);

static void *find(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

__attribute__((constructor)) static void begin(void)
{
    *(void **)&real_write = find("write");
    *(void **)&real_fsync = find("fsync");
    *(void **)&real_rename = find("rename");
}

static bool path_of(int fd, char path[PATH_MAX])
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = '\0';
    return length > 0;
}

static bool is_ours(const char *path)
{
    const char *under = getenv("KASKAD_FAULT_UNDER");
    return under && strncmp(path, under, strlen(under)) == 0;
}

static void note(const char *kind, const char *path, const char *to)
{
    const char *log = getenv("KASKAD_FAULT_LOG");
    char line[2 * PATH_MAX + 20];
    const int fd = log ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        return;
    const int length =
        snprintf(line, sizeof line, "%s %s%s%s\n", kind, path, to ? " " : "", to ? to : "");
    if (real_write(fd, line, (size_t)length) != length)
        abort();
    close(fd);
}

static written *find_file(const char *path)
{
    for (int i = 0; i < most_files; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static void soil(const char *path)
{
    written *file = find_file(path);
    if (!file && (file = find_file("")))
        snprintf(file->path, PATH_MAX, "%s", path);
    if (!file)
        abort();
    file->dirty = true;
}

static void keep(const char *path, int fd)
{
    written *file = find_file(path);
    struct stat status;
    if (file && fstat(fd, &status) == 0) {
        file->synced = status.st_size;
        file->dirty = false;
    }
}

/* What had the name before is gone. */
static void move(const char *from, const char *to)
{
    written *file = find_file(from), *gone = find_file(to);
    if (gone)
        *gone = (written){.dirty = false};
    if (file)
        snprintf(file->path, PATH_MAX, "%s", to);
}

static void cut_power(void)
{
    for (int i = 0; i < most_files; i++)
        if (files[i].dirty && truncate(files[i].path, files[i].synced) != 0 && errno != ENOENT)
            abort();
    kill(getpid(), SIGKILL);
}

/* Whether this call is to fail, and errno then. */
static bool fails(const char *kind)
{
    const char *fault = getenv("KASKAD_FAULT"), *how = getenv("KASKAD_FAULT_HOW");
    const char *colon = fault ? strchr(fault, ':') : NULL;
    if (!colon || !how)
        return false;
    const size_t length = (size_t)(colon - fault);
    if (strncmp(fault, "any", length) != 0 && strncmp(fault, kind, length) != 0)
        return false;
    if (++calls != atoi(colon + 1))
        return false;
    if (strcmp(how, "cut") == 0)
        cut_power();
    errno = strcmp(how, "short") == 0 ? ENOSPC : atoi(how);
    return true;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    char path[PATH_MAX];
    if (!path_of(fd, path) || !is_ours(path))
        return real_write(fd, bytes, size);
    pthread_mutex_lock(&mutex);
    note("write", path, NULL);
    soil(path);
    ssize_t done = -1;
    if (disk_is_full)
        errno = ENOSPC;
    else if (!fails("write"))
        done = real_write(fd, bytes, size);
    else if (strcmp(getenv("KASKAD_FAULT_HOW"), "short") == 0) {
        disk_is_full = true;
        done = real_write(fd, bytes, (size + 1) / 2);
    }
    pthread_mutex_unlock(&mutex);
    return done;
}

int fsync(int fd)
{
    char path[PATH_MAX];
    if (!path_of(fd, path) || !is_ours(path))
        return real_fsync(fd);
    pthread_mutex_lock(&mutex);
    note("fsync", path, NULL);
    int status = -1;
    if (!fails("fsync")) {
        keep(path, fd);
        status = 0; /* nobody needs to wait for the disk */
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

int rename(const char *from, const char *to)
{
    if (!is_ours(to))
        return real_rename(from, to);
    pthread_mutex_lock(&mutex);
    note("rename", from, to);
    int status = -1;
    if (!fails("rename")) {
        status = real_rename(from, to);
        if (status == 0)
            move(from, to);
    }
    pthread_mutex_unlock(&mutex);
    return status;
}
