#include "decode/decoders.h"

/* A new decoder is one file and one row. */
const ksk_decoder *const ksk_built_in_decoders[] = {
    &ksk_decoder_greedy, &ksk_decoder_beam, &ksk_decoder_sample, &ksk_decoder_cascade, NULL,
};
