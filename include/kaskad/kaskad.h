/* kaskad: use it. Load a checkpoint, translate, score, measure.
 *
 *     ksk_error err = {0};
 *     ksk_model *model = ksk_model_load("models/tatoeba-deu-eng", NULL, &err);
 *     ksk_translator *translator = ksk_translator_new(model, NULL, &err);
 *     ksk_translation out = {0};
 *     const char *line = "Guten Morgen!";
 *     if (ksk_translate(translator, 1, &line, &out, &err))
 *         puts(out.text);
 *
 * A model is immutable and serves any number of threads; a translator serves one thread at a time.
 * To write models, decoders or operations of your own, see extend.h. */
#ifndef KASKAD_KASKAD_H
#define KASKAD_KASKAD_H

#include "kaskad/decode.h"
#include "kaskad/error.h"
#include "kaskad/graph.h"
#include "kaskad/memory.h"
#include "kaskad/profile.h"
#include "kaskad/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KSK_VERSION "0.1.0"
KSK_API const char *ksk_version(void); /* of the library, where KSK_VERSION is the header's */

/* Name of the instruction set whose kernels are used here: "scalar", "avx2", "avx512". The
 * environment variable KASKAD_ISA can only lower it. */
KSK_API const char *ksk_isa(void);

/* --- models ------------------------------------------------------------------------------------
 */

typedef struct ksk_model ksk_model;

/* What a checkpoint's tensors become when it is loaded; ksk_model_save writes them so. */
typedef enum ksk_storage { KSK_STORAGE_AS_IS, KSK_STORAGE_F32, KSK_STORAGE_BF16 } ksk_storage;

typedef struct ksk_load_options {
    ksk_precision precision; /* of the products with weights and of embeddings; AUTO */
    ksk_storage weights;     /* KSK_STORAGE_AS_IS */
    int64_t memory_limit;    /* most bytes that the process may need with the weights in memory,
                                which is found out before they are; 0: no limit */
} ksk_load_options;
KSK_API ksk_load_options ksk_load_defaults(void);

/* Loads a checkpoint directory in Hugging Face's layout, or one that ksk_model_quantize wrote.
 * `options` may be NULL. Caller frees.
 *
 * KSK_PRECISION_AUTO is what is fastest without a loss that was measured: the precision of a
 * quantised checkpoint; else int8 where the kernels are those of AVX2 or AVX-512, but f32 for
 * Markov Transformers and without such kernels. Only f32 computes what the reference computes.
 *
 * Errors: BAD_FILE, BAD_FORMAT (the message names the file and the field or tensor), UNSUPPORTED
 * (an architecture or setting; more precision than a quantised checkpoint has), OUT_OF_MEMORY (also
 * when the memory limit is too low; the message says what is needed). */
KSK_API ksk_model *ksk_model_load(const char *directory, const ksk_load_options *options,
                                  ksk_error *err);
KSK_API void ksk_model_free(ksk_model *model);

/* Writes the checkpoint to a new or existing directory, each file whole or not at all. Errors:
 * BAD_FILE, OUT_OF_MEMORY. */
KSK_API bool ksk_model_save(const ksk_model *model, const char *directory, ksk_error *err);

/* Writes the checkpoint to a directory as the model computes: its matrices packed in its precision
 * as this processor multiplies them, and a proof in that precision. Loading it maps them where they
 * lie; another processor packs them anew. Errors: BAD_ARGUMENT (the model computes in f32), and
 * those of ksk_model_save. */
KSK_API bool ksk_model_quantize(const ksk_model *model, const char *directory, ksk_error *err);

/* What it computes in: F32, BF16 or INT8; and that as text ("int8"). */
KSK_API ksk_precision ksk_model_precision(const ksk_model *model);
KSK_API const char *ksk_precision_name(ksk_precision precision);

/* The module tree as it is stored; borrowed. The matrices of a quantised checkpoint are of type I8
 * or BF16, packed: ksk_tensor_convert to F32 gives their numbers. */
KSK_API const ksk_module *ksk_model_module(const ksk_model *model);

/* Type, settings, module tree with shapes, sizes, and vocabulary as text. Caller frees with
 * ksk_free. NULL on failure. Errors: OUT_OF_MEMORY. */
KSK_API char *ksk_model_describe(const ksk_model *model, ksk_error *err);

/* Checks the proof in kaskad.json: token ids and logit probes of a few texts. False with BAD_FORMAT
 * when something differs (the message says what); `checked` (may be NULL) gets how many texts were
 * compared. `ksk_model_save` writes the proof. Errors: BAD_FORMAT, BAD_FILE (there is none, or it
 * cannot be read), OUT_OF_MEMORY. */
KSK_API bool ksk_model_verify(const ksk_model *model, int *checked, ksk_error *err);

