/* Lion. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms": every parameter moves by
 * the learning rate, against the sign of a mean of its gradient and their running mean, and decays.
 * A recipe says `optimiser: lion`, with about a fifth of Adam's learning rate and beta2 near 0.99.
 */
#include <kaskad/extend.h>

static void update(const ksk_leaf_update *leaf, const float *numbers, int64_t begin, int64_t end)
{
    (void)numbers;
    const float beta1 = (float)leaf->beta1, beta2 = (float)leaf->beta2;
    const float rate = (float)leaf->learning_rate, decay = (float)leaf->weight_decay;
    for (int64_t i = begin; i < end; i++) {
        const float gradient = leaf->gradients[i] * leaf->scale, mean = leaf->moments[0][i];
        const float blend = beta1 * mean + (1 - beta1) * gradient;
        const float sign = (float)((blend > 0) - (blend < 0));
        leaf->next_moments[0][i] = beta2 * mean + (1 - beta2) * gradient;
        leaf->next_parameters[i] =
            leaf->parameters[i] - rate * (sign + decay * leaf->parameters[i]);
    }
}

static const ksk_optimiser_type lion = {
    .name = "lion",
    .citation = "Chen et al. 2023, Symbolic Discovery of Optimization Algorithms",
    .moments = 1,
    .update = update,
};
static const ksk_optimiser_type *const optimisers[] = {&lion, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "lion", .optimisers = optimisers};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
