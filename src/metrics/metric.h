/* What the metrics share: checked arguments, and space that one segment after another uses. */
#ifndef KSK_METRICS_METRIC_H
#define KSK_METRICS_METRIC_H

#include "kaskad/extend.h"
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
} ksk_segment;

/* Space for segments, as ksk_metric's open and close have it. */
void *ksk_segment_open(void);
void ksk_segment_close(void *space);

extern const ksk_metric ksk_bleu, ksk_chrf;
extern const ksk_metric *const ksk_built_in_metrics[]; /* ends with NULL */

/* The metric of that name; NULL with BAD_ARGUMENT, which lists those that are known. */
const ksk_metric *ksk_metric_get(const char *name, ksk_error *err);

/* Adds line i's statistics to sums + i · step: step 0 sums them all up. False when memory runs out.
 */
bool ksk_metric_add_lines(const ksk_metric *metric, int count, const char *const *hypotheses,
                          int reference_count, const char *const *const *references,
                          const ksk_metric_options *options, int64_t *sums, size_t step);

#endif
