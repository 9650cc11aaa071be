/* Shared objects from a directory. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/extend.h"

enum { SECONDS_TO_LOAD = 10, MESSAGE = 400 };

static const char entry_name[] = "kaskad_plugin";

typedef const ksk_plugin *entry_point(void);

/* --- the shared object --- */

/* The plugin of an open object; false with what is wrong. */
static bool enter(void *object, const ksk_plugin **plugin, ksk_error *err)
{
    void *const symbol = dlsym(object, entry_name);
    if (!symbol)
        return ksk_fail(err, KSK_BAD_FORMAT, "no plugin: it has no function %s", entry_name);
    entry_point *function;
    memcpy(&function, &symbol, sizeof function);
    *plugin = function();
    return *plugin || ksk_fail(err, KSK_BAD_FORMAT, "no plugin: its %s gave NULL", entry_name);
}

static bool is_registered(const ksk_plugin *plugin)
{
    for (int i = 0; ksk_plugin_at(i); i++)
        if (ksk_plugin_at(i) == plugin)
            return true;
    return false;
}

/* An object that is refused is closed again. */
static const ksk_plugin *open_object(const char *path, ksk_error *err)
{
    void *const object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        const char *reason = dlerror();
        const size_t length = strlen(path);
        if (strncmp(reason, path, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
            reason += length + 2;
        ksk_fail(err, KSK_BAD_FORMAT, "no plugin: %s", reason);
        return NULL;
    }
    const ksk_plugin *plugin = NULL;
    if (enter(object, &plugin, err) && (is_registered(plugin) || ksk_plugin_register(plugin, err)))
        return plugin;
    dlclose(object);
    return NULL;
}

/* --- the child that goes first --- */

/* Loads in the child and says so through the pipe, whatever came of it: what matters is that it
 * came back. Prints nothing. */
static void try_in_child(const char *path, int answer)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};
    const int nowhere = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(nowhere, i);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    alarm(SECONDS_TO_LOAD);
    void *const object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const ksk_plugin *plugin = NULL;
    if (object && enter(object, &plugin, NULL))
        ksk_plugin_register(plugin, NULL);
    if (object)
        dlclose(object);
    const ssize_t written = write(answer, "+", 1);
    _exit(written == 1 ? 0 : 1);
}

static bool judge(int status, bool answered, ksk_error *err)
{
    if (answered)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return ksk_fail(err, KSK_BAD_FORMAT, "it was not loaded after %d seconds", SECONDS_TO_LOAD);
    if (WIFSIGNALED(status))
        return ksk_fail(err, KSK_BAD_FORMAT, "it crashes when it is loaded (%s)",
                        strsignal(WTERMSIG(status)));
    return ksk_fail(err, KSK_BAD_FORMAT, "it ends the program when it is loaded (status %d)",
                    WEXITSTATUS(status));
}

static bool survives(const char *path, ksk_error *err)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ksk_fail(err, KSK_BAD_FILE, "no pipe to try it: %s", strerror(errno));
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        try_in_child(path, ends[1]);
    }
    close(ends[1]);
    char answer;
    ssize_t got = -1;
    while (child > 0 && (got = read(ends[0], &answer, 1)) < 0 && errno == EINTR)
        continue;
    close(ends[0]);
    if (child < 0)
        return ksk_fail(err, KSK_BAD_FILE, "no process to try it: %s", strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return judge(status, got == 1, err);
}

/* --- loading --- */

/* dlopen searches elsewhere for a name without a slash. */
static char *path_with_slash(const char *path)
{
    return strchr(path, '/') ? ksk_strdup(path) : ksk_path(".", path);
}

const ksk_plugin *ksk_plugin_load(const char *path, ksk_error *err)
{
    char *const full = path_with_slash(path);
    if (!full) {
        ksk_fail_memory(err);
        return NULL;
    }
    ksk_error why = {0};
    const ksk_plugin *plugin = NULL;
    if (access(full, R_OK) != 0)
        ksk_fail(&why, KSK_BAD_FILE, "%s", strerror(errno));
    else if (survives(full, &why))
        plugin = open_object(full, &why);
    if (!plugin) {
        char name[MESSAGE / 2], reason[MESSAGE];
        ksk_fail(err, why.status, "%s: %s", ksk_printable(path, name, sizeof name),
                 ksk_printable(why.message, reason, sizeof reason));
    }
    ksk_free(full);
    return plugin;
}

static int is_object(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool load_and_report(const char *directory, const char *name, ksk_plugin_report *report,
                            void *context, ksk_error *err)
{
    char *const path = ksk_path(directory, name);
    if (!path)
        return ksk_fail_memory(err);
    ksk_error why = {0};
    const ksk_plugin *const plugin = ksk_plugin_load(path, &why);
    if (report)
        report(context, path, plugin, &why);
    ksk_free(path);
    return true;
}

bool ksk_plugins_load(const char *directory, ksk_plugin_report *report, void *context,
                      ksk_error *err)
{
    struct dirent **entries;
    const int count = scandir(directory, &entries, is_object, by_name);
    if (count < 0)
        return ksk_fail(err, errno == ENOMEM ? KSK_OUT_OF_MEMORY : KSK_BAD_FILE,
                        "%s: cannot be read: %s", directory, strerror(errno));
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = ok && load_and_report(directory, entries[i]->d_name, report, context, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}
