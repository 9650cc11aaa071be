/* kaskad plugin: what is registered; and the plugins that every command loads. */
#include "cli/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/extend.h"

/* --- loading -----------------------------------------------------------------------------------
 */

static int refused;

static void note(void *context, const char *path, const ksk_plugin *plugin, const ksk_error *why)
{
    (void)context, (void)path;
    if (plugin)
        return;
    refused++;
    ksk_complain("plugin refused: %s", why->message);
}

int ksk_refused_plugins(void)
{
    return refused;
}

bool ksk_load_user_dir(const char *directory)
{
    const char *const given = directory ? directory : getenv("KASKAD_USER_DIR");
    ksk_error err = {0};
    if (!given || !*given || ksk_plugins_load(given, note, NULL, &err))
        return true;
    return !ksk_complain("%s: %s", directory ? "--user-dir" : "KASKAD_USER_DIR", err.message);
}

/* --- list --------------------------------------------------------------------------------------
 */

static void print_plugin(const ksk_plugin *plugin)
{
    ksk_item item;
    for (int i = 0; ksk_plugin_item(plugin, i, &item); i++) {
        printf("%-10s %-16s %s", item.kind, item.name, plugin->name);
        if (item.citation)
            printf("%*s %s", 12 - (int)strlen(plugin->name), "", item.citation);
        putchar('\n');
    }
}

static int list(int argc, char **argv)
{
    const ksk_option options[] = {KSK_OPTIONS_END};
    int status;
    if (!ksk_options_parse(&ksk_command_plugin_list, options, argc, argv, NULL, &status))
        return status;
    printf("%-10s %-16s %-12s %s\n", "kind", "name", "from", "citation");
    for (int i = 0; ksk_plugin_at(i); i++)
        print_plugin(ksk_plugin_at(i));
    return ksk_flush_output() && !refused ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_plugin_list = {
    .name = "plugin list",
    .arguments = "[--user-dir DIR]",
    .summary = "What is registered, by which plugin, after which paper",
    .details = "Fails when a plugin was refused; the message names it and says why.",
    .example = "  kaskad plugin list --user-dir plugins",
    .run = list,
};

/* --- the command -------------------------------------------------------------------------------
 */

static const ksk_command *const parts[] = {&ksk_command_plugin_list, &ksk_command_plugin_build,
                                           &ksk_command_plugin_new};
enum { PARTS = sizeof parts / sizeof *parts };

static int explain(FILE *out)
{
    fputs(
        "usage: kaskad plugin list|build|new ...\n\nPlugins: models, decoders, losses, metrics and "
        "more in files of your own\n\n",
        out);
    for (int i = 0; i < PARTS; i++)
        fprintf(out, "  %-14s%s\n", parts[i]->name, parts[i]->summary);
    fputs("\n`kaskad plugin list --help` and so on explain them. docs/plugins.md is the guide.\n\n"
          "Example\n"
          "  kaskad plugin new mine --kind decoder\n"
          "  kaskad plugin build .\n"
          "  kaskad translate --user-dir . -m models/tatoeba-deu-eng --decode mine\n",
          out);
    return out == stderr ? KSK_EXIT_USAGE : (ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE);
}

static int run(int argc, char **argv)
{
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
        return explain(stdout);
    for (int i = 0; argc > 1 && i < PARTS; i++)
        if (!strcmp(argv[1], parts[i]->name + strlen("plugin ")))
            return parts[i]->run(argc - 1, argv + 1);
    if (argc > 1)
        ksk_complain("there is no 'plugin %s'", argv[1]);
    return explain(stderr);
}

const ksk_command ksk_command_plugin = {
    .name = "plugin",
    .arguments = "list|build|new ...",
    .summary = "List, build and begin plugins",
    .run = run,
};
