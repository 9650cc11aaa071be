/* Between models and decoders: a decoder does not know models, a model does not know decoders. */
#ifndef KASKAD_DECODE_H
#define KASKAD_DECODE_H

#include "kaskad/random.h"
#include "kaskad/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the left-to-right scorer ------------------------------------------------------------------
 */

/* Scores the next token of many hypotheses at once. One thread at a time uses a scorer.
 *
 * Sentences are numbered as they are given to `start`; hypotheses are rows of a step. The rows of a
 * step are free to fork, drop, reorder and begin: row i continues row parents[i] of the step
 * before, or, when parents[i] is negative, begins sentence -1 - parents[i]. */
typedef struct ksk_l2r ksk_l2r;
struct ksk_l2r {
    int vocabulary; /* columns of the logits */
    int start_id;   /* what a decoder feeds first */
    int end_id;     /* what ends a hypothesis */
    int pad_id;     /* fills batches elsewhere; -1: none. Decoders do not ban it by themselves */
    int max_source; /* most tokens in a source */
    int max_target; /* most tokens in a target, start included */

    /* Forgets everything and takes the sources of `sentences` sentences: ids ending as the
     * tokenizer ends them. Errors: BAD_ARGUMENT (a source empty or too long, an id out of range).
     */
    bool (*start)(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err);

    /* Feeds tokens[i] to row i and gives logits [rows, vocabulary] of what comes next, valid until
     * the next call and free to be written to. */
    bool (*step)(ksk_l2r *self, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err);

    /* Takes more sources beside those at hand, numbered on from them. Errors as start's, after
     * which those at hand are as they were. NULL: the scorer cannot. */
    bool (*join)(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                 ksk_error *err);

    /* No row will begin or continue that sentence any more; others may have its memory. NULL with
     * `join`. */
    void (*leave)(ksk_l2r *self, int sentence);

    void (*free)(ksk_l2r *self);
};

/* --- the Markov scorer --------------------------------------------------------------------------
 */

/* Rows of one round: contexts of the last tokens before a position, each a token longer than its
 * parent in the round before. Row i continues row parents[i] of that round with tokens[i]; or, when
 * parents[i] is negative, begins sentence -1 - parents[i] with the empty context of the target's
 * position positions[i], counted from 0 (its token is not read). A row that continues predicts the
 * position behind its parent's; its positions[i] is not read.
 *
 * With `candidates` row i asks for the tokens candidates[spans[i][0]] … spans[i][1] of them; the
 * spans lie one behind the other, the first at 0. NULL: for the whole vocabulary, spans not read.
 *
 * With `support` probabilities are shares among some tokens alone, which costs a fraction: those of
 * sentence s are support[supports[s][0]] … supports[s][1] of them, candidates among them. NULL: the
 * whole vocabulary, supports not read. Without candidates there is no support. */
typedef struct ksk_contexts {
    int rows;
    const int32_t *parents, *tokens, *positions; /* [rows] */
    const int32_t *candidates;
    const int32_t (*spans)[2]; /* [rows] */
    const int32_t *support;
    const int32_t (*supports)[2]; /* [sentences] */
} ksk_contexts;

/* Log potentials of order-m Markov models, for every m = 0 … order at once (Deng & Rush 2020): what
 * comes next given a position and exactly the last m target tokens. One thread at a time uses it.
 */
typedef struct ksk_markov ksk_markov;
struct ksk_markov {
    int vocabulary;
    int end_id;
    int pad_id;                /* -1: none. Decoders do not ban it by themselves */
    int order;                 /* M: most tokens of a context */
    int max_source;            /* most tokens in a source */
    int max_target;            /* most tokens in a target, end included */
    double length_a, length_b; /* target ≈ a · source + b, both in tokens without the end */

    /* Forgets everything and takes the sources, as ksk_l2r's does. */
    bool (*start)(ksk_markov *self, int sentences, const int32_t *const *sources,
                  const int *lengths, ksk_error *err);

    /* The natural logarithms of the probabilities of what was asked for, row after row. Valid until
     * the next call and free to be written to. Errors: BAD_ARGUMENT (a context longer than the
     * order, an id or position out of range), UNSUPPORTED (a support, of a model that has no use
     * for one). */
    bool (*score)(ksk_markov *self, const ksk_contexts *contexts, float **log_probs,
                  ksk_error *err);

    void (*free)(ksk_markov *self);
};

/* --- logit processors --------------------------------------------------------------------------
 */

/* One row on its way from logits to a choice. */
typedef struct ksk_scores {
    const int32_t *ids; /* what the decoder was fed so far, start and forced tokens included */
    int length;         /* how many */
    int max_length;     /* most tokens the sequence may have, start included */
    float *values;      /* [vocabulary]: logits (greedy, sampling) or log-probabilities (beam) */
    int vocabulary;
    const int32_t *source; /* the sentence's ids, as its scorer was given them */
    int source_length;
} ksk_scores;

