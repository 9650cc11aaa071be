/* The models that ship; registry.c lists them. */
#ifndef KSK_MODELS_MODELS_H
#define KSK_MODELS_MODELS_H

#include "kaskad/model.h"

extern const ksk_model_type ksk_marian, ksk_markov_transformer;

extern const ksk_model_type *const ksk_built_in_models[]; /* ends with NULL */

#endif
