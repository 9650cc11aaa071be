#include <string.h>

#include "decode/decoders.h"

/* A new decoder is one file and one row. */
static const ksk_decoder *const decoders[] = {
    &ksk_decoder_greedy,
    &ksk_decoder_beam,
    &ksk_decoder_sample,
    NULL,
};

const ksk_decoder *ksk_decoder_at(int index)
{
    int i = 0;
    while (decoders[i] && i != index)
        i++;
    return decoders[i];
}

const ksk_decoder *ksk_decoder_find(const char *name)
{
    for (int i = 0; decoders[i]; i++)
        if (strcmp(decoders[i]->name, name) == 0)
            return decoders[i];
    return NULL;
}