/* Changes a row's scores; processors are applied in order and compose. A token whose score is
 * minus infinity is never chosen. */
typedef struct ksk_processor {
    const char *name;
    void (*process)(const void *settings, ksk_scores *scores);
    const void *settings; /* borrowed */
} ksk_processor;

/* --- decoders ----------------------------------------------------------------------------------
 */

typedef enum ksk_early_stopping {
    KSK_STOP_HEURISTIC,
    KSK_STOP_AT_ONCE,
    KSK_STOP_NEVER
} ksk_early_stopping;

/* How long a hypothesis counts as in its score; start and forced prefix never count. */
typedef enum ksk_length_rule {
    KSK_LENGTH_WITH_END, /* generated tokens and the end token (transformers 4.57, CTranslate2 4.6)
                          */
    KSK_LENGTH_WITHOUT_END, /* generated tokens but the end token; at least one */
} ksk_length_rule;

/* A round of the cascade for whoever watches, valid during the call. The states of node l are
 * n-grams of `order` tokens for the positions l …; -1 stands for padding behind the end. Round 0
 * has just chosen the words that are the states of round 1. The others have scored the edges, each
 * between two neighbouring states that overlap, and will now keep some as the states of the next
 * round: the max-marginal of an edge is alpha + potential + beta. */
typedef struct ksk_cascade_view {
    int sentence;          /* of those that are decoded together */
    int round, order;      /* order: 1 in round 0, else the round */
    int lo, hi;            /* lengths that compete, end included */
    int length;            /* L: positions; the last holds padding alone */
    int topk, room;        /* K; tokens from one state to the next */
    const int *counts;     /* [L - order + 1]: states of a node */
    const int32_t *tokens; /* [L, K, room] */
    int vocabulary;
    const float *log_probs;  /* round 0: [hi, vocabulary] of each position by itself; else NULL */
    const float *potentials; /* other rounds: [L - order, K, K]; minus infinity: no edge */
    const float *alpha;      /* [L, K]: the best score of a path to a state, */
    const float *beta;       /* and from it */
    const int *path;         /* [L - order + 1] of the last round: the states chosen; else NULL */
} ksk_cascade_view;

typedef struct ksk_cascade_watcher {
    void (*see)(void *context, const ksk_cascade_view *view);
    void *context;
} ksk_cascade_watcher;

/* Cascaded decoding (Deng & Rush 2020, "Cascaded Text Generation with Markov Transformers"). */
typedef struct ksk_cascade_options {
    int topk;         /* K: states kept at a position, 16; 1 to 1024 */
    int keep;         /* states kept after later rounds than the first, at most K; 0: K */
    int rounds;       /* R: contexts grow to R - 1 tokens; 2 to the model's order + 1, 0: that */
    int delta;        /* D: lengths that compete are within D of the predicted one, 3 */
    int support;      /* later rounds take probabilities as shares among the words that were the
                         `support` best at any position in the first; 0: of the whole vocabulary */
    double threshold; /* states are dropped whose score is further below the best, in nats: of a
                         position in the first round, of all paths later; infinite: none */
    double length_reward; /* nats that every token is worth beside its log-probability when outputs
                             of different lengths compete, 0 */
    double length_a, length_b; /* predicted length = a · source + b; NAN: the model's own */
    int64_t memory; /* most bytes of lattices and scores at a time, 1 GiB; a batch that needs more
                       is decoded in parts */
    const ksk_cascade_watcher *watcher; /* borrowed; NULL: nobody watches. Threads that decode side
                                           by side call it at the same time */
} ksk_cascade_options;

/* A token that has just been chosen, for whoever watches; valid during the call. */
typedef struct ksk_token_view {
    uint64_t number; /* the sentence's, as the decoder was given it */
    int copy;        /* which of its hypotheses, 0 … n_best - 1 */
    int position;    /* from 0, prefix not counted */
    int32_t id;
    bool last; /* nothing follows: it is the end token, or the sequence is as long as may be */
} ksk_token_view;

/* Sees the tokens of a hypothesis in order, those of different ones as they come. Threads that
 * decode side by side call it at the same time. False asks to stop. */
typedef struct ksk_token_watcher {
    bool (*see)(void *context, const ksk_token_view *view);
    void *context;
} ksk_token_watcher;

/* What every decoder may be asked; a decoder checks all of it and ignores what is not its business
 * (greedy search the beams, beam search the temperature). Names, defaults and meaning follow the
 * GenerationConfig of transformers 4.57.6. */
