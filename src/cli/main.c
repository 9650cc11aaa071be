/* kaskad: finds the command and runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "kaskad/kaskad.h"

static const ksk_command *const commands[] = {
    &ksk_command_translate, &ksk_command_score,     &ksk_command_metric,   &ksk_command_inspect,
    &ksk_command_verify,    &ksk_command_convert,   &ksk_command_quantize, &ksk_command_train,
    &ksk_command_distill,   &ksk_command_shortlist, &ksk_command_lattice,  &ksk_command_diagnose,
    &ksk_command_plugin,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static int print_usage(FILE *out)
{
    fputs("usage: kaskad COMMAND [OPTIONS]\n\n"
          "Trains Transformer models on CPUs; translates, scores and measures text.\n\nCommands\n",
          out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`kaskad COMMAND --help` explains one; `kaskad --version` prints the version.\n\n"
          "Example\n"
          "  echo 'Guten Morgen!' | kaskad translate -m models/tatoeba-deu-eng\n",
          out);
    return out == stderr ? KSK_EXIT_USAGE : (ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE);
}

static int unknown_command(const char *given)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *closest = ksk_closest_name(given, names, COMMANDS);
    fprintf(stderr, "kaskad: there is no command '%s'", given);
    if (closest)
        fprintf(stderr, "; %s?", closest);
    fputs("\n`kaskad --help` lists the commands.\n", stderr);
    return KSK_EXIT_USAGE;
}

static const ksk_command *find(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    /* A reader that goes away (`kaskad … | head`) ends the program without a word. */
    signal(SIGPIPE, SIG_DFL);
    if (argc < 2)
        return print_usage(stderr);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("kaskad %s (%s)\n", ksk_version(), ksk_isa());
        return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
    }
    if (!strcmp(argv[1], "help") && argc > 2) {
        const ksk_command *command = find(argv[2]);
        char *help[] = {argv[2], "--help", NULL};
        return command ? command->run(2, help) : unknown_command(argv[2]);
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return print_usage(stdout);
    const ksk_command *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : unknown_command(argv[1]);
}
