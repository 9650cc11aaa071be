/* The compiled parts of a model, as the scorers run them. */
#ifndef KSK_SCORER_PLANS_H
#define KSK_SCORER_PLANS_H

#include "scorer/head.h"
#include "scorer/ragged.h"
#include "scorer/seq2seq.h"
#include "tensor/tensor.h"

struct ksk_seq2seq_plans {
    ksk_plan *remember; /* to generate, to select, to cascade: source → caches */
    ksk_plan *step; /* to generate: tokens → logits; to select, to cascade: tokens → decoded rows */
    ksk_plan *project; /* to cascade: decoded rows → log-probabilities */
    ksk_head *head;    /* to cascade: the same over chosen tokens; NULL: the model cannot */
    ksk_plan *score;   /* to score: source, target → log-probabilities */
};

static inline ksk_tensor ksk_borrow_vector(const int32_t *data, int64_t count)
{
    return ksk_tensor_borrow(KSK_I32, 1, &count, data);
}

static inline ksk_tensor ksk_borrow_spans(int32_t (*spans)[2], int64_t rows)
{
    return ksk_tensor_borrow(KSK_I32, 2, (const int64_t[]){rows, 2}, spans);
}

/* Sources in the caches of a workspace. */
typedef struct ksk_sources {
    int sentences;
    int32_t (*spans)[2]; /* [sentences]: first slot, slots; 0 of them: it has left */
    size_t room;
} ksk_sources;

/* Encodes sources and puts them into the caches beside those there, numbered on from them; on
 * failure those there are as they were. Errors: BAD_ARGUMENT (a source empty or too long, an id out
 * of range), OUT_OF_MEMORY. */
bool ksk_sources_join(ksk_sources *sources, const ksk_seq2seq_plans *plans,
                      const ksk_sequence_rules *rules, ksk_workspace *workspace, int sentences,
                      const int32_t *const *ids, const int *lengths, ksk_error *err);

/* Others may have its slots. */
void ksk_sources_leave(ksk_sources *sources, int sentence);

/* The same into empty caches; on failure they stay empty. */
bool ksk_sources_start(ksk_sources *sources, const ksk_seq2seq_plans *plans,
                       const ksk_sequence_rules *rules, ksk_workspace *workspace, int sentences,
                       const int32_t *const *ids, const int *lengths, ksk_error *err);
void ksk_sources_clear(ksk_sources *sources);

/* The rows of a step. */
typedef struct ksk_step_rows {
    int rows;
    const int32_t *ids, *positions; /* [rows] */
    int32_t (*spans)[2];            /* [rows], into index */
    int64_t entries;
    const int32_t *index; /* [entries]: slots */
    const int32_t *slots; /* [rows]: where the rows' own keys go */
    int32_t (*cross)[2];  /* [rows]: slots of the rows' sources */
} ksk_step_rows;

/* Runs the step: `output` [rows, vocabulary or width], as ksk_run's outputs. */
bool ksk_plans_step(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                    const ksk_step_rows *step, ksk_tensor **output, ksk_error *err);

/* Log-probabilities [rows, vocabulary] of decoded rows, as ksk_run's outputs. */
bool ksk_plans_project(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                       const ksk_tensor *decoded, ksk_tensor **output, ksk_error *err);

#endif
