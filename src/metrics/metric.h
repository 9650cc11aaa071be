/* What the metrics share: checked arguments, and space that one segment after another uses. */
#ifndef KSK_METRICS_METRIC_H
#define KSK_METRICS_METRIC_H

#include "kaskad/kaskad.h"
#include "metrics/ngrams.h"

/* The release of sacreBLEU whose results and signatures are reproduced. */
#define KSK_SACREBLEU "2.6.0"

/* Lines are there, and none is NULL. */
bool ksk_metric_check(int count, const char *const *hypotheses, int reference_count,
                      const char *const *const *references, ksk_error *err);

typedef struct ksk_segment {
    ksk_trie words, grams;
    ksk_codepoints text, symbols;
    ksk_ngrams hypothesis, reference;
    ksk_ngram_counts counts;
} ksk_segment; /* zero it first */

void ksk_segment_free(ksk_segment *segment);

#endif
