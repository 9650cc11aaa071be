#include "scorer/seq2seq.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/blocks.h"
#include "scorer/plans.h"
#include "scorer/slots.h"
#include "scorer/windowed.h"

/* --- the left-to-right scorer -------------------------------------------------------------------
 */

typedef struct scorer {
    ksk_l2r base;
    const ksk_seq2seq_plans *plans;
    ksk_sequence_rules rules;
    ksk_workspace *workspace;
    ksk_sources sources;
    ksk_slots slots;
    int32_t *sentence, *old_sentence; /* of each row */
    int32_t *positions;
    int32_t (*cross)[2];
    size_t sentence_room, old_sentence_room, position_room, cross_room;
    ksk_tensor *logits; /* of plans to select: decoded rows */

    /* the chosen vocabulary of plans to select */
    ksk_choice choice;
    int32_t *fed; /* [rows] */
    float *narrow_logits;
    size_t fed_room, narrow_room;
} scorer;

static bool start(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err)
{
    scorer *s = (scorer *)self;
    ksk_slots_reset(&s->slots);
    return ksk_sources_start(&s->sources, s->plans, &s->rules, s->workspace, sentences, sources,
                             lengths, err);
}

static bool join(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                 ksk_error *err)
{
    scorer *s = (scorer *)self;
    return ksk_sources_join(&s->sources, s->plans, &s->rules, s->workspace, sentences, sources,
                            lengths, err);
}

static void leave(ksk_l2r *self, int sentence)
{
    ksk_sources_leave(&((scorer *)self)->sources, sentence);
}

static bool check_step(const scorer *s, int rows, const int32_t *parents, const int32_t *tokens,
                       ksk_error *err)
{
    for (int i = 0; i < rows; i++) {
        if (-1 - parents[i] >= s->sources.sentences)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d begins sentence %d of %d", i,
                            -1 - parents[i], s->sources.sentences);
        if (tokens[i] < 0 || tokens[i] >= s->base.vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: token %d is not in [0, %d)", i,
                            tokens[i], s->base.vocabulary);
    }
    return true;
}

/* Sentences, positions and source spans of the new rows. */
static bool describe_rows(scorer *s, int rows, const int32_t *parents, ksk_error *err)
{
    int32_t *const old = s->sentence;
    const size_t old_room = s->sentence_room;
    s->sentence = s->old_sentence;
    s->sentence_room = s->old_sentence_room;
    s->old_sentence = old;
    s->old_sentence_room = old_room;
    const size_t count = (size_t)rows + 1;
    if (!ksk_grow(&s->sentence, &s->sentence_room, count, sizeof *s->sentence) ||
        !ksk_grow(&s->positions, &s->position_room, count, sizeof *s->positions) ||
        !ksk_grow(&s->cross, &s->cross_room, count, sizeof *s->cross))
        return ksk_fail_memory(err);
    for (int i = 0; i < rows; i++) {
        s->sentence[i] = parents[i] < 0 ? -1 - parents[i] : s->old_sentence[parents[i]];
        s->positions[i] = s->slots.spans[i][1] - 1;
        if (s->positions[i] >= s->rules.max_target)
            return ksk_fail(err, KSK_BAD_ARGUMENT,
                            "a hypothesis is longer than the model's %d "
                            "positions",
                            s->rules.max_target);
        memcpy(s->cross[i], s->sources.spans[s->sentence[i]], sizeof s->cross[i]);
    }
    return true;
}

/* What the model knows the tokens as. */
static bool find_fed(scorer *s, int rows, const int32_t *tokens, ksk_error *err)
{
    if (s->plans->head && s->choice.count == 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "no tokens were chosen yet");
    if (!ksk_grow(&s->fed, &s->fed_room, (size_t)rows + 1, sizeof *s->fed))
        return ksk_fail_memory(err);
    for (int i = 0; i < rows; i++)
        s->fed[i] = s->plans->head ? s->choice.tokens[tokens[i]] : tokens[i];
    return true;
}

