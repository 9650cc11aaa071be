/* A posterior over one positive number, tabulated where its mass is. */
#ifndef KSK_DIAGNOSE_POSTERIOR_H
#define KSK_DIAGNOSE_POSTERIOR_H

#include "kaskad/diagnose.h"

/* Values, ascending, and the share of the mass that each stands for. */
typedef struct ksk_grid {
    double at[KSK_POSTERIOR_POINTS], mass[KSK_POSTERIOR_POINTS];
} ksk_grid;

/* A logarithm of a density, up to a constant. */
typedef double ksk_log_density(const void *context, double x);

/* Puts a grid, even in log x, where a density with one peak has all but about exp(-25) of its mass
 * within [low, high]. */
void ksk_grid_fit(ksk_grid *grid, ksk_log_density *density, const void *context, double low,
                  double high);

/* Sets mean, interval and density from a grid of any spacing whose masses sum to 1. */
void ksk_grid_tell(const ksk_grid *grid, ksk_posterior *posterior);

/* The mean of f(x) under the grid is Σ mass · f. The width that point i stands for: */
double ksk_grid_width(const double *at, int i);

/* log Γ(x) for x > 0; lgamma itself writes to a global. */
double ksk_log_gamma(double x);

#endif