typedef enum ksk_side { KSK_SIDE_SOURCE, KSK_SIDE_TARGET } ksk_side;

/* The ids of a text as the model's source or target, without the end token. Caller frees with
 * ksk_free. NULL on failure. Errors: OUT_OF_MEMORY, BAD_ARGUMENT (over 1 GB). */
KSK_API int32_t *ksk_model_encode(const ksk_model *model, ksk_side side, const char *text,
                                  int *count, ksk_error *err);

/* The piece of an id as the vocabulary has it ("▁the"), borrowed; NULL: there is none. */
KSK_API const char *ksk_model_piece(const ksk_model *model, ksk_side side, int32_t id);

/* --- translation -------------------------------------------------------------------------------
 */

typedef struct ksk_translator ksk_translator;

typedef enum ksk_long_rule { KSK_LONG_SPLIT, KSK_LONG_ERROR } ksk_long_rule;

/* A token of a translation that is under way. */
typedef struct ksk_token {
    int line;   /* of those given to ksk_translate, from 0 */
    int piece;  /* of the line, from 0: lines may be cut into sentences and parts of sentences */
    int sample; /* of the piece, from 0: with n_best above 1 */
    int32_t id; /* see ksk_model_piece */
    bool last;  /* nothing follows in this piece: the end token, or the longest output reached */
} ksk_token;

typedef struct ksk_translate_options {
    const char *decoder; /* "greedy", "beam", "sample", "cascade" …; NULL: cascade for Markov
                          * Transformers, else beam when beams > 1, else greedy */
    ksk_decode_options decode; /* from the model's generation_config.json unless set */
    int threads;               /* 0: one per processor */
    int batch_size;            /* most sentences decoded at once; overrides decode.at_once */
    int batch_tokens;          /* most source tokens decoded at once, 0: no limit; overrides
                                  decode.at_once_tokens */
    bool split_sentences;      /* cut each line into sentences, translate those, join them again */
    ksk_long_rule long_lines;  /* a line over the model's positions: cut into pieces, or fail */
    const char *shortlist;     /* file that `kaskad shortlist` wrote for the model: each batch is
                                  decoded with the tokens alone that it selects; NULL: with all */

    /* limits */
    int64_t memory_limit; /* most bytes that the process may need (ksk_translator_need); 0: none */
    int64_t line_limit;   /* most bytes of a line, 1 MiB; 0: any number */
    double time_limit;    /* most seconds for each sentence, on average over those that are decoded
                             together; 0: any */

    /* Called with each token as it is chosen; false asks to stop. For decoders that settle on one
     * token after the other ("greedy", "sample"); NULL: nobody watches. The tokens of a piece come
     * in order, those of pieces that are decoded together take turns. With `threads` 1, or a single
     * batch, it is called by the thread that called ksk_translate; else by several at once. */
    bool (*on_token)(void *context, const ksk_token *token);
    void *context; /* of on_token */
} ksk_translate_options;

/* The defaults with the model's own generation settings. */
KSK_API ksk_translate_options ksk_translate_defaults(const ksk_model *model);

/* A translator for the model, which must outlive it. `options` (copied, but for what its pointers
 * point to) may be NULL. Caller frees. Errors: BAD_ARGUMENT names the option; OUT_OF_MEMORY, also
 * when the memory limit is too low (the message says what is needed, and what would lower it). */
KSK_API ksk_translator *ksk_translator_new(const ksk_model *model,
                                           const ksk_translate_options *options, ksk_error *err);
KSK_API void ksk_translator_free(ksk_translator *translator);

/* The most memory that a process needs which translates, in bytes: as much as the longest lines and
 * outputs of full batches take. The program's own code and a second model's weights are the
 * caller's to add. */
typedef struct ksk_memory_need {
    int64_t program; /* the library, those it links, the vocabulary */
    int64_t weights; /* the checkpoint where it is mapped, and what is packed beside it */
    int64_t caches;  /* keys and values of sources and outputs */
    int64_t layers;  /* what they compute, logits included; what packing weights took for a while */
    int64_t search;  /* hypotheses or lattices, and the text of eight batches */
    int64_t total;
} ksk_memory_need;
KSK_API void ksk_translator_need(const ksk_translator *translator, ksk_memory_need *need);

/* One hypothesis of one line. */
typedef struct ksk_alternative {
    char *text;   /* UTF-8, NUL-terminated */
    int32_t *ids; /* tokens of the target, end token included; with several pieces, all of them */
    int id_count;
    double log_prob; /* natural logarithm, summed over pieces */
    double score;
    bool finished; /* false when cut at the maximum length */
} ksk_alternative;

