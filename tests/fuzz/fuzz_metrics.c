/* Any two byte strings can be compared; equal ones of four words or more score 100. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/kaskad.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, bytes, size);
    text[size] = 0;
    return text;
}

static void compare(const char *hypothesis, const char *reference,
                    const ksk_metric_options *options)
{
    const char *const *references[] = {&reference, &hypothesis};
    ksk_metric_result result;
    for (int count = 1; count <= 2; count++) {
        if (!ksk_metric_bleu(1, &hypothesis, count, references, options, &result, NULL) ||
            !(result.score >= 0 && result.score <= 100 + 1e-9))
            abort();
        if (count == 2 && result.hypothesis_length >= 4 && result.score < 100 - 1e-9)
            abort();
        if (!ksk_metric_chrf(1, &hypothesis, count, references, options, &result, NULL) ||
            !(result.score >= 0 && result.score <= 100 + 1e-9))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ksk_metric_options options = ksk_metric_defaults();
    options.lowercase = data[0] & 1;
    options.word_order = data[0] & 2;
    options.tokenizer = data[0] & 4 ? "none" : "13a";
    const size_t half = (size - 1) / 2;
    char *a = copy(data + 1, half), *b = copy(data + 1 + half, size - 1 - half);
    compare(a, b, &options);
    free(a);
    free(b);
    return 0;
}
