/* Sequence-level distillation (Kim & Rush 2016): a teacher's translations of the training sources,
 * for a student to learn from.
 *
 *     ksk_translate_options how = ksk_translate_defaults(teacher);
 *     ksk_distill_options options = ksk_distill_defaults();
 *     options.data = "train.tsv.gz";
 *     ksk_distill_result result;
 *     if (ksk_distill(teacher, &how, &options, "distilled.tsv", &result, &err))
 *         printf("target = %g * source + %g\n", result.distilled.a, result.distilled.b);
 */
#ifndef KASKAD_DISTILL_H
#define KASKAD_DISTILL_H

#include "kaskad/kaskad.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_distill_progress {
    int64_t done, lines; /* `done` of the data's lines are on the disk */
    double seconds;      /* of this session */
    double left;         /* seconds; negative while nothing tells */
} ksk_distill_progress;

typedef struct ksk_distill_options {
    const char *data;   /* file of SOURCE<TAB>TARGET lines, plain or gzip, */
    const char *source; /* or of sources alone */
    int64_t limit;      /* most lines of it; 0: all */
    int chunk;          /* lines that are translated before they are put on the disk, 4096 */
    bool resume;        /* go on where it was stopped, if it was */
    /* Called after every chunk; false asks to stop. May be NULL. */
    bool (*watch)(void *context, const ksk_distill_progress *progress);
    void *context;
} ksk_distill_options;
KSK_API ksk_distill_options ksk_distill_defaults(void);

/* The length line of Deng & Rush 2020: target ≈ a · source + b, in tokens without the end. */
typedef struct ksk_length_line {
    double a, b;
} ksk_length_line;

typedef struct ksk_distill_result {
    int64_t lines;             /* of the data */
    int64_t pairs;             /* written */
    int64_t translated;        /* sources, each once however often it occurs */
    ksk_length_line distilled; /* by least squares over the pairs written */
    ksk_length_line raw;       /* over the data's own targets; NAN where there are none */
    double seconds;            /* of this session */
    bool whole;                /* with `resume`: the file was there already, and nothing was done */
} ksk_distill_result;

/* Writes SOURCE<TAB>TRANSLATION for each line of the data, in order, to the file `out`, and what it
 * was made of to `out`.json. Lines whose translation is empty, or was cut at the greatest length,
 * are left out. `translate` may be NULL. The file is written aside, as `out`.part, until it is
 * whole; killed at any moment, it can be resumed. `result` may be NULL. Errors: BAD_ARGUMENT
 * (options; unfinished without `resume`; resumed with another teacher, data or search), BAD_FILE,
 * BAD_FORMAT (a line of the data, by file and number), INTERRUPTED (`watch` said so; what is done
 * stays), OUT_OF_MEMORY. */
KSK_API bool ksk_distill(const ksk_model *teacher, const ksk_translate_options *translate,
                         const ksk_distill_options *options, const char *out,
                         ksk_distill_result *result, ksk_error *err);

/* Puts a length line into the configuration of a Markov Transformer. Errors: BAD_ARGUMENT (another
 * model, numbers that are not finite), BAD_FILE, BAD_FORMAT, OUT_OF_MEMORY. */
KSK_API bool ksk_length_line_write(const char *checkpoint, ksk_length_line line, ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
