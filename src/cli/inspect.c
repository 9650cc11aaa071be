/* kaskad inspect: what is in a checkpoint. */
#include <stdio.h>

#include "cli/cli.h"
#include "kaskad/kaskad.h"

static int run(int argc, char **argv)
{
    const ksk_option options[] = {KSK_OPTIONS_END};
    ksk_texts rest = {0};
    int status;
    if (!ksk_options_parse(&ksk_command_inspect, options, argc, argv, &rest, &status))
        return status;
    if (rest.count != 1) {
        ksk_complain("inspect takes one checkpoint directory");
        return KSK_EXIT_USAGE;
    }
    ksk_error err = {0};
    const ksk_load_options full = {.precision = KSK_PRECISION_FULL};
    ksk_model *model = ksk_model_load(rest.at[0], &full, &err);
    char *text = model ? ksk_model_describe(model, &err) : NULL;
    if (text)
        fputs(text, stdout);
    else
        ksk_complain("%s", err.message);
    const bool ok = text && ksk_flush_output();
    ksk_free(text);
    ksk_model_free(model);
    return ok ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_inspect = {
    .name = "inspect",
    .arguments = "DIR",
    .summary = "Module tree, shapes, sizes and settings of a checkpoint",
    .example = "  kaskad inspect models/tatoeba-deu-eng",
    .run = run,
};
