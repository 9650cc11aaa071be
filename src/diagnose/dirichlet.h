/* Counts drawn from frequencies that are themselves drawn: the Dirichlet–multinomial. */
#ifndef KSK_DIAGNOSE_DIRICHLET_H
#define KSK_DIAGNOSE_DIRICHLET_H

#include <stddef.h>

#include "diagnose/posterior.h"

/* `times` types that occur `count` times each and have the share `share` of the centre. Types that
 * do not occur say nothing and are left out. */
typedef struct ksk_cell {
    double count, share, times;
} ksk_cell;

/* Joins equal cells, in place; returns how many are left. */
size_t ksk_cells_join(ksk_cell *cells, size_t count);

/* log of n! / Π c! · Γ(s) / Γ(n + s) · Π Γ(c + s θ) / Γ(s θ). */
double ksk_dirichlet_multinomial(const ksk_cell *cells, size_t count, double s);

/* The posterior of s under a prior that says little: Gamma(1, rate 1e-4), mean 10,000. */
void ksk_concentration(const ksk_cell *cells, size_t count, ksk_posterior *posterior);

#endif
