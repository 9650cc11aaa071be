/* Nothing is sampled. λ integrates out; what is left is one number a group, α, on a grid; the η
 * that the groups share is another grid around it. Given α the sum of the λ_i is Gamma, since they
 * have one rate, so the mean's posterior is a mixture of Gammas over α's grid. */
#include "diagnose/lengths.h"

#include <math.h>

#include "kaskad/memory.h"

enum { POINTS = KSK_POSTERIOR_POINTS };
static const double least = 1e-6, most = 1e7;

bool ksk_lengths_count(const ksk_worded *text, int most_lines, ksk_lengths *lengths)
{
    const int lines = text->lines < most_lines ? text->lines : most_lines;
    size_t count, longest = 0;
    for (int i = 0; i < lines; i++) {
        ksk_worded_line(text, i, &count);
        longest = count > longest ? count : longest;
    }
    double *const of = ksk_calloc(longest + 1, sizeof *of);
    lengths->length = ksk_calloc(longest + 1, sizeof *lengths->length);
    lengths->times = ksk_calloc(longest + 1, sizeof *lengths->times);
    const bool ok = of && lengths->length && lengths->times;
    for (int i = 0; ok && i < lines; i++) {
        ksk_worded_line(text, i, &count);
        of[count]++;
        lengths->words += (double)count;
    }
    for (size_t y = 0; ok && y <= longest; y++)
        if (of[y] > 0) {
            lengths->length[lengths->count] = (double)y;
            lengths->times[lengths->count++] = of[y];
        }
    lengths->lines = lines;
    ksk_free(of);
    return ok;
}

double ksk_negative_binomial(double y, double alpha, double beta)
{
    return ksk_log_gamma(y + alpha) - ksk_log_gamma(alpha) - ksk_log_gamma(y + 1) +
           alpha * (log(beta) - log1p(beta)) - y * log1p(beta);
}

static double log_likelihood(const ksk_lengths *lengths, double alpha, double beta)
{
    double sum = 0;
    for (int i = 0; i < lengths->count; i++)
        sum += lengths->times[i] * ksk_negative_binomial(lengths->length[i], alpha, beta);
    return sum;
}

/* --- the training text --------------------------------------------------------------------------
 */

enum { SIDE = 41, ZOOMS = 14 };

/* A square of log α and log μ that is zoomed in on until it just holds the mass. */
typedef struct square {
    double low[2], high[2];
    double height[SIDE][SIDE], peak;
} square;

static double place(const square *s, int axis, int i)
{
    return exp(s->low[axis] + (s->high[axis] - s->low[axis]) * i / (SIDE - 1));
}

/* The density of (log α, log μ), which has the Jacobian α β. */
static void fill(square *s, const ksk_lengths *training)
{
    s->peak = -INFINITY;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            const double alpha = place(s, 0, i), beta = alpha / place(s, 1, j);
            s->height[i][j] =
                log_likelihood(training, alpha, beta) - alpha - 10 * beta + log(alpha) + log(beta);
            s->peak = fmax(s->peak, s->height[i][j]);
        }
}

static bool matters(const square *s, int axis, int at)
{
    for (int k = 0; k < SIDE; k++)
        if ((axis ? s->height[k][at] : s->height[at][k]) > s->peak - 20)
            return true;
    return false;
}

static void zoom(square *s)
{
    for (int axis = 0; axis < 2; axis++) {
        int first = 0, last = SIDE - 1;
        while (first < last && !matters(s, axis, first))
            first++;
        while (last > first && !matters(s, axis, last))
            last--;
        const double step = (s->high[axis] - s->low[axis]) / (SIDE - 1), from = s->low[axis];
        s->low[axis] = from + step * (first > 0 ? first - 1 : 0);
        s->high[axis] = from + step * (last < SIDE - 1 ? last + 1 : SIDE - 1);
    }
}

double ksk_lengths_scale(const ksk_lengths *training)
{
    square s = {.low = {log(1e-4), log(1e-4)}, .high = {log(1e5), log(1e5)}};
    for (int i = 0; i < ZOOMS; i++) {
        fill(&s, training);
        zoom(&s);
    }
    fill(&s, training);
    double sum = 0, mass = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            const double weight = exp(s.height[i][j] - s.peak);
            mass += weight;
            sum += weight * place(&s, 1, j);
        }
    return sum / mass;
}

