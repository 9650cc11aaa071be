#include "train/losses.h"

static ksk_sym cross_entropy(ksk_loss_input *input)
{
    return ksk_sum(ksk_cross_entropy(input->logits(input), input->targets, input->smoothing));
}

const ksk_loss ksk_loss_cross_entropy = {
    .name = "cross_entropy",
    .citation = "Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision",
    .trace = cross_entropy,
};

/* A new loss is one table and one row. */
const ksk_loss *const ksk_built_in_losses[] = {&ksk_loss_cross_entropy, NULL};