typedef struct ksk_translation {
    char *text; /* the best alternative's text; borrowed from alternatives[0] */
    ksk_alternative *alternatives;
    int count;
    int32_t *source_ids;
    int source_id_count;
    int replaced_bytes; /* invalid UTF-8 bytes of the input that were read as U+FFFD */
    double seconds;     /* of the lines that it was decoded with */
} ksk_translation;

KSK_API void ksk_translation_clear(ksk_translation *translation); /* frees the content */

/* Translates `count` lines; `translations` [count] is zeroed or cleared on entry and filled in
 * order. Line i of this call is number `translator's lines so far` + i for random numbers. An empty
 * line gives an empty translation. Errors: BAD_ARGUMENT (a line over the limit, or over the model's
 * positions with KSK_LONG_ERROR; a line whose constraints leave no token to choose), INTERRUPTED
 * (on_token said so, or the time limit is over), OUT_OF_MEMORY; nothing is filled then. */
KSK_API bool ksk_translate(ksk_translator *translator, int count, const char *const *lines,
                           ksk_translation *translations, ksk_error *err);

/* Teacher-forced log-probability of each target given its source, end token included; `log_probs`
 * [count], `tokens` [count] (may be NULL) gets the number of target tokens. Errors: BAD_ARGUMENT
 * (a text longer than the model takes), OUT_OF_MEMORY. */
KSK_API bool ksk_score(ksk_translator *translator, int count, const char *const *sources,
                       const char *const *targets, double *log_probs, int *tokens, ksk_error *err);

/* --- metrics ------------------------------------------------------------------------------------
 */

typedef struct ksk_metric_options {
    int word_order;      /* chrF: word n-grams, 0 or 2 (chrF++) */
    int character_order; /* chrF: 6 */
    int beta;            /* chrF: 2 */
    bool lowercase;
    const char *tokenizer; /* BLEU: "13a" or "none" */
    const char *smoothing; /* BLEU: "exp", "floor", "add-k", "none" */
    bool effective_order;  /* BLEU: for single sentences */
} ksk_metric_options;
KSK_API ksk_metric_options ksk_metric_defaults(void);

typedef struct ksk_metric_result {
    double score;
    double precisions[4]; /* BLEU */
    double brevity_penalty;
    int64_t hypothesis_length, reference_length;
    char signature[200]; /* as sacreBLEU writes it, for BLEU and chrF */
} ksk_metric_result;

/* Scores a text by the metric of that name: "bleu" (corpus BLEU, Papineni et al. 2002) and "chrf"
 * (Popović 2015), equal to sacreBLEU's, or one that a plugin brings. references[r][i] is the r-th
 * reference of line i. `options` may be NULL. Errors: BAD_ARGUMENT (an unknown metric is named,
 * with those that are known), OUT_OF_MEMORY. */
KSK_API bool ksk_metric_measure(const char *metric, int count, const char *const *hypotheses,
                                int reference_count, const char *const *const *references,
                                const ksk_metric_options *options, ksk_metric_result *result,
                                ksk_error *err);

/* The same by "bleu" and by "chrf". */
KSK_API bool ksk_metric_bleu(int count, const char *const *hypotheses, int reference_count,
                             const char *const *const *references,
                             const ksk_metric_options *options, ksk_metric_result *result,
                             ksk_error *err);
KSK_API bool ksk_metric_chrf(int count, const char *const *hypotheses, int reference_count,
                             const char *const *const *references,
                             const ksk_metric_options *options, ksk_metric_result *result,
                             ksk_error *err);

typedef struct ksk_compare_options {
    const char *metric;                /* "bleu" */
    const ksk_metric_options *scoring; /* NULL: the defaults */
    int resamples;                     /* 1000; 40 to 1,000,000 */
    uint64_t seed;                     /* 0 */
} ksk_compare_options;
KSK_API ksk_compare_options ksk_compare_defaults(void);

/* A score with the mean over resamples, and half the width of the interval that holds 95 % of them.
 */
typedef struct ksk_estimate {
    double score, mean, interval;
} ksk_estimate;

typedef struct ksk_comparison {
    ksk_estimate system, baseline;
    double low, high; /* 95 % of the resampled differences, system minus baseline, lie between */
    double p_value;   /* of a difference at least as large if the systems were equally good */
} ksk_comparison;

/* Is one text better than another, or was it luck? Paired bootstrap resampling (Koehn 2004,
 * "Statistical Significance Tests for Machine Translation Evaluation"), as sacreBLEU's --paired-bs
 * does it, with random numbers of our own. `options` may be NULL. Errors: BAD_ARGUMENT,
 * OUT_OF_MEMORY. */
KSK_API bool ksk_metric_compare(int count, const char *const *hypotheses,
                                const char *const *baseline, int reference_count,
                                const char *const *const *references,
                                const ksk_compare_options *options, ksk_comparison *result,
                                ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