static bool find_logits(scorer *s, int rows, float **logits, ksk_error *err)
{
    if (!s->plans->head) {
        *logits = ksk_tensor_fill(s->logits);
        return true;
    }
    const size_t count = (size_t)rows * (size_t)s->choice.count;
    if (!ksk_grow(&s->narrow_logits, &s->narrow_room, count + 1, sizeof *s->narrow_logits))
        return ksk_fail_memory(err);
    ksk_choice_logits(&s->choice, rows, ksk_tensor_f32(s->logits), s->narrow_logits);
    *logits = s->narrow_logits;
    return true;
}

static bool step(ksk_l2r *self, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err)
{
    scorer *s = (scorer *)self;
    if (!check_step(s, rows, parents, tokens, err) ||
        !ksk_slots_step(&s->slots, rows, parents, err) || !describe_rows(s, rows, parents, err) ||
        !find_fed(s, rows, tokens, err))
        return false;
    const ksk_step_rows step = {rows,           s->fed,           s->positions,
                                s->slots.spans, s->slots.entries, s->slots.index,
                                s->slots.slots, s->cross};
    return ksk_plans_step(s->plans, s->workspace, &step, &s->logits, err) &&
           find_logits(s, rows, logits, err);
}

bool ksk_seq2seq_scorer_narrow(ksk_l2r *self, int count, const int32_t *tokens, ksk_error *err)
{
    scorer *s = (scorer *)self;
    if (!s->plans->head)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "the scorer's plans are not for chosen tokens");
    self->vocabulary = 0;
    if (!ksk_choice_make(&s->choice, s->plans->head, count, tokens, err))
        return false;
    self->start_id = ksk_token_place(tokens, count, s->rules.start_id);
    self->end_id = ksk_token_place(tokens, count, s->rules.end_id);
    self->pad_id = ksk_token_place(tokens, count, s->rules.pad_id);
    if (self->start_id < 0 || self->end_id < 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "start and end are not among the chosen tokens");
    self->vocabulary = count;
    return true;
}

static void free_scorer(ksk_l2r *self)
{
    scorer *s = (scorer *)self;
    if (!s)
        return;
    ksk_workspace_free(s->workspace);
    ksk_slots_clear(&s->slots);
    ksk_tensor_release(s->logits);
    ksk_sources_clear(&s->sources);
    ksk_choice_clear(&s->choice);
    ksk_free(s->fed);
    ksk_free(s->narrow_logits);
    ksk_free(s->sentence);
    ksk_free(s->old_sentence);
    ksk_free(s->positions);
    ksk_free(s->cross);
    ksk_free(s);
}

