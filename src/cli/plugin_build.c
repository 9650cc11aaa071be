/* kaskad plugin build: each .c of a folder against the installed headers. */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/plugin.h"
#include "kaskad/extend.h"

extern char **environ;

enum { LONGEST_PATH = 4096 };

/* $1 source, $2 output, $3 headers, $4 libraries; without the last two pkg-config is asked. */
static const char compile_plugin[] =
    "[ -n \"$3\" ] && set -- \"$1\" \"$2\" \"-I$3\" || set -- \"$1\" \"$2\" $(pkg-config --cflags "
    "kaskad)\n"
    "source=$1 output=$2; shift 2\n"
    "exec ${CC:-cc} -std=gnu17 -O2 -Wall -Wextra -ffp-contract=off -fPIC -fvisibility=hidden "
    "-shared \"$@\" $CFLAGS -o \"$output\" \"$source\" -lm";
static const char compile_test[] =
    "[ -n \"$3\" ] && set -- \"$1\" \"$2\" \"-I$3\" \"-L$4\" \"-Wl,-rpath,$4\" -lkaskad ||"
    " set -- \"$1\" \"$2\" $(pkg-config --cflags --libs kaskad)\n"
    "source=$1 output=$2; shift 2\n"
    "exec ${CC:-cc} -std=gnu17 -O2 -Wall -Wextra -ffp-contract=off $CFLAGS -o \"$output\" "
    "\"$source\" \"$@\" -lm";

char *ksk_beside_program(const char *relative)
{
    char program[LONGEST_PATH];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return NULL;
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    const size_t size = strlen(program) + strlen(relative) + 2;
    char *const path = ksk_malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", program, relative);
    return path;
}

/* Runs the script with four arguments; true when it ends well. */
static bool run_shell(const char *script, const char *const arguments[4])
{
    char *words[] = {(char *)"sh",         (char *)"-c",         (char *)script,
                     (char *)"kaskad",     (char *)arguments[0], (char *)arguments[1],
                     (char *)arguments[2], (char *)arguments[3], NULL};
    pid_t child;
    int status = 0;
    if (posix_spawnp(&child, "sh", NULL, NULL, words, environ) != 0)
        return !ksk_complain("cannot run sh, which runs the compiler");
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void describe(const char *path, const ksk_plugin *p)
{
    printf("%s: plugin %s", path, p->name);
    ksk_item item;
    for (int i = 0; ksk_plugin_item(p, i, &item); i++)
        printf(", %s %s", item.kind, item.name);
    putchar('\n');
}

/* What was built must load. */
static bool try_plugin(const char *path)
{
    ksk_error err = {0};
    const ksk_plugin *const plugin = ksk_plugin_load(path, &err);
    if (!plugin)
        return !ksk_complain("plugin refused: %s", err.message);
    describe(path, plugin);
    return true;
}

static bool build_one(const char *directory, const char *name, const char *headers,
                      const char *libraries)
{
    const bool test = starts_with(name, "test_");
    const int stem = (int)strlen(name) - (int)strlen(".c");
    char source[LONGEST_PATH], output[LONGEST_PATH];
    snprintf(source, sizeof source, "%s/%s", directory, name);
    if (snprintf(output, sizeof output, "%s/%.*s%s", directory, stem, name, test ? "" : ".so") >=
        LONGEST_PATH)
        return !ksk_complain("%s: the path is too long", directory);
    const char *const arguments[] = {source, output, headers, libraries};
    if (!run_shell(test ? compile_test : compile_plugin, arguments))
        return !ksk_complain("%s: the compiler failed", source);
    if (!test)
        return try_plugin(output);
    printf("%s: test\n", output);
    return true;
}

static int is_source(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 2 && !strcmp(entry->d_name + length - 2, ".c");
}

static bool build_all(const char *directory, const char *headers, const char *libraries)
{
    struct dirent **entries;
    const int count = scandir(directory, &entries, is_source, alphasort);
    if (count < 0)
        return !ksk_complain("%s: %s", directory, strerror(errno));
    bool ok = count > 0 || !ksk_complain("%s: there is no .c file", directory);
    for (int i = 0; i < count; i++) {
        ok = build_one(directory, entries[i]->d_name, headers, libraries) && ok;
        free(entries[i]);
    }
    free(entries);
    return ok && ksk_flush_output();
}

static int run(int argc, char **argv)
{
    const ksk_option options[] = {KSK_OPTIONS_END};
    ksk_texts rest = {0};
    int status;
    if (!ksk_options_parse(&ksk_command_plugin_build, options, argc, argv, &rest, &status))
        return status;
    if (rest.count != 1) {
        ksk_complain("plugin build takes one directory");
        return KSK_EXIT_USAGE;
    }
    char *const headers = ksk_beside_program("../" KSK_INCLUDE_DIR);
    char *const probe = ksk_beside_program("../" KSK_INCLUDE_DIR "/kaskad/extend.h");
    char *const libraries = ksk_beside_program("../" KSK_LIBRARY_DIR);
    const bool beside = headers && probe && libraries && access(probe, R_OK) == 0;
    const bool ok = build_all(rest.at[0], beside ? headers : "", beside ? libraries : "");
    ksk_free(headers);
    ksk_free(probe);
    ksk_free(libraries);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_plugin_build = {
    .name = "plugin build",
    .arguments = "DIR",
    .summary = "Compile each .c of a directory to a plugin, each test_*.c to a program",
    .details =
        "The compiler is $CC, or cc, with $CFLAGS; the headers are those installed with the\n"
        "program, or what pkg-config knows. What was compiled is loaded once, to see that "
        "it\ncan be.",
    .example = "  kaskad plugin build plugins",
    .run = run,
    .without_plugins = true,
};
