/* The inside of a trainer, for the files that step it and store it. */
#ifndef KSK_TRAIN_TRAINER_H
#define KSK_TRAIN_TRAINER_H

#include "train/step.h"

struct ksk_trainer {
    ksk_step_options options;
    ksk_sequence_rules rules;
    ksk_module *module;
    ksk_optimiser_state state;
    int leaves;
    ksk_plan *step;       /* batch, leaves → loss, gradients */
    ksk_plan *loss;       /* batch, leaves → loss, without dropout and smoothing */
    int gradients;        /* leaves that the loss depends on */
    int *leaf_of;         /* [gradients]: the leaf of each gradient, ascending */
    ksk_tensor **sum;     /* [leaves]: gradients of the batches so far; memory kept between updates,
                             zeros where the loss does not depend on the leaf */
    ksk_tensor **fresh;   /* [leaves]: gradients of one more batch; NULL until there is a second */
    ksk_tensor **outputs; /* [1 + gradients], only during a run */
    const ksk_tensor **inputs; /* [batch inputs + leaves], likewise */
    ksk_tensor *loss_sum;      /* [1]: where a run puts the loss */
    int64_t batches, tokens;   /* in `sum` */
    bool finite;               /* all losses in `sum` were */
    ksk_workspace *workspace;
    ksk_pool *pool;
};

/* Forgets what was accumulated. */
void ksk_trainer_drop(ksk_trainer *trainer);

#endif
