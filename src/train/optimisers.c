/* The optimisers that ship. */
#include <math.h>

#include "train/optimiser.h"

/* --- SGD ---------------------------------------------------------------------------------------
 */

static void sgd(const ksk_leaf_update *leaf, const float *numbers, int64_t begin, int64_t end)
{
    (void)numbers;
    const float scale = leaf->scale, decay = (float)leaf->weight_decay;
    const float momentum = (float)leaf->beta1, rate = (float)leaf->learning_rate;
    for (int64_t i = begin; i < end; i++) {
        const float gradient = leaf->gradients[i] * scale + decay * leaf->parameters[i];
        const float moment = momentum * leaf->moments[0][i] + gradient;
        leaf->next_moments[0][i] = moment;
        leaf->next_parameters[i] = leaf->parameters[i] - rate * moment;
    }
}

const ksk_optimiser_type ksk_sgd = {
    .name = "sgd",
    .citation = "Polyak 1964, Some methods of speeding up the convergence of iteration methods",
    .moments = 1,
    .update = sgd,
};

/* --- Adam --------------------------------------------------------------------------------------
 */

enum {
    DECAY,         /* added to the gradient, times the parameter */
    KEPT,          /* what a parameter is multiplied by before its step */
    STEP,          /* rate, corrected for the first moment's start at zero */
    INVERSE_ROOT2, /* corrects the second moment's root likewise */
    FRESH1,        /* 1 - beta, rounded once */
    FRESH2
};

/* Moments start at zero, which 1 - beta^updates corrects. */
static void prepare(const ksk_leaf_update *leaf, float numbers[KSK_LEAF_NUMBERS])
{
    const double updates = (double)leaf->update;
    numbers[DECAY] = (float)leaf->weight_decay;
    numbers[KEPT] = 1;
    numbers[STEP] = (float)(leaf->learning_rate / (1 - pow(leaf->beta1, updates)));
    numbers[INVERSE_ROOT2] = (float)(1 / sqrt(1 - pow(leaf->beta2, updates)));
    numbers[FRESH1] = (float)(1 - leaf->beta1);
    numbers[FRESH2] = (float)(1 - leaf->beta2);
}

static void prepare_apart(const ksk_leaf_update *leaf, float numbers[KSK_LEAF_NUMBERS])
{
    prepare(leaf, numbers);
    numbers[DECAY] = 0;
    numbers[KEPT] = (float)(1 - leaf->learning_rate * leaf->weight_decay);
}

static void adam(const ksk_leaf_update *leaf, const float *numbers, int64_t begin, int64_t end)
{
    const float *const gradients = leaf->gradients, *const parameters = leaf->parameters;
    const float *const firsts = leaf->moments[0], *const seconds = leaf->moments[1];
    float *const next = leaf->next_parameters;
    float *const next_first = leaf->next_moments[0], *const next_second = leaf->next_moments[1];
    const float scale = leaf->scale, beta2 = (float)leaf->beta2, epsilon = (float)leaf->epsilon;
    const float decay = numbers[DECAY], kept = numbers[KEPT], step = numbers[STEP];
    const float fresh1 = numbers[FRESH1], fresh2 = numbers[FRESH2];
    const float inverse_root2 = numbers[INVERSE_ROOT2];
    for (int64_t i = begin; i < end; i++) {
        const float parameter = parameters[i];
        const float gradient = gradients[i] * scale + decay * parameter;
        const float first = firsts[i] + fresh1 * (gradient - firsts[i]);
        const float second = beta2 * seconds[i] + fresh2 * (gradient * gradient);
        const float root = sqrtf(second) * inverse_root2 + epsilon;
        next_first[i] = first;
        next_second[i] = second;
        next[i] = kept * parameter - step * (first / root);
    }
}

const ksk_optimiser_type ksk_adam = {
    .name = "adam",
    .citation = "Kingma and Ba 2015, Adam: A Method for Stochastic Optimization",
    .moments = 2,
    .prepare = prepare,
    .update = adam,
};

const ksk_optimiser_type ksk_adamw = {
    .name = "adamw",
    .citation = "Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization",
    .moments = 2,
    .prepare = prepare_apart,
    .update = adam,
};

/* A new optimiser is one table and one row. */
const ksk_optimiser_type *const ksk_built_in_optimisers[] = {&ksk_sgd, &ksk_adam, &ksk_adamw, NULL};
