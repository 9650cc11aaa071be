/* Each round runs one new token a row; the keys of the tokens before it are in the slots of its
 * parent, which rows share, so pruning copies nothing. */
#include "scorer/markov.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/plans.h"
#include "scorer/slots.h"
#include "tensor/kernels.h"

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
    ksk_tensor *decoded, *log_probs;
    float *chosen; /* the candidates' log-probabilities */

    ksk_choice narrow; /* the vocabulary, if not the model's own; count 0: none */
    float *narrow_logits;
    size_t narrow_room;
    int32_t *support; /* as the model knows its tokens */
    size_t support_room;

    ksk_choice *choices; /* [sentences]: the supports */
    float *logits;       /* of a sentence's rows over its support */
    int32_t *places;     /* [vocabulary]: where a token stands in the support, -1: nowhere */
    size_t choice_room, logit_room;
} scorer;

static void drop_choices(scorer *s)
{
    for (size_t i = 0; i < s->choice_room; i++)
        ksk_choice_clear(&s->choices[i]);
}

static bool start(ksk_markov *self, int sentences, const int32_t *const *sources,
                  const int *lengths, ksk_error *err)
{
    scorer *s = (scorer *)self;
    ksk_slots_reset(&s->slots);
    drop_choices(s);
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

/* What the model knows a token as. */
static int32_t known_as(const scorer *s, int32_t token)
{
    return s->narrow.count ? s->narrow.tokens[token] : token;
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
    s->positions[i] = s->now[i][1];
    if (s->positions[i] < 0 || s->positions[i] >= s->rules.max_target)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: position %d is not in [0, %d)", i,
                        s->positions[i], s->rules.max_target);
    if (parent >= 0 && (c->tokens[i] < 0 || c->tokens[i] >= s->base.vocabulary))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: token %d is not in [0, %d)", i,
                        c->tokens[i], s->base.vocabulary);
    s->ids[i] = parent < 0 ? s->rules.start_id : known_as(s, c->tokens[i]);
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
        if (c->candidates[i] < 0 || c->candidates[i] >= s->base.vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "candidate %d is not in [0, %d)",
                            c->candidates[i], s->base.vocabulary);
    return true;
}

static void choose(scorer *s, const ksk_contexts *c, const float *log_probs)
{
    for (int i = 0; i < c->rows; i++, log_probs += s->base.vocabulary)
        for (int32_t j = c->spans[i][0]; j < c->spans[i][0] + c->spans[i][1]; j++)
            s->chosen[j] = log_probs[c->candidates[j]];
}

/* --- over the whole vocabulary -------------------------------------------------------------------
 */

static bool project_narrow(scorer *s, int rows, float **log_probs, ksk_error *err)
{
    const int count = s->narrow.count;
    if (!ksk_grow(&s->narrow_logits, &s->narrow_room, (size_t)rows * (size_t)count + 1,
                  sizeof *s->narrow_logits))
        return ksk_fail_memory(err);
    float *const logits = *log_probs = s->narrow_logits;
    ksk_choice_logits(&s->narrow, rows, ksk_tensor_f32(s->decoded), logits);
    ksk_kernels_best()->log_softmax(rows, count, logits, count, logits, count);
    return true;
}

static bool project(scorer *s, int rows, float **log_probs, ksk_error *err)
{
    if (s->narrow.count)
        return project_narrow(s, rows, log_probs, err);
    if (!ksk_plans_project(s->plans, s->workspace, s->decoded, &s->log_probs, err))
        return false;
    *log_probs = ksk_tensor_fill(s->log_probs);
    return true;
}

static bool score_all(scorer *s, const ksk_contexts *c, float **log_probs, ksk_error *err)
{
    if (!project(s, c->rows, log_probs, err))
        return false;
    if (c->candidates) {
        choose(s, c, *log_probs);
        *log_probs = s->chosen;
    }
    return true;
}

/* --- over a support -----------------------------------------------------------------------------
 */

static bool check_head(const scorer *s, ksk_error *err)
{
    return s->plans->head ||
           ksk_fail(err, KSK_UNSUPPORTED,
                    "the model's logits are no product with weights of its own, so they cannot be "
                    "had for some tokens alone");
}

static bool prepare_supports(scorer *s, ksk_error *err)
{
    const size_t before = s->choice_room;
    if (!check_head(s, err))
        return false;
    if (!ksk_grow(&s->choices, &s->choice_room, (size_t)s->sources.sentences, sizeof *s->choices))
        return ksk_fail_memory(err);
    for (size_t i = before; i < s->choice_room; i++)
        s->choices[i] = (ksk_choice){.count = 0};
    if (s->places)
        return true;
    s->places = ksk_malloc((size_t)s->rules.vocabulary * sizeof *s->places);
    for (int i = 0; s->places && i < s->rules.vocabulary; i++)
        s->places[i] = -1;
    return s->places || ksk_fail_memory(err);
}