ksk_l2r *ksk_seq2seq_scorer_new(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                                int threads, ksk_error *err)
{
    if (rules->block)
        return ksk_windowed_scorer_new(plans, rules, threads, err);
    scorer *s = ksk_calloc(1, sizeof *s);
    if (!s) {
        ksk_fail_memory(err);
        return NULL;
    }
    *s = (scorer){.base = {.vocabulary = rules->vocabulary,
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
    if (!s->workspace) {
        ksk_free(s);
        return NULL;
    }
    return &s->base;
}

/* --- whole targets ------------------------------------------------------------------------------
 */

static bool run_score(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                      const ksk_ragged *source, const ksk_ragged *target, const ksk_ragged *shifted,
                      int32_t (*cross)[2], float *log_probs, ksk_error *err)
{
    const int64_t rows = shifted->rows;
    const ksk_tensor source_ids = ksk_borrow_vector(source->ids, source->rows),
                     source_positions = ksk_borrow_vector(source->positions, source->rows),
                     source_spans = ksk_borrow_spans(source->spans, source->rows),
                     ids = ksk_borrow_vector(shifted->ids, rows),
                     positions = ksk_borrow_vector(shifted->positions, rows),
                     spans = ksk_borrow_spans(shifted->spans, rows),
                     cross_spans = ksk_borrow_spans(cross, rows),
                     targets = ksk_borrow_vector(target->ids, rows);
    const ksk_tensor *const inputs[] = {&source_ids,  &source_positions, &source_spans,
                                        &ids,         &positions,        &spans,
                                        &cross_spans, &targets};
    ksk_tensor *output = NULL;
    if (!ksk_run(plans->score, workspace, inputs, &output, err))
        return false;
    memcpy(log_probs, ksk_tensor_data(output), ksk_tensor_bytes(output));
    ksk_tensor_release(output);
    return true;
}

/* Of a Markov Transformer: the tokens' rows are picked from those of their windows. */
static bool score_windows(const ksk_seq2seq_plans *plans, ksk_workspace *workspace,
                          const ksk_ragged *source, ksk_windows *windows, float *log_probs,
                          ksk_error *err)
{
    const int64_t rows = windows->rows.rows;
    const ksk_ragged targets = {.rows = rows, .ids = windows->targets};
    int32_t(*const cross)[2] = ksk_malloc((size_t)rows * sizeof *cross);
    float *const all = ksk_malloc((size_t)rows * sizeof *all);
    bool ok = (cross && all) || ksk_fail_memory(err);
    for (int64_t i = 0; ok && i < rows; i++)
        memcpy(cross[i], source->sentence[windows->sentence[i]], sizeof *cross);
    ok = ok && run_score(plans, workspace, source, &targets, &windows->rows, cross, all, err);
    for (int64_t i = 0; ok && i < rows; i++)
        if (windows->token[i] >= 0)
            log_probs[windows->token[i]] = all[i];
    ksk_free(cross);
    ksk_free(all);
    return ok;
}

/* Scores targets that were checked. */
static bool score_markov(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                         ksk_workspace *workspace, const ksk_ragged *source, int sentences,
                         const int32_t *const *targets, const int *lengths, float *log_probs,
                         ksk_error *err)
{
    ksk_windows windows;
    const bool ok = ksk_windows_fill(&windows, sentences, targets, lengths, rules, err) &&
                    score_windows(plans, workspace, source, &windows, log_probs, err);
    ksk_windows_clear(&windows);
    return ok;
}

bool ksk_seq2seq_score(const ksk_seq2seq_plans *plans, const ksk_sequence_rules *rules,
                       ksk_workspace *workspace, int sentences, const int32_t *const *sources,
                       const int *source_lengths, const int32_t *const *targets,
                       const int *target_lengths, float *log_probs, ksk_error *err)
{
    ksk_ragged source, target = {.rows = 0}, shifted = {.rows = 0};
    int32_t(*cross)[2] = NULL;
    bool ok = ksk_ragged_fill(&source, sentences, sources, source_lengths, -1, false,
                              rules->source_vocabulary, rules->max_source, "source", err) &&
              ksk_ragged_fill(&target, sentences, targets, target_lengths, -1, true,
                              rules->vocabulary, rules->max_target, "target", err) &&
              ksk_ragged_fill(&shifted, sentences, targets, target_lengths, rules->start_id, true,
                              rules->vocabulary, rules->max_target, "target", err);
    if (ok && !(cross = ksk_malloc((size_t)(shifted.rows + 1) * sizeof *cross)))
        ok = ksk_fail_memory(err);
    for (int i = 0; ok && i < sentences; i++)
        for (int j = 0; j < target_lengths[i]; j++)
            memcpy(cross[shifted.sentence[i][0] + j], source.sentence[i], sizeof *cross);
    if (ok && sentences > 0)
        ok = rules->block
                 ? score_markov(plans, rules, workspace, &source, sentences, targets,
                                target_lengths, log_probs, err)
                 : run_score(plans, workspace, &source, &target, &shifted, cross, log_probs, err);
    ksk_ragged_clear(&source);
    ksk_ragged_clear(&target);
    ksk_ragged_clear(&shifted);
    ksk_free(cross);
    return ok;
}
