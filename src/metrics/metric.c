#include "metrics/metric.h"

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

void ksk_segment_free(ksk_segment *segment)
{
    ksk_free(segment->words.slots);
    ksk_free(segment->grams.slots);
    ksk_free(segment->text.at);
    ksk_free(segment->symbols.at);
    ksk_free(segment->hypothesis.nodes);
    ksk_free(segment->reference.nodes);
    ksk_free(segment->counts.most);
    ksk_free(segment->counts.now);
}
