/* kaskad quantize: a smaller checkpoint, packed for the kernels that multiply it. */
#include <stdio.h>

#include "cli/cli.h"
#include "kaskad/kaskad.h"

static const ksk_precision precisions[] = {KSK_PRECISION_INT8, KSK_PRECISION_BF16};

static bool quantize(const char *from, const char *to, ksk_precision precision, ksk_error *err)
{
    const ksk_load_options options = {.precision = precision};
    ksk_model *model = ksk_model_load(from, &options, err);
    const bool ok = model && ksk_model_quantize(model, to, err);
    ksk_model_free(model);
    return ok;
}

/* What has been written must load, and compute what its proof says. */
static bool verify(const char *directory, int *checked, ksk_error *err)
{
    ksk_model *model = ksk_model_load(directory, NULL, err);
    const bool ok = model && ksk_model_verify(model, checked, err);
    ksk_model_free(model);
    return ok;
}

static int run(int argc, char **argv)
{
    const char *from = NULL, *to = NULL;
    int precision = 0, status, checked = 0;
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "the checkpoint to read", &from),
        KSK_NEEDED("out", 'o', "DIR", "where to write; made if it is missing", &to),
        KSK_CHOICE("precision", 0, "int8|bf16", "of the matrices (int8)", &precision),
        KSK_OPTIONS_END,
    };
    if (!ksk_options_parse(&ksk_command_quantize, options, argc, argv, NULL, &status))
        return status;
    ksk_error err = {0};
    if (!quantize(from, to, precisions[precision], &err) || !verify(to, &checked, &err))
        return ksk_complain("%s", err.message);
    printf("%s: written in %s; %d texts give the recorded token ids and logits\n", to,
           ksk_precision_name(precisions[precision]), checked);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_quantize = {
    .name = "quantize",
    .arguments = "-m DIR -o DIR [OPTIONS]",
    .summary = "Write a smaller checkpoint whose matrices are packed in int8 or bf16",
    .details =
        "Its translations are those of `--precision int8` (or bf16) with the original. The\n"
        "matrices lie in the file as this processor multiplies them and are mapped, not copied;\n"
        "another processor packs them anew when it loads them. Other programs cannot read it, and\n"
        "it cannot be trained or converted: keep the original.",
    .example = "  kaskad quantize -m models/tatoeba-deu-eng -o /tmp/int8",
    .run = run,
};
