/* Left to right over contexts of the last M tokens. What a row of a Markov Transformer is depends
 * on where its block begins, so nothing can be kept from step to step: each hypothesis is run as
 * one block of the start token and its last tokens. */
#include "scorer/windowed.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/plans.h"

typedef struct windowed {
    ksk_l2r base;
    const ksk_seq2seq_plans *plans;
    ksk_sequence_rules rules;
    ksk_workspace *workspace;
    ksk_sources sources;
    int rows;           /* hypotheses */
    int32_t *now, *old; /* [rows, 2 + M]: sentence, tokens so far, the last tokens */
    int32_t *ids, *positions, *identity;
    int32_t (*spans)[2], (*cross)[2]; /* of all blocks' rows */
    size_t now_room, old_room, id_room, position_room, identity_room, span_room, cross_room;
    ksk_tensor *logits;
} windowed;

enum { SENTENCE, COUNT, CONTEXT };

static int32_t *state_of(const windowed *w, int32_t *states, int row)
{
    return states + (size_t)row * ((size_t)CONTEXT + (size_t)w->rules.block);
}

static bool start(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err)
{
    windowed *w = (windowed *)self;
    w->rows = 0;
    return ksk_sources_start(&w->sources, w->plans, &w->rules, w->workspace, sentences, sources,
                             lengths, err);
}

static bool join(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                 ksk_error *err)
{
    windowed *w = (windowed *)self;
    return ksk_sources_join(&w->sources, w->plans, &w->rules, w->workspace, sentences, sources,
                            lengths, err);
}

static void leave(ksk_l2r *self, int sentence)
{
    ksk_sources_leave(&((windowed *)self)->sources, sentence);
}

static bool check_row(const windowed *w, int row, int32_t parent, int32_t token, ksk_error *err)
{
    if (parent >= w->rows)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d continues row %d of %d", row, parent,
                        w->rows);
    if (-1 - parent >= w->sources.sentences)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d begins sentence %d of %d", row, -1 - parent,
                        w->sources.sentences);
    if (token < 0 || token >= w->rules.vocabulary)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: token %d is not in [0, %d)", row, token,
                        w->rules.vocabulary);
    return true;
}

/* The state of a new row: that of its parent with a token more, the oldest one dropped when there
 * are more than the order allows. */
static bool follow(const windowed *w, int32_t *state, int32_t parent, int32_t token, ksk_error *err)
{
    const int order = w->rules.block - 1;
    if (parent < 0) {
        state[SENTENCE] = -1 - parent;
        state[COUNT] = 0;
        return true;
    }
    const int32_t *const before = state_of(w, w->old, parent);
    const int kept = before[COUNT] < order ? before[COUNT] : order - 1;
    const int dropped = before[COUNT] < order ? 0 : 1;
    state[SENTENCE] = before[SENTENCE];
    state[COUNT] = before[COUNT] + 1;
    if (order > 0) {
        memcpy(state + CONTEXT, before + CONTEXT + dropped, (size_t)kept * sizeof *state);
        state[CONTEXT + kept] = token;
    }
    return state[COUNT] < w->rules.max_target ||
           ksk_fail(err, KSK_BAD_ARGUMENT, "a hypothesis is longer than the model's %d positions",
                    w->rules.max_target);
}

static bool make_room(windowed *w, int rows)
{
    const size_t size = (size_t)CONTEXT + (size_t)w->rules.block;
    const size_t all = (size_t)rows * (size_t)w->rules.block + 1;
    const size_t had = w->identity_room;
    if (!ksk_grow(&w->now, &w->now_room, (size_t)rows * size + 1, sizeof *w->now) ||
        !ksk_grow(&w->ids, &w->id_room, all, sizeof *w->ids) ||
        !ksk_grow(&w->positions, &w->position_room, all, sizeof *w->positions) ||
        !ksk_grow(&w->identity, &w->identity_room, all, sizeof *w->identity) ||
        !ksk_grow(&w->spans, &w->span_room, all, sizeof *w->spans) ||
        !ksk_grow(&w->cross, &w->cross_room, all, sizeof *w->cross))
        return false;
    for (size_t i = had; i < w->identity_room; i++)
        w->identity[i] = (int32_t)i;
    return true;
}

