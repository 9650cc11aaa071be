/* Lengths by a hierarchical Gamma–Poisson model: Eikema & Aziz 2020's length analysis. */
#ifndef KSK_DIAGNOSE_LENGTHS_H
#define KSK_DIAGNOSE_LENGTHS_H

#include <stddef.h>

#include "diagnose/posterior.h"
#include "diagnose/words.h"

/* How many lines have each length. Zero it first, free both arrays with ksk_free. */
typedef struct ksk_lengths {
    double *length, *times; /* [count], ascending */
    int count;
    double lines, words;
} ksk_lengths;

/* The lengths of a text's first `most` lines. False when memory runs out. */
bool ksk_lengths_count(const ksk_worded *text, int most, ksk_lengths *lengths);

/* log of the negative binomial that integrating λ ~ Gamma(alpha, rate beta) out of Poisson(λ)
 * leaves: C(y + α − 1, y) (β / (1 + β))^α (1 / (1 + β))^y. */
double ksk_negative_binomial(double y, double alpha, double beta);

/* The posterior mean of μ = α / β where α ~ Exp(1), β ~ Exp(10) and lengths are drawn as above. */
double ksk_lengths_scale(const ksk_lengths *training);

/* Per group: η ~ Exp(1) for all, α ~ Exp(rate η), λ_i ~ Gamma(α, rate 1 / μ), y_i ~ Poisson(λ_i).
 * posteriors [groups] are of the mean of the λ_i. Errors: OUT_OF_MEMORY. */
bool ksk_lengths_means(double mu, int groups, const ksk_lengths *lengths, ksk_posterior *posteriors,
                       ksk_error *err);

#endif
