/* The Marian Transformer as other models of the same tensors use it. */
#ifndef KSK_MODELS_MARIAN_H
#define KSK_MODELS_MARIAN_H

#include "kaskad/model.h"

/* The module of a config.json, to which settings may be added; caller releases. Errors as
 * ksk_model_type's declare. */
ksk_module *ksk_marian_declare(ksk_config *json, ksk_error *err);

extern const ksk_seq2seq ksk_marian_parts;
extern const ksk_alias ksk_marian_aliases[];

#endif
