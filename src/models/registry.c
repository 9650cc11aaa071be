#include "models/models.h"

/* A new model is one file and one row. */
const ksk_model_type *const ksk_built_in_models[] = {&ksk_marian, &ksk_markov_transformer, NULL};
