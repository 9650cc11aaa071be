/* NAME: every parameter moves by the learning rate, against the sign of its gradient's running
 * mean. Change `update`.
 *
 * Author year, "Title". A recipe says `optimiser: NAME`. */
#include <kaskad/extend.h>

static void update(const ksk_leaf_update *leaf, const float *numbers, int64_t begin, int64_t end)
{
    (void)numbers;
    const float kept = (float)leaf->beta1, rate = (float)leaf->learning_rate;
    for (int64_t i = begin; i < end; i++) {
        const float gradient = leaf->gradients[i] * leaf->scale;
        const float mean = kept * leaf->moments[0][i] + (1 - kept) * gradient;
        const float sign = (float)((mean > 0) - (mean < 0));
        leaf->next_moments[0][i] = mean;
        leaf->next_parameters[i] = leaf->parameters[i] - rate * sign;
    }
}

static const ksk_optimiser_type NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .moments = 1,
    .update = update,
};
static const ksk_optimiser_type *const optimisers[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .optimisers = optimisers};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