/* Checks a support and finds what the model knows its tokens as. */
static bool find_support(scorer *s, const int32_t *tokens, int count, ksk_error *err)
{
    if (count < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "support: a sentence has none");
    if (!ksk_grow(&s->support, &s->support_room, (size_t)count, sizeof *s->support))
        return ksk_fail_memory(err);
    for (int i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= s->base.vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "support: token %d is not in [0, %d)", tokens[i],
                            s->base.vocabulary);
        s->support[i] = known_as(s, tokens[i]);
    }
    return true;
}

/* The candidates of rows [first, last), whose logits over the support `tokens` are there. */
static bool choose_within(scorer *s, const ksk_contexts *c, const ksk_choice *choice,
                          const int32_t *tokens, int first, int last, ksk_error *err)
{
    bool ok = true;
    for (int i = 0; i < choice->count; i++)
        s->places[tokens[i]] = i;
    for (int i = first; ok && i < last; i++) {
        const float *const row = s->logits + (size_t)(i - first) * (size_t)choice->count;
        for (int32_t j = c->spans[i][0]; ok && j < c->spans[i][0] + c->spans[i][1]; j++) {
            const int32_t place = s->places[c->candidates[j]];
            ok = place >= 0 ||
                 ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: candidate %d is not in the support", i,
                          c->candidates[j]);
            s->chosen[j] = ok ? row[place] : 0;
        }
    }
    for (int i = 0; i < choice->count; i++)
        s->places[tokens[i]] = -1;
    return ok;
}

/* Rows [first, last) are of one sentence. */
static bool score_sentence(scorer *s, const ksk_contexts *c, int first, int last, ksk_error *err)
{
    const int sentence = s->now[first][0], count = c->supports[sentence][1], rows = last - first;
    const int32_t *const tokens = c->support + c->supports[sentence][0];
    ksk_choice *const choice = &s->choices[sentence];
    if (!find_support(s, tokens, count, err) ||
        !ksk_choice_make(choice, s->plans->head, count, s->support, err))
        return false;
    const int64_t width = ksk_tensor_size(s->decoded, 1);
    if (!ksk_grow(&s->logits, &s->logit_room, (size_t)rows * (size_t)count + 1, sizeof *s->logits))
        return ksk_fail_memory(err);
    ksk_choice_logits(choice, rows, ksk_tensor_f32(s->decoded) + first * width, s->logits);
    ksk_kernels_best()->log_softmax(rows, count, s->logits, count, s->logits, count);
    return choose_within(s, c, choice, tokens, first, last, err);
}

static bool score_within(scorer *s, const ksk_contexts *c, float **log_probs, ksk_error *err)
{
    if (!c->candidates)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a support without candidates");
    if (!prepare_supports(s, err))
        return false;
    for (int first = 0, last; first < c->rows; first = last) {
        for (last = first + 1; last < c->rows && s->now[last][0] == s->now[first][0];)
            last++;
        if (!score_sentence(s, c, first, last, err))
            return false;
    }
    *log_probs = s->chosen;
    return true;
}

/* --- a round ------------------------------------------------------------------------------------
 */

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
    if (!ksk_plans_step(s->plans, s->workspace, &step, &s->decoded, err))
        return false;
    return c->support ? score_within(s, c, log_probs, err) : score_all(s, c, log_probs, err);
}

static bool score(ksk_markov *self, const ksk_contexts *contexts, float **log_probs, ksk_error *err)
{
    scorer *s = (scorer *)self;
    if (run_round(s, contexts, log_probs, err))
        return true;
    ksk_slots_reset(&s->slots); /* no row is left to continue */
    return false;
}

bool ksk_markov_scorer_narrow(ksk_markov *self, int count, const int32_t *tokens, ksk_error *err)
{
    scorer *s = (scorer *)self;
    self->vocabulary = s->rules.vocabulary;
    self->end_id = s->rules.end_id;
    self->pad_id = s->rules.pad_id;
    if (!check_head(s, err) || !ksk_choice_make(&s->narrow, s->plans->head, count, tokens, err))
        return false;
    const int end = ksk_token_place(tokens, count, s->rules.end_id);
    if (end < 0) {
        s->narrow.count = 0;
        return ksk_fail(err, KSK_BAD_ARGUMENT, "the end is not among the chosen tokens");
    }
    self->vocabulary = count;
    self->end_id = end;
    self->pad_id = ksk_token_place(tokens, count, s->rules.pad_id);
    return true;
}

static void free_scorer(ksk_markov *self)
{
    scorer *s = (scorer *)self;
    if (!s)
        return;
    ksk_workspace_free(s->workspace);
    ksk_sources_clear(&s->sources);
    ksk_slots_clear(&s->slots);
    ksk_tensor_release(s->decoded);
    ksk_tensor_release(s->log_probs);
    drop_choices(s);
    ksk_choice_clear(&s->narrow);
    ksk_free(s->narrow_logits);
    ksk_free(s->support);
    ksk_free(s->choices);
    ksk_free(s->logits);
    ksk_free(s->places);
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
