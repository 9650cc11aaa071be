/* Each round runs one new token a row; the keys of the tokens before it are in the slots of its
 * parent, which rows share, so pruning copies nothing. */
#include "scorer/markov.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/plans.h"
#include "scorer/slots.h"

typedef struct scorer {
    ksk_markov base;
    const ksk_seq2seq_plans *plans;
    ksk_sequence_rules rules;
    ksk_workspace *workspace;
    ksk_sources sources;
    ksk_slots slots;
    int32_t (*now)[2], (*old)[2]; /* [rows]: sentence and position of what a row predicts */
    int32_t *ids, *positions;     /* [rows] */
    int32_t (*cross)[2];
    size_t now_room, old_room, id_room, position_room, cross_room, chosen_room;
    ksk_tensor *log_probs;
    float *chosen; /* the candidates' log-probabilities */
} scorer;

static bool start(ksk_markov *self, int sentences, const int32_t *const *sources,
                  const int *lengths, ksk_error *err)
{
    scorer *s = (scorer *)self;
    ksk_slots_reset(&s->slots);
    return ksk_sources_start(&s->sources, s->plans, &s->rules, s->workspace, sentences, sources,
                             lengths, err);
}

static bool make_room(scorer *s, int rows)
{
    int32_t(*const states)[2] = s->now;
    const size_t room = s->now_room, count = (size_t)rows + 1;
    s->now = s->old;
    s->now_room = s->old_room;
    s->old = states;
    s->old_room = room;
    return ksk_grow(&s->now, &s->now_room, count, sizeof *s->now) &&
           ksk_grow(&s->ids, &s->id_room, count, sizeof *s->ids) &&
           ksk_grow(&s->positions, &s->position_room, count, sizeof *s->positions) &&
           ksk_grow(&s->cross, &s->cross_room, count, sizeof *s->cross);
}

/* Sentence, position and token of row i. */
static bool describe_row(scorer *s, const ksk_contexts *c, int i, ksk_error *err)
{
    const int32_t parent = c->parents[i];
    if (-1 - parent >= s->sources.sentences)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d begins sentence %d of %d", i, -1 - parent,
                        s->sources.sentences);
    s->now[i][0] = parent < 0 ? -1 - parent : s->old[parent][0];
    s->now[i][1] = parent < 0 ? c->positions[i] : s->old[parent][1] + 1;
    s->ids[i] = parent < 0 ? s->rules.start_id : c->tokens[i];
    s->positions[i] = s->now[i][1];
    if (s->positions[i] < 0 || s->positions[i] >= s->rules.max_target)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: position %d is not in [0, %d)", i,
                        s->positions[i], s->rules.max_target);
    if (s->ids[i] < 0 || s->ids[i] >= s->rules.vocabulary)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: token %d is not in [0, %d)", i, s->ids[i],
                        s->rules.vocabulary);
    if (s->slots.spans[i][1] > s->rules.block)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: a context of %d tokens; the order is %d", i,
                        s->slots.spans[i][1] - 1, s->rules.block - 1);
    memcpy(s->cross[i], s->sources.spans[s->now[i][0]], sizeof *s->cross);
    return true;
}

static bool check_candidates(const scorer *s, const ksk_contexts *c, int64_t *entries,
                             ksk_error *err)
{
    *entries = 0;
    for (int i = 0; i < c->rows; i++) {
        if (c->spans[i][0] != *entries || c->spans[i][1] < 0)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: candidates %d+%d do not begin at %lld",
                            i, c->spans[i][0], c->spans[i][1], (long long)*entries);
        *entries += c->spans[i][1];
    }
    for (int64_t i = 0; i < *entries; i++)
        if (c->candidates[i] < 0 || c->candidates[i] >= s->rules.vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "candidate %d is not in [0, %d)",
                            c->candidates[i], s->rules.vocabulary);
    return true;
}

static void choose(scorer *s, const ksk_contexts *c, const float *log_probs)
{
    for (int i = 0; i < c->rows; i++, log_probs += s->rules.vocabulary)
        for (int32_t j = c->spans[i][0]; j < c->spans[i][0] + c->spans[i][1]; j++)
            s->chosen[j] = log_probs[c->candidates[j]];
}

static bool run_round(scorer *s, const ksk_contexts *c, float **log_probs, ksk_error *err)
{
    int64_t entries = 0;
    if (c->candidates && !check_candidates(s, c, &entries, err))
        return false;
    if (!ksk_slots_step(&s->slots, c->rows, c->parents, err))
        return false;
    if (!make_room(s, c->rows) ||
        !ksk_grow(&s->chosen, &s->chosen_room, (size_t)entries + 1, sizeof *s->chosen))
        return ksk_fail_memory(err);
    for (int i = 0; i < c->rows; i++)
        if (!describe_row(s, c, i, err))
            return false;
    const ksk_step_rows step = {c->rows,          s->ids,         s->positions,   s->slots.spans,
                                s->slots.entries, s->slots.index, s->slots.slots, s->cross};
    if (!ksk_plans_step(s->plans, s->workspace, &step, &s->log_probs, err))
        return false;
    *log_probs = ksk_tensor_fill(s->log_probs);
    if (c->candidates) {
        choose(s, c, *log_probs);
        *log_probs = s->chosen;
    }
    return true;
}

static bool score(ksk_markov *self, const ksk_contexts *contexts, float **log_probs, ksk_error *err)
{
    scorer *s = (scorer *)self;
    if (run_round(s, contexts, log_probs, err))
        return true;
    ksk_slots_reset(&s->slots); /* no row is left to continue */
    return false;
}

static void free_scorer(ksk_markov *self)
{
    scorer *s = (scorer *)self;
    if (!s)
        return;
    ksk_workspace_free(s->workspace);
    ksk_sources_clear(&s->sources);
    ksk_slots_clear(&s->slots);
    ksk_tensor_release(s->log_probs);
    ksk_free(s->now);
    ksk_free(s->old);
    ksk_free(s->ids);
    ksk_free(s->positions);
    ksk_free(s->cross);
    ksk_free(s->chosen);
    ksk_free(s);
}

ksk_markov *ksk_markov_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                  int threads, ksk_error *err)
{
    if (!rules->block) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "the model is no Markov Transformer");
        return NULL;
    }
    scorer *s = ksk_calloc(1, sizeof *s);
    if (!s) {
        ksk_fail_memory(err);
        return NULL;
    }
    *s = (scorer){.base = {.vocabulary = rules->vocabulary,
                           .end_id = rules->end_id,
                           .pad_id = rules->pad_id,
                           .order = rules->block - 1,
                           .max_source = rules->max_source,
                           .max_target = rules->max_target,
                           .length_a = rules->length_a,
                           .length_b = rules->length_b,
                           .start = start,
                           .score = score,
                           .free = free_scorer},
                  .plans = plans,
                  .rules = *rules,
                  .workspace = ksk_workspace_new(threads, err)};
    if (!s->workspace) {
        ksk_free(s);
        return NULL;
    }
    return &s->base;
}
