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
    const int count = (int)(sizeof decoders / sizeof *decoders);
    return index >= 0 && index < count ? decoders[index] : NULL;
}

const ksk_decoder *ksk_decoder_find(const char *name)
{
    for (int i = 0; decoders[i]; i++)
        if (strcmp(decoders[i]->name, name) == 0)
            return decoders[i];
    return NULL;
}
