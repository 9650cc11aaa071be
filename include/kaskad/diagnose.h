/* What a decoder does to language: the outputs beside what people wrote (Eikema & Aziz 2020, "Is
 * MAP Decoding All You Need? The Inadequacy of the Mode in Neural Machine Translation").
 *
 *     ksk_study *study = ksk_study_new(trained, training, &err);
 *     const int people = ksk_study_add(study, count, references, &err);
 *     const int beam = ksk_study_add(study, count, outputs, &err);
 *     ksk_posterior agreement[2];
 *     if (ksk_study_agreement(study, KSK_GRAM_PAIR, agreement, &err))
 *         printf("%.1f %.1f\n", agreement[people].mean, agreement[beam].mean);
 *
 * Words are those of the tokenizer 13a. Everything is computed on grids, so the same texts always
 * give the same numbers. One thread at a time uses a study. */
#ifndef KASKAD_DIAGNOSE_H
#define KASKAD_DIAGNOSE_H

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ksk_gram {
    KSK_GRAM_WORD, /* a word */
    KSK_GRAM_PAIR, /* two words in a row */
    KSK_GRAM_SKIP, /* two words with one between them */
    KSK_GRAMS,
} ksk_gram;

enum { KSK_POSTERIOR_POINTS = 256 };

/* What is believed of a number once the text has been seen. */
typedef struct ksk_posterior {
    double mean, low, high;                                         /* 95 % lie from low to high */
    double at[KSK_POSTERIOR_POINTS], density[KSK_POSTERIOR_POINTS]; /* ascending, for plots */
} ksk_posterior;

/* What can be counted in a text. Shares are 0 where there is nothing to count. */
typedef struct ksk_text_facts {
    int lines, empty; /* empty: without a word */
    long long words;
    int longest;                /* words of the longest line */
    long long types[KSK_GRAMS]; /* different ones */
    double distinct[KSK_GRAMS]; /* types / all (Li et al. 2016, "A Diversity-Promoting Objective
                                   Function for Neural Conversation Models") */
    double repeated;            /* of pairs of words, those that the same line had before */
    int loops;                  /* lines in which up to 4 words come three times in a row */
} ksk_text_facts;

typedef struct ksk_study ksk_study;

/* A study with the text that a model learned from; `count` 0: without. Caller frees. NULL on
 * failure. Errors: BAD_ARGUMENT (a line is NULL), OUT_OF_MEMORY. */
KSK_API ksk_study *ksk_study_new(int count, const char *const *training, ksk_error *err);
KSK_API void ksk_study_free(ksk_study *study);

/* Adds a group of texts, one a source, and returns its number, from 0 on; -1 on failure. All groups
 * have the same sources. Errors: BAD_ARGUMENT (no lines, or not as many as the first group; a line
 * is NULL), OUT_OF_MEMORY. */
KSK_API int ksk_study_add(ksk_study *study, int count, const char *const *lines, ksk_error *err);

/* Facts of a group; -1: of the training text. Zeros when there is no such group. */
KSK_API ksk_text_facts ksk_study_facts(const ksk_study *study, int group);

/* The mean length of each group in words, by a hierarchical Gamma–Poisson model that learned from
 * the lengths of up to 100,000 lines of training text; posteriors [groups]. Errors: BAD_ARGUMENT
 * (no groups, no training text), OUT_OF_MEMORY. */
KSK_API bool ksk_study_lengths(const ksk_study *study, ksk_posterior *posteriors, ksk_error *err);

/* How closely each group's n-grams follow the training text's: the concentration s of a
 * Dirichlet–multinomial whose centre are the training text's frequencies. Larger is closer;
 * posteriors [groups]. Errors: BAD_ARGUMENT (no groups, no training text), OUT_OF_MEMORY. */
KSK_API bool ksk_study_agreement(const ksk_study *study, ksk_gram kind, ksk_posterior *posteriors,
                                 ksk_error *err);

/* Jensen–Shannon divergence between the n-grams of two groups, in bits: 0 the same frequencies, 1
 * nothing in common. A group without n-grams, or that is not there, has nothing in common with any.
 */
KSK_API double ksk_study_divergence(const ksk_study *study, ksk_gram kind, int a, int b);

/* How much of the probability of all outputs `count` draws have met: mass [count], mass[i] after i
 * + 1 of them. same[i] is the first draw that is equal to draw i; log_probs [count] are natural. */
KSK_API void ksk_mass_covered(int count, const int *same, const double *log_probs, double *mass);

#ifdef __cplusplus
}
#endif
#endif
