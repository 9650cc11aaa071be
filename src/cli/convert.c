/* kaskad convert: a checkpoint written anew, with its proof. */
#include <stdio.h>

#include "cli/cli.h"
#include "kaskad/kaskad.h"

enum { NOT_GIVEN = -1 };

static bool convert(const char *from, const char *to, const ksk_load_options *options,
                    ksk_error *err)
{
    ksk_model *model = ksk_model_load(from, options, err);
    const bool ok = model && ksk_model_save(model, to, err);
    ksk_model_free(model);
    return ok;
}

/* What has been written must load, and compute what its proof says. */
static bool verify(const char *directory, int *checked, ksk_error *err)
{
    const ksk_load_options full = {.precision = KSK_PRECISION_FULL};
    ksk_model *model = ksk_model_load(directory, &full, err);
    const bool ok = model && ksk_model_verify(model, checked, err);
    ksk_model_free(model);
    return ok;
}

static int run(int argc, char **argv)
{
    static const ksk_storage weights[] = {KSK_STORAGE_F32, KSK_STORAGE_BF16};
    const char *from = NULL, *to = NULL;
    int dtype = NOT_GIVEN, status, checked = 0;
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "the checkpoint to read", &from),
        KSK_NEEDED("out", 'o', "DIR", "where to write; made if it is missing", &to),
        KSK_CHOICE("dtype", 0, "f32|bf16", "of the weights (as they are)", &dtype),
        KSK_OPTIONS_END,
    };
    if (!ksk_options_parse(&ksk_command_convert, options, argc, argv, NULL, &status))
        return status;
    ksk_load_options load = {.precision = KSK_PRECISION_FULL};
    if (dtype != NOT_GIVEN)
        load.weights = weights[dtype];
    ksk_error err = {0};
    if (!convert(from, to, &load, &err) || !verify(to, &checked, &err))
        return ksk_complain("%s", err.message);
    printf("%s: written; %d texts give the recorded token ids and logits\n", to, checked);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_convert = {
    .name = "convert",
    .arguments = "-m DIR -o DIR [OPTIONS]",
    .summary = "Write a checkpoint anew, with other weights' types, and its proof",
    .details =
        "Reads a checkpoint in Hugging Face's layout and writes config.json, model.safetensors,\n"
        "the tokenizer's files and kaskad.json, whose texts `kaskad verify` checks. In bf16 the\n"
        "weights take half the room; translations may change a little.",
    .example = "  kaskad convert -m models/tatoeba-deu-eng -o /tmp/f32 --dtype f32",
    .run = run,
};
