#include "metrics/metric.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"

/* A new metric is one file and one row. */
const ksk_metric *const ksk_built_in_metrics[] = {&ksk_bleu, &ksk_chrf, NULL};

ksk_metric_options ksk_metric_defaults(void)
{
    return (ksk_metric_options){
        .character_order = 6, .beta = 2, .tokenizer = "13a", .smoothing = "exp"};
}

static bool all_there(int count, const char *const *lines, const char *what, ksk_error *err)
{
    for (int i = 0; i < count; i++)
        if (!lines[i])
            return ksk_fail(err, KSK_BAD_ARGUMENT, "line %d of the %s is NULL", i + 1, what);
    return true;
}

bool ksk_metric_check(int count, const char *const *hypotheses, int reference_count,
                      const char *const *const *references, ksk_error *err)
{
    if (count < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a metric needs at least one line, not %d", count);
    if (reference_count < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a metric needs at least one reference, not %d",
                        reference_count);
    if (!all_there(count, hypotheses, "hypotheses", err))
        return false;
    for (int r = 0; r < reference_count; r++)
        if (!all_there(count, references[r], "references", err))
            return false;
    return true;
}

/* --- space for segments -------------------------------------------------------------------------
 */

void *ksk_segment_open(void)
{
    return ksk_calloc(1, sizeof(ksk_segment));
}

void ksk_segment_close(void *space)
{
    ksk_segment *const segment = space;
    if (!segment)
        return;
    ksk_free(segment->words.slots);
    ksk_free(segment->grams.slots);
    ksk_free(segment->text.at);
    ksk_free(segment->symbols.at);
    ksk_free(segment->hypothesis.nodes);
    ksk_free(segment->reference.nodes);
    ksk_free(segment->counts.most);
    ksk_free(segment->counts.now);
    ksk_free(segment);
}

/* --- any metric ---------------------------------------------------------------------------------
 */

const ksk_metric *ksk_metric_get(const char *name, ksk_error *err)
{
    const ksk_metric *const found = ksk_metric_find(name);
    if (found)
        return found;
    char shown[60], known[300] = "";
    size_t length = 0;
    for (int i = 0; ksk_metric_at(i) && length < sizeof known; i++)
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                                   ksk_metric_at(i)->name);
    ksk_fail(err, KSK_BAD_ARGUMENT, "the metric is one of %s, not '%s'", known,
             ksk_printable(name, shown, sizeof shown));
    return NULL;
}

bool ksk_metric_add_lines(const ksk_metric *metric, int count, const char *const *hypotheses,
                          int reference_count, const char *const *const *references,
                          const ksk_metric_options *options, int64_t *sums, size_t step)
{
    void *const space = metric->open ? metric->open() : NULL;
    const char **const own = ksk_calloc((size_t)reference_count, sizeof *own);
    bool ok = own && (space || !metric->open);
    for (int i = 0; ok && i < count; i++) {
        for (int r = 0; r < reference_count; r++)
            own[r] = references[r][i];
        ok = metric->add(space, hypotheses[i], reference_count, own, options,
                         sums + (size_t)i * step);
    }
    if (metric->close)
        metric->close(space);
    ksk_free(own);
    return ok;
}

static void sign(const ksk_metric *metric, const ksk_metric_options *options, int reference_count,
                 ksk_metric_result *result)
{
    if (metric->sign)
        metric->sign(options, reference_count, result->signature, sizeof result->signature);
    else
        snprintf(result->signature, sizeof result->signature, "nrefs:%d|kaskad:%s", reference_count,
                 ksk_version());
}

static bool measure(const ksk_metric *metric, int count, const char *const *hypotheses,
                    int reference_count, const char *const *const *references,
                    const ksk_metric_options *options, ksk_metric_result *result, ksk_error *err)
{
    int64_t *const sums = ksk_calloc((size_t)metric->numbers, sizeof *sums);
    const bool ok = sums && ksk_metric_add_lines(metric, count, hypotheses, reference_count,
                                                 references, options, sums, 0);
    if (ok) {
        metric->score(sums, options, result);
        sign(metric, options, reference_count, result);
    }
    ksk_free(sums);
    return ok || ksk_fail_memory(err);
}

bool ksk_metric_measure(const char *name, int count, const char *const *hypotheses,
                        int reference_count, const char *const *const *references,
                        const ksk_metric_options *options, ksk_metric_result *result,
                        ksk_error *err)
{
    const ksk_metric_options defaults = ksk_metric_defaults();
    const ksk_metric_options *const o = options ? options : &defaults;
    const ksk_metric *const metric = ksk_metric_get(name, err);
    *result = (ksk_metric_result){0};
    return metric && ksk_metric_check(count, hypotheses, reference_count, references, err) &&
           (!metric->check || metric->check(o, err)) &&
           measure(metric, count, hypotheses, reference_count, references, o, result, err);
}

bool ksk_metric_bleu(int count, const char *const *hypotheses, int reference_count,
                     const char *const *const *references, const ksk_metric_options *options,
                     ksk_metric_result *result, ksk_error *err)
{
    return ksk_metric_measure("bleu", count, hypotheses, reference_count, references, options,
                              result, err);
}

bool ksk_metric_chrf(int count, const char *const *hypotheses, int reference_count,
                     const char *const *const *references, const ksk_metric_options *options,
                     ksk_metric_result *result, ksk_error *err)
{
    return ksk_metric_measure("chrf", count, hypotheses, reference_count, references, options,
                              result, err);
}
