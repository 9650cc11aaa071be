/* The decoders that ship; registry.c lists them. */
#ifndef KSK_DECODE_DECODERS_H
#define KSK_DECODE_DECODERS_H

#include "kaskad/decode.h"

extern const ksk_decoder ksk_decoder_greedy;
extern const ksk_decoder ksk_decoder_beam;
extern const ksk_decoder ksk_decoder_sample;
extern const ksk_decoder ksk_decoder_cascade;

extern const ksk_decoder *const ksk_built_in_decoders[]; /* ends with NULL */

#endif
