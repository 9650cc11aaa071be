#include "plugin/built_in.h"

extern const ksk_model_type ksk_marian, ksk_markov_transformer;

/* A new model is one file and one row. */
const ksk_model_type *const ksk_built_in_models[] = {&ksk_marian, &ksk_markov_transformer, NULL};
