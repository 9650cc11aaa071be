/* Weights of a run as files, and their average (Vaswani et al. 2017, section 6.1). */
#ifndef KSK_TRAIN_AVERAGE_H
#define KSK_TRAIN_AVERAGE_H

#include "kaskad/module.h"

/* Writes the module's tensors as `dtype` to a safetensors file, whole or not at all. Errors:
 * BAD_FILE, OUT_OF_MEMORY. */
bool ksk_weights_write(const ksk_module *module, ksk_dtype dtype, const char *path, ksk_error *err);

/* The mean of `count` such files, computed in double precision: a tree like `like`, F32. Caller
 * releases. Errors: BAD_FILE, BAD_FORMAT, OUT_OF_MEMORY. */
ksk_module *ksk_weights_average(const ksk_module *like, const char *directory,
                                const char *const *names, int count, ksk_error *err);

#endif
