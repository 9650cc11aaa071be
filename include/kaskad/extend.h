/* kaskad: extend it. Operations, models, decoders and logit processors are made with these headers
 * and nothing else; the built-in ones are made the same way.
 *
 *     operation   a ksk_op: shape rule, plain kernel, fast kernel, gradient        kaskad/graph.h
 *     model       a ksk_model_type: declares a module, traces its parts            kaskad/model.h
 *     decoder     a ksk_decoder over a scorer                                      kaskad/decode.h
 *     processor   a ksk_processor on a row of scores                               kaskad/decode.h
 *
 * Version 0: free to change until the cascade and a canvas decoder have been built on it. */
#ifndef KASKAD_EXTEND_H
#define KASKAD_EXTEND_H

#include "kaskad/decode.h"
#include "kaskad/error.h"
#include "kaskad/graph.h"
#include "kaskad/memory.h"
#include "kaskad/model.h"
#include "kaskad/module.h"
#include "kaskad/random.h"
#include "kaskad/tensor.h"

#define KSK_EXTEND_VERSION 0

#ifdef __cplusplus
extern "C" {
#endif

/* The registered operation of that name, or NULL; and the i-th of all, or NULL at the end. */
KSK_API const ksk_op *ksk_op_find(const char *name);
KSK_API const ksk_op *ksk_op_at(int index);

#ifdef __cplusplus
}
#endif
#endif
