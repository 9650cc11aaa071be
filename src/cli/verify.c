/* kaskad verify: whether a checkpoint computes here what it computed where it was made. */
#include <stdio.h>

#include "cli/cli.h"
#include "kaskad/kaskad.h"

static int run(int argc, char **argv)
{
    const char *directory = NULL;
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "the checkpoint", &directory),
        KSK_OPTIONS_END,
    };
    int status, checked = 0;
    if (!ksk_options_parse(&ksk_command_verify, options, argc, argv, NULL, &status))
        return status;
    ksk_error err = {0};
    const ksk_load_options full = {.precision = KSK_PRECISION_FULL};
    ksk_model *model = ksk_model_load(directory, &full, &err);
    bool ok = model && ksk_model_verify(model, &checked, &err);
    ksk_model_free(model);
    if (!ok)
        return ksk_complain("%s", err.message);
    printf("%s: %d texts give the recorded token ids and logits\n", directory, checked);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_verify = {
    .name = "verify",
    .arguments = "-m DIR",
    .summary = "Check a checkpoint against the proof that it carries",
    .details = "A checkpoint's kaskad.json holds a few texts with their token ids and logits, as\n"
               "they were when it was saved. A difference is a failure that names the text.",
    .example = "  kaskad verify -m models/tatoeba-deu-eng",
    .run = run,
};