static void swap_states(windowed *w)
{
    int32_t *const states = w->now;
    const size_t room = w->now_room;
    w->now = w->old;
    w->now_room = w->old_room;
    w->old = states;
    w->old_room = room;
}

/* Appends a hypothesis' block behind the first `at` rows; returns how many there are then. */
static int add_block(windowed *w, int at, const int32_t *state)
{
    const int order = w->rules.block - 1;
    const int context = state[COUNT] < order ? state[COUNT] : order;
    for (int j = 0; j <= context; j++) {
        w->ids[at + j] = j == 0 ? w->rules.start_id : state[CONTEXT + j - 1];
        w->positions[at + j] = state[COUNT] - context + j;
        w->spans[at + j][0] = at;
        w->spans[at + j][1] = j + 1;
        memcpy(w->cross[at + j], w->sources.spans[state[SENTENCE]], sizeof *w->cross);
    }
    return at + context + 1;
}

/* The last row of each block moves up to its hypothesis' place. */
static float *gather(const windowed *w, int rows)
{
    float *const logits = ksk_tensor_fill(w->logits);
    const size_t width = (size_t)w->rules.vocabulary;
    const int order = w->rules.block - 1;
    int last = -1;
    for (int i = 0; i < rows; i++) {
        const int32_t count = state_of(w, w->now, i)[COUNT];
        last += 1 + (count < order ? count : order);
        memmove(logits + (size_t)i * width, logits + (size_t)last * width, width * sizeof *logits);
    }
    return logits;
}

static bool step(ksk_l2r *self, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err)
{
    windowed *w = (windowed *)self;
    int all = 0;
    for (int i = 0; i < rows; i++)
        if (!check_row(w, i, parents[i], tokens[i], err))
            return false;
    swap_states(w);
    w->rows = 0; /* until this step has succeeded */
    if (!make_room(w, rows))
        return ksk_fail_memory(err);
    for (int i = 0; i < rows; i++) {
        int32_t *const state = state_of(w, w->now, i);
        if (!follow(w, state, parents[i], tokens[i], err))
            return false;
        all = add_block(w, all, state);
    }
    w->rows = rows;
    const ksk_step_rows step = {all, w->ids,      w->positions, w->spans,
                                all, w->identity, w->identity,  w->cross};
    if (!ksk_plans_step(w->plans, w->workspace, &step, &w->logits, err))
        return false;
    *logits = gather(w, rows);
    return true;
}

static void free_scorer(ksk_l2r *self)
{
    windowed *w = (windowed *)self;
    if (!w)
        return;
    ksk_workspace_free(w->workspace);
    ksk_sources_clear(&w->sources);
    ksk_tensor_release(w->logits);
    ksk_free(w->now);
    ksk_free(w->old);
    ksk_free(w->ids);
    ksk_free(w->positions);
    ksk_free(w->identity);
    ksk_free(w->spans);
    ksk_free(w->cross);
    ksk_free(w);
}

ksk_l2r *ksk_windowed_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                 int threads, ksk_error *err)
{
    windowed *w = ksk_calloc(1, sizeof *w);
    if (!w) {
        ksk_fail_memory(err);
        return NULL;
    }
    *w = (windowed){.base = {.vocabulary = rules->vocabulary,
                             .start_id = rules->start_id,
                             .end_id = rules->end_id,
                             .pad_id = rules->pad_id,
                             .max_source = rules->max_source,
                             .max_target = rules->max_target,
                             .start = start,
                             .step = step,
                             .join = join,
                             .leave = leave,
                             .free = free_scorer},
                    .plans = plans,
                    .rules = *rules,
                    .workspace = ksk_workspace_new(threads, err)};
    if (!w->workspace) {
        ksk_free(w);
        return NULL;
    }
    return &w->base;
}
