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

/* A metric as sums over lines: what a resample of them needs. */
typedef struct ksk_metric_rules {
    size_t numbers; /* that a line adds to */

    bool (*check)(const ksk_metric_options *options, ksk_error *err);

    /* Adds the line to sums [numbers]; false when memory runs out. */
    bool (*add)(ksk_segment *segment, int line, const char *hypothesis, int reference_count,
                const char *const *const *references, const ksk_metric_options *options,
                int64_t *sums);

    double (*score)(const int64_t *sums, const ksk_metric_options *options);
} ksk_metric_rules;

extern const ksk_metric_rules ksk_bleu_rules, ksk_chrf_rules;

#endif
