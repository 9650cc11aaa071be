#include "diagnose/dirichlet.h"

#include <math.h>
#include <stdlib.h>

static const double prior_rate = 1e-4, least = 1e-4, most = 1e8;

static int by_content(const void *left, const void *right)
{
    const ksk_cell *const a = left, *const b = right;
    const int counts = (a->count > b->count) - (a->count < b->count);
    return counts ? counts : (a->share > b->share) - (a->share < b->share);
}

size_t ksk_cells_join(ksk_cell *cells, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(cells, count, sizeof *cells, by_content);
    for (size_t i = 0; i < count; i++)
        if (kept && !by_content(&cells[kept - 1], &cells[i]))
            cells[kept - 1].times += cells[i].times;
        else
            cells[kept++] = cells[i];
    return kept;
}

/* log Γ(n + x) / Γ(x). For small n the product is exact where the difference of two large numbers
 * is not. */
static double log_rising(double x, double n)
{
    enum { FEW = 24 };
    if (n > FEW)
        return ksk_log_gamma(n + x) - ksk_log_gamma(x);
    double product = 1;
    for (int i = 0; i < (int)n; i++)
        product *= x + i;
    return log(product);
}

double ksk_dirichlet_multinomial(const ksk_cell *cells, size_t count, double s)
{
    double n = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        const ksk_cell *const c = &cells[i];
        n += c->times * c->count;
        sum += c->times * (log_rising(s * c->share, c->count) - ksk_log_gamma(c->count + 1));
    }
    return sum + ksk_log_gamma(n + 1) - log_rising(s, n);
}

typedef struct context {
    const ksk_cell *cells;
    size_t count;
} context;

static double log_density(const void *given, double s)
{
    const context *const c = given;
    return ksk_dirichlet_multinomial(c->cells, c->count, s) - prior_rate * s;
}

void ksk_concentration(const ksk_cell *cells, size_t count, ksk_posterior *posterior)
{
    const context c = {cells, count};
    ksk_grid grid;
    ksk_grid_fit(&grid, log_density, &c, least, most);
    ksk_grid_tell(&grid, posterior);
}