typedef struct ksk_decode_options {
    /* search */
    int beams;            /* 1 */
    int n_best;           /* hypotheses or samples to return, 1; at most `beams` for beam search */
    float length_penalty; /* score = log-probability / length^penalty, 1 */
    ksk_early_stopping early_stopping; /* KSK_STOP_HEURISTIC */
    ksk_length_rule length_rule;       /* KSK_LENGTH_WITH_END */

    /* sampling */
    float temperature; /* 1; above 0 */
    int top_k;         /* 0: all */
    float top_p;       /* 1: all; in (0, 1] */
    uint64_t seed;

    /* constraints, all lengths counted with start and prefix; applied in transformers' order:
     * repetition, n-grams, banned, min_length, forced_first, forced_last, `processors`, then
     * temperature, top_k and top_p when sampling, then renormalize */
    int max_length;           /* 0: the model's own; the start token and all that follows it */
    int min_length;           /* 0 */
    int no_repeat_ngram;      /* 0: off */
    float repetition_penalty; /* 1: off */
    const int32_t *prefix;    /* tokens every hypothesis begins with, after the start token: part */
    int prefix_length;        /* of the prompt, so neither scored nor counted as generated */
    const int32_t *banned;    /* tokens never generated (the pad token usually); the end token is */
    int banned_count;         /* never banned */
    int forced_first;         /* token forced right after the start token, -1: none */
    int forced_last;          /* token forced at max_length, -1: none */
    bool renormalize;         /* log-softmax again after the processors */

    const ksk_processor *processors; /* more of them */
    int processor_count;

    ksk_cascade_options cascade;

    int at_once;        /* sentences that run at the same time, 0: all. When some have ended others
                         * join in their place, which changes the result of none */
    int at_once_tokens; /* the same for source tokens; a longer source runs by itself */

    const ksk_token_watcher *watcher; /* of decoders that stream; borrowed; NULL: nobody watches */

    const char *argument; /* settings that a plugin's decoder alone has, as text; NULL: none */

    double deadline; /* when decoding gives up, in seconds of the monotonic clock; 0: never. It is
                        looked at before every step */
} ksk_decode_options;

/* Nothing but max-probability decoding: the defaults in the comments above. */
KSK_API ksk_decode_options ksk_decode_defaults(void);

/* One output: tokens after the start token, prefix included, and the end token when it was reached.
 */
typedef struct ksk_hypothesis {
    int32_t *ids;
    int length;
    double log_prob; /* sum over the generated tokens. Beam search: of log-softmax of the logits,
                      * then processed. Greedy and sampling: log-softmax of the processed logits,
                      * which is what the token was drawn from */
    double score;    /* beam search: log_prob / length^length_penalty; else log_prob */
    bool finished;   /* ended with the end token, not cut at max_length */
} ksk_hypothesis;

/* The hypotheses of one sentence, best first; samples in the order drawn. Beam search gives fewer
 * than n_best when the constraints allow fewer. */
typedef struct ksk_nbest {
    ksk_hypothesis *hypotheses;
    int count;
} ksk_nbest;

KSK_API void ksk_nbest_clear(ksk_nbest *nbest); /* frees the content; zeroes *nbest */

/* A decoding algorithm over left-to-right scorers or over Markov scorers: one of the two functions
 * is NULL. */
typedef struct ksk_decoder {
    const char *name;     /* as in `--decode NAME` */
    const char *citation; /* author, year, title */
    bool searches;        /* options.beams matters */
    bool streams;         /* a token once chosen stays, and is shown to options.watcher */
    bool joins;           /* may be given more sentences than run at once, for it heeds
                             options.at_once: whatever is made of a ksk_job does */
    const char *takes;    /* what options.argument may say, for messages; NULL: there is none */

    /* Decodes `sentences` sources at once; `results` [sentences] zeroed on entry. numbers[i] is
     * sentence i's number in the whole job, so that what is drawn for it does not depend on
     * batching. Several threads may call it at once, each with a scorer of its own; the processors
     * of the options are the same for all. Errors: those of the scorer; BAD_ARGUMENT names the
     * option, or the sentence whose constraints leave no token to choose; INTERRUPTED (the watcher
     * said so, or the deadline is past); OUT_OF_MEMORY. On failure the results hold nothing. */
    bool (*decode)(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err);

    /* The same with contexts of limited order. */
    bool (*decode_markov)(ksk_markov *scorer, int sentences, const int32_t *const *sources,
                          const int *lengths, const ksk_decode_options *options,
                          const uint64_t *numbers, ksk_nbest *results, ksk_error *err);
} ksk_decoder;

/* The decoder of that name, or NULL; and the i-th of all, or NULL at the end. */
KSK_API const ksk_decoder *ksk_decoder_find(const char *name);
KSK_API const ksk_decoder *ksk_decoder_at(int index);

#ifdef __cplusplus
}
#endif
#endif
