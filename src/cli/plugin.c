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

static void print_row(const char *kind, const char *name, const ksk_plugin *from,
                      const char *citation)
{
    printf("%-10s %-16s %s", kind, name, from->name);
    if (citation)
        printf("%*s %s", 12 - (int)strlen(from->name), "", citation);
    putchar('\n');
}

static void print_plugin(const ksk_plugin *p)
{
    for (int i = 0; p->models && p->models[i]; i++)
        print_row("model", p->models[i]->name, p, p->models[i]->citation);
    for (int i = 0; p->decoders && p->decoders[i]; i++)
        print_row("decoder", p->decoders[i]->name, p, p->decoders[i]->citation);
    for (int i = 0; p->processors && p->processors[i]; i++)
        print_row("processor", p->processors[i]->name, p, p->processors[i]->citation);
    for (int i = 0; p->operations && p->operations[i]; i++)
        print_row("operation", p->operations[i]->name, p, NULL);
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
    fputs("usage: kaskad plugin list|build|new ...\n\nPlugins: decoders, processors, operations "
          "and models in files of your own\n\n",
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
