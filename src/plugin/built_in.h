/* What kaskad's own plugin lists: each room keeps its list, in a registry.c. */
#ifndef KSK_PLUGIN_BUILT_IN_H
#define KSK_PLUGIN_BUILT_IN_H

#include "kaskad/extend.h"

extern const ksk_op *const ksk_built_in_operations[];
extern const ksk_model_type *const ksk_built_in_models[];
extern const ksk_decoder *const ksk_built_in_decoders[];

#endif
