/* Vocabulary selection: learns from sentence pairs which few target tokens a source sentence may
 * need, so that a translator scores those alone.
 *
 *     ksk_shortlist_options options = ksk_shortlist_defaults();
 *     options.data = "train.tsv.gz";
 *     options.dev = "dev.tsv";
 *     ksk_shortlist_result result;
 *     if (ksk_shortlist_learn(model, &options, "model/shortlist.bin", &result, &err))
 *         printf("%.2f %% covered\n", 100.0 * (double)result.covered / (double)result.tokens);
 */
#ifndef KASKAD_SHORTLIST_H
#define KASKAD_SHORTLIST_H

#include "kaskad/kaskad.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_shortlist_progress {
    const char *stage;    /* "reading", "learning", "measuring" */
    int done, iterations; /* of the learning */
    double seconds;
} ksk_shortlist_progress;

typedef struct ksk_shortlist_options {
    const char *data;            /* file of SOURCE<TAB>TARGET lines, plain or gzip, */
    const char *source, *target; /* or two files, line by line */
    const char *dev;             /* pairs whose targets should be covered; NULL: not measured */
    int64_t limit;               /* most pairs of the data; 0: all */
    int per_token;               /* candidates of a source token, 50 */
    int frequent;                /* most frequent target tokens, which every list has, 100 */
    int iterations;              /* of Model 1, 3 */
    /* Called before each stage and after each iteration; false asks to stop. May be NULL. */
    bool (*watch)(void *context, const ksk_shortlist_progress *progress);
    void *context;
} ksk_shortlist_options;
KSK_API ksk_shortlist_options ksk_shortlist_defaults(void);

typedef struct ksk_shortlist_result {
    int64_t pairs, left_out;  /* learned from; longer than the model's positions */
    int64_t always;           /* tokens that every list has */
    int64_t candidates;       /* of all source tokens together */
    int64_t bytes;            /* of the file */
    int64_t sentences, whole; /* of `dev`: pairs; those whose target is covered wholly */
    int64_t tokens, covered;  /* of `dev`: target tokens without the end; those in the list */
    double mean_list;         /* tokens in the list of a sentence of `dev` */
    double seconds;
} ksk_shortlist_result;

/* Learns a lexicon by IBM Model 1 and writes to the file `out`, whole or not at all, what a list is
 * made from: the most frequent target tokens and the end token; for each source token those that
 * most probably translate it, and the token itself where both sides share a vocabulary. `result`
 * may be NULL. Errors: BAD_ARGUMENT (options), BAD_FILE, BAD_FORMAT (a line of the data, by file
 * and number), INTERRUPTED (`watch` said so), OUT_OF_MEMORY. */
KSK_API bool ksk_shortlist_learn(const ksk_model *model, const ksk_shortlist_options *options,
                                 const char *out, ksk_shortlist_result *result, ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
