/* The losses that ship; losses.c lists them. */
#ifndef KSK_TRAIN_LOSSES_H
#define KSK_TRAIN_LOSSES_H

#include "kaskad/extend.h"

extern const ksk_loss ksk_loss_cross_entropy;

extern const ksk_loss *const ksk_built_in_losses[]; /* ends with NULL */

#endif
