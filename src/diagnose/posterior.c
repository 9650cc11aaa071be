#include "diagnose/posterior.h"

#include <math.h>

enum { POINTS = KSK_POSTERIOR_POINTS, SCAN = 49, ROUNDS = 8 };
static const double negligible = 25; /* nats below the peak */

static double point(double low, double high, int i, int count)
{
    return exp(low + (high - low) * i / (count - 1));
}

/* The density of log x, which the grid is even in. */
static double log_height(ksk_log_density *density, const void *context, double x)
{
    return density(context, x) + log(x);
}

/* Narrows [low, high], logarithms, to one point around those near the peak. */
static void narrow(ksk_log_density *density, const void *context, double *low, double *high)
{
    double heights[SCAN], peak = -INFINITY;
    for (int i = 0; i < SCAN; i++) {
        heights[i] = log_height(density, context, point(*low, *high, i, SCAN));
        peak = fmax(peak, heights[i]);
    }
    int first = 0, last = SCAN - 1;
    while (first < last && !(heights[first] > peak - negligible))
        first++;
    while (last > first && !(heights[last] > peak - negligible))
        last--;
    const double step = (*high - *low) / (SCAN - 1), from = *low;
    *low = from + step * (first > 0 ? first - 1 : 0);
    *high = from + step * (last < SCAN - 1 ? last + 1 : SCAN - 1);
}

double ksk_grid_width(const double *at, int i)
{
    const double left = i > 0 ? at[i - 1] : at[i], right = i + 1 < POINTS ? at[i + 1] : at[i];
    return (right - left) / 2;
}

void ksk_grid_fit(ksk_grid *grid, ksk_log_density *density, const void *context, double low,
                  double high)
{
    double from = log(low), to = log(high), peak = -INFINITY, sum = 0;
    for (int i = 0; i < ROUNDS; i++)
        narrow(density, context, &from, &to);
    for (int i = 0; i < POINTS; i++) {
        grid->at[i] = point(from, to, i, POINTS);
        grid->mass[i] = log_height(density, context, grid->at[i]);
        peak = fmax(peak, grid->mass[i]);
    }
    for (int i = 0; i < POINTS; i++)
        sum += grid->mass[i] = exp(grid->mass[i] - peak);
    for (int i = 0; i < POINTS; i++)
        grid->mass[i] /= sum;
}

/* The value below which `share` of the mass lies; a point's mass is spread over its width. */
static double quantile(const ksk_grid *grid, double share)
{
    double below = 0;
    for (int i = 0; i < POINTS; i++) {
        if (below + grid->mass[i] >= share && grid->mass[i] > 0) {
            const double left = i > 0 ? (grid->at[i - 1] + grid->at[i]) / 2 : grid->at[i];
            return left + ksk_grid_width(grid->at, i) * (share - below) / grid->mass[i];
        }
        below += grid->mass[i];
    }
    return grid->at[POINTS - 1];
}

void ksk_grid_tell(const ksk_grid *grid, ksk_posterior *posterior)
{
    posterior->mean = 0;
    for (int i = 0; i < POINTS; i++) {
        const double width = ksk_grid_width(grid->at, i);
        posterior->mean += grid->at[i] * grid->mass[i];
        posterior->at[i] = grid->at[i];
        posterior->density[i] = width > 0 ? grid->mass[i] / width : 0;
    }
    posterior->low = quantile(grid, 0.025);
    posterior->high = quantile(grid, 0.975);
}

double ksk_log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}
