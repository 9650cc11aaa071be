/* Paired bootstrap resampling. Koehn 2004, "Statistical Significance Tests for Machine Translation
 * Evaluation"; as sacreBLEU's --paired-bs computes it.
 *
 * Lines are drawn with replacement, as many as there are, the same ones for both systems, and both
 * are scored; this is repeated. Under the hypothesis that the systems are equally good the absolute
 * differences would scatter about zero as they now do about their mean, so the p-value is the share
 * of resamples whose difference exceeds the mean by more than the real difference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/memory.h"
#include "kaskad/random.h"
#include "metrics/metric.h"

enum { least_resamples = 40, most_resamples = 1000000 };

ksk_compare_options ksk_compare_defaults(void)
{
    return (ksk_compare_options){.metric = "bleu", .resamples = 1000};
}

/* What the functions below share. The scores of resamples are [resamples]. */
typedef struct comparison {
    const ksk_metric *metric;
    size_t numbers; /* of a line */
    const ksk_metric_options *scoring;
    int count, resamples;
    ksk_key key;
    int64_t *lines[2];  /* of system and baseline: [count, numbers] */
    int64_t *sums;      /* [numbers] */
    uint32_t *drawn;    /* [count, rounded up to 4] */
    double *scores[2];  /* of system and baseline */
    double *difference; /* system minus baseline */
} comparison;

/* --- statistics of lines ------------------------------------------------------------------------
 */

static bool add_lines(const comparison *c, int side, const char *const *hypotheses,
                      int reference_count, const char *const *const *references)
{
    return ksk_metric_add_lines(c->metric, c->count, hypotheses, reference_count, references,
                                c->scoring, c->lines[side], c->numbers);
}

static void add_numbers(const comparison *c, int side, size_t line)
{
    const int64_t *const numbers = c->lines[side] + line * c->numbers;
    for (size_t n = 0; n < c->numbers; n++)
        c->sums[n] += numbers[n];
}

/* The score of the lines that were drawn; of all of them, once each, when `drawn` is NULL. */
static double score_lines(const comparison *c, int side, const uint32_t *drawn)
{
    memset(c->sums, 0, c->numbers * sizeof *c->sums);
    for (int i = 0; i < c->count; i++)
        add_numbers(c, side, drawn ? drawn[i] : (size_t)i);
    ksk_metric_result result = {0};
    c->metric->score(c->sums, c->scoring, &result);
    return result.score;
}

/* --- resampling --------------------------------------------------------------------------------
 */

/* Each resample has a key of its own; line numbers are the high words of 32 bits · count. */
static void draw_lines(const comparison *c, int resample)
{
    const ksk_key key = ksk_key_split(c->key, (uint64_t)resample);
    for (int i = 0; i < c->count; i += 4) {
        uint32_t bits[4];
        ksk_random_block(key, (uint64_t)i / 4, bits);
        for (int j = 0; j < 4; j++)
            c->drawn[i + j] = (uint32_t)((uint64_t)bits[j] * (uint64_t)c->count >> 32);
    }
}

static void resample_all(const comparison *c)
{
    for (int r = 0; r < c->resamples; r++) {
        draw_lines(c, r);
        for (int side = 0; side < 2; side++)
            c->scores[side][r] = score_lines(c, side, c->drawn);
        c->difference[r] = c->scores[0][r] - c->scores[1][r];
    }
}

static double mean_of(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

static double p_value(const comparison *c, double real)
{
    double mean = 0;
    for (int r = 0; r < c->resamples; r++)
        mean += fabs(c->difference[r]) / c->resamples;
    int larger = 0;
    for (int r = 0; r < c->resamples; r++)
        larger += fabs(c->difference[r]) - mean > real;
    return (larger + 1.0) / (c->resamples + 1.0);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values; a fortieth of them lie below `low`, as many above `high`. */
static void middle_of(double *values, int count, double *low, double *high)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    *low = values[count / 40];
    *high = values[count - count / 40 - 1];
}

static ksk_estimate estimate(const comparison *c, int side)
{
    double low, high;
    const double score = score_lines(c, side, NULL), mean = mean_of(c->scores[side], c->resamples);
    middle_of(c->scores[side], c->resamples, &low, &high);
    return (ksk_estimate){score, mean, (high - low) / 2};
}

static void compare(const comparison *c, ksk_comparison *result)
{
    resample_all(c);
    result->system = estimate(c, 0);
    result->baseline = estimate(c, 1);
    result->p_value = p_value(c, fabs(result->system.score - result->baseline.score));
    middle_of(c->difference, c->resamples, &result->low, &result->high);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static bool make_room(comparison *c)
{
    const size_t count = (size_t)c->count, resamples = (size_t)c->resamples;
    for (int side = 0; side < 2; side++) {
        c->lines[side] = ksk_calloc(count * c->numbers, sizeof *c->lines[side]);
        c->scores[side] = ksk_calloc(resamples, sizeof *c->scores[side]);
    }
    c->sums = ksk_calloc(c->numbers, sizeof *c->sums);
    c->drawn = ksk_calloc(count + 3, sizeof *c->drawn);
    c->difference = ksk_calloc(resamples, sizeof *c->difference);
    return c->lines[0] && c->lines[1] && c->scores[0] && c->scores[1] && c->sums && c->drawn &&
           c->difference;
}

static void clear(const comparison *c)
{
    for (int side = 0; side < 2; side++) {
        ksk_free(c->lines[side]);
        ksk_free(c->scores[side]);
    }
    ksk_free(c->sums);
    ksk_free(c->drawn);
    ksk_free(c->difference);
}

bool ksk_metric_compare(int count, const char *const *hypotheses, const char *const *baseline,
                        int reference_count, const char *const *const *references,
                        const ksk_compare_options *options, ksk_comparison *result, ksk_error *err)
{
    const ksk_compare_options defaults = ksk_compare_defaults();
    const ksk_metric_options scoring = ksk_metric_defaults();
    const ksk_compare_options *o = options ? options : &defaults;
    const ksk_metric *const metric = ksk_metric_get(o->metric ? o->metric : "bleu", err);
    *result = (ksk_comparison){.p_value = 1};
    if (!metric)
        return false;
    comparison c = {.metric = metric,
                    .numbers = (size_t)metric->numbers,
                    .scoring = o->scoring ? o->scoring : &scoring,
                    .count = count,
                    .resamples = o->resamples,
                    .key = ksk_key_from_seed(o->seed)};
    if (!ksk_metric_check(count, hypotheses, reference_count, references, err) ||
        !ksk_metric_check(count, baseline, reference_count, references, err) ||
        (metric->check && !metric->check(c.scoring, err)))
        return false;
    if (o->resamples < least_resamples || o->resamples > most_resamples)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "resamples is %d; %d to %d can be made",
                        o->resamples, least_resamples, most_resamples);
    const bool ok = make_room(&c) && add_lines(&c, 0, hypotheses, reference_count, references) &&
                    add_lines(&c, 1, baseline, reference_count, references);
    if (ok)
        compare(&c, result);
    clear(&c);
    return ok || ksk_fail_memory(err);
}