/* --- the groups ---------------------------------------------------------------------------------
 */

typedef struct group {
    const ksk_lengths *lengths;
    double beta; /* 1 / μ */
    ksk_grid alpha;
} group;

static double log_alpha_density(const void *context, double alpha)
{
    const group *const g = context;
    return log_likelihood(g->lengths, alpha, g->beta);
}

/* ∫ p(y | α) η exp(−η α) dα, up to the constant that the grid was divided by. */
static double given_rate(const ksk_grid *alpha, double eta)
{
    double sum = 0;
    for (int i = 0; i < POINTS; i++)
        sum += alpha->mass[i] * eta * exp(-eta * alpha->at[i]);
    return sum;
}

/* Weighs each group's α by the prior that η, believed after all groups were seen, makes of it. */
static void share_rate(int groups, group *all)
{
    enum { RATES = 400 };
    double eta[RATES], weight[RATES], peak = -INFINITY, sum = 0;
    for (int r = 0; r < RATES; r++) {
        eta[r] = exp(log(1e-5) + log(1e8) * r / (RATES - 1));
        weight[r] = -eta[r] + log(eta[r]); /* even in log η */
        for (int g = 0; g < groups; g++)
            weight[r] += log(given_rate(&all[g].alpha, eta[r]));
        peak = fmax(peak, weight[r]);
    }
    for (int r = 0; r < RATES; r++)
        sum += weight[r] = exp(weight[r] - peak);
    for (int g = 0; g < groups; g++) {
        double prior[POINTS] = {0};
        for (int r = 0; r < RATES; r++) {
            const double all_alpha = weight[r] > 0 ? given_rate(&all[g].alpha, eta[r]) : 0;
            for (int i = 0; all_alpha > 0 && i < POINTS; i++)
                prior[i] +=
                    weight[r] / sum * eta[r] * exp(-eta[r] * all[g].alpha.at[i]) / all_alpha;
        }
        for (int i = 0; i < POINTS; i++)
            all[g].alpha.mass[i] *= prior[i];
    }
}

/* log of the density at x of the mean of n numbers whose sum is Gamma(shape, rate). */
static double log_mean_density(double x, double n, double shape, double rate)
{
    return shape * log(n * rate) + (shape - 1) * log(x) - n * rate * x - ksk_log_gamma(shape);
}

static void tell_mean(const group *g, ksk_posterior *posterior)
{
    const double n = g->lengths->lines, words = g->lengths->words, rate = 1 + g->beta;
    double mean = 0, square_mean = 0, sum = 0;
    ksk_grid grid;
    for (int i = 0; i < POINTS; i++) {
        const double shape = n * g->alpha.at[i] + words;
        mean += g->alpha.mass[i] * shape / (n * rate);
        square_mean += g->alpha.mass[i] * shape * (shape + 1) / (n * rate) / (n * rate);
    }
    const double spread = 7 * sqrt(square_mean - mean * mean);
    const double low = fmax(mean - spread, mean * 1e-3), high = mean + spread;
    for (int k = 0; k < POINTS; k++) {
        grid.at[k] = low + (high - low) * k / (POINTS - 1);
        grid.mass[k] = 0;
        for (int i = 0; i < POINTS; i++)
            if (g->alpha.mass[i] > 1e-12)
                grid.mass[k] +=
                    g->alpha.mass[i] *
                    exp(log_mean_density(grid.at[k], n, n * g->alpha.at[i] + words, rate));
        sum += grid.mass[k];
    }
    for (int k = 0; k < POINTS; k++)
        grid.mass[k] /= sum;
    ksk_grid_tell(&grid, posterior);
    posterior->mean = mean;
}

bool ksk_lengths_means(double mu, int groups, const ksk_lengths *lengths, ksk_posterior *posteriors,
                       ksk_error *err)
{
    group *const all = ksk_calloc((size_t)groups, sizeof *all);
    if (!all)
        return ksk_fail_memory(err);
    for (int g = 0; g < groups; g++) {
        all[g] = (group){.lengths = &lengths[g], .beta = 1 / mu};
        ksk_grid_fit(&all[g].alpha, log_alpha_density, &all[g], least, most);
    }
    share_rate(groups, all);
    for (int g = 0; g < groups; g++)
        tell_mean(&all[g], &posteriors[g]);
    ksk_free(all);
    return true;
}
