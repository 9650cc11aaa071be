/* kaskad plugin new: a small plugin that works, and its test, to be changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/plugin.h"
#include "kaskad/extend.h"

enum { LONGEST_LINE = 512, LONGEST_PATH = 4096 };

static const char kinds[] = "decoder|model|loss|metric|processor|optimiser|operation";
static const char *const kind_names[] = {"decoder",   "model",     "loss",     "metric",
                                         "processor", "optimiser", "operation"};

static bool good_name(const char *name)
{
    const size_t length = strlen(name);
    return length > 0 && length <= 40 && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length &&
           strncmp(name, "test_", 5) != 0;
}

/* Copies line by line with every NAME made the plugin's. */
static bool fill_in(FILE *from, FILE *to, const char *name)
{
    char line[LONGEST_LINE];
    while (fgets(line, sizeof line, from)) {
        const char *at = line;
        for (const char *found; (found = strstr(at, "NAME")); at = found + strlen("NAME"))
            fprintf(to, "%.*s%s", (int)(found - at), at, name);
        fputs(at, to);
    }
    return !ferror(from) && !ferror(to);
}

/* A file that is there already is left as it is. */
static bool write_one(const char *template, const char *path, const char *name)
{
    FILE *const from = fopen(template, "r");
    if (!from)
        return !ksk_complain("%s: %s", template, strerror(errno));
    FILE *const to = fopen(path, "wx");
    bool ok = to != NULL && fill_in(from, to, name);
    ok = (!to || fclose(to) == 0) && ok;
    if (!ok)
        ksk_complain("%s: %s", path, strerror(errno));
    else
        printf("%s\n", path);
    fclose(from);
    return ok;
}

static bool write_both(const char *templates, const char *kind, const char *name)
{
    static const char *const starts[] = {"", "test_"};
    for (int i = 0; i < 2; i++) {
        char template[LONGEST_PATH], path[LONGEST_PATH];
        snprintf(template, sizeof template, "%s/%s%s.c", templates, starts[i], kind);
        snprintf(path, sizeof path, "%s%s.c", starts[i], name);
        if (!write_one(template, path, name))
            return false;
    }
    return ksk_flush_output();
}

/* Where the templates are installed, or in the source tree. */
static char *find_templates(void)
{
    char *const installed = ksk_beside_program("../" KSK_DATA_DIR "/kaskad/templates");
    if (installed && access(installed, R_OK) == 0)
        return installed;
    ksk_free(installed);
    return ksk_beside_program("../plugins/templates");
}

static int run(int argc, char **argv)
{
    int kind = -1, status;
    const ksk_option options[] = {
        KSK_CHOICE("kind", 'k', kinds, "what it brings", &kind),
        KSK_OPTIONS_END,
    };
    ksk_texts rest = {0};
    if (!ksk_options_parse(&ksk_command_plugin_new, options, argc, argv, &rest, &status))
        return status;
    if (rest.count != 1 || kind < 0) {
        ksk_complain("plugin new takes a name and --kind %s", kinds);
        return KSK_EXIT_USAGE;
    }
    if (!good_name(rest.at[0])) {
        ksk_complain("'%s' is no name for a plugin: letters a-z first, then digits and _ too, at "
                     "most 40, not test_...",
                     rest.at[0]);
        return KSK_EXIT_USAGE;
    }
    char *const templates = find_templates();
    const bool ok = templates && write_both(templates, kind_names[kind], rest.at[0]);
    ksk_free(templates);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_plugin_new = {
    .name = "plugin new",
    .arguments = "NAME --kind KIND",
    .summary = "Write NAME.c, a small plugin that works, and test_NAME.c",
    .details = "Both are written to the current directory; `kaskad plugin build .` compiles them,\n"
               "and ./test_NAME NAME.so tests the plugin.",
    .example = "  kaskad plugin new mine --kind decoder",
    .run = run,
    .without_plugins = true,
};
