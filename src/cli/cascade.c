#include "cli/cascade.h"

static void set(int *option, int given)
{
    if (given >= 0)
        *option = given;
}

void ksk_cascade_set(const ksk_cascade_given *given, ksk_cascade_options *options)
{
    set(&options->topk, given->topk);
    set(&options->keep, given->keep);
    set(&options->rounds, given->rounds);
    set(&options->delta, given->delta);
    set(&options->support, given->support);
    if (!isnan(given->threshold))
        options->threshold = given->threshold;
    if (!isnan(given->length_reward))
        options->length_reward = given->length_reward;
}
