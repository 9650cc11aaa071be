#include "decode/markov_table.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"

static uint32_t mix(uint32_t h, uint32_t word)
{
    h = (h ^ word) * 0x9E3779B1u;
    h ^= h >> 15;
    h *= 0x85EBCA77u;
    return h ^ h >> 13;
}

uint32_t markov_source(const int32_t *ids, int length)
{
    uint32_t h = (uint32_t)length;
    for (int i = 0; i < length; i++)
        h = mix(h, (uint32_t)ids[i]);
    return h;
}

float markov_potential(const markov_table *t, uint32_t source, int position, const int32_t *context,
                       int length, int32_t token)
{
    uint32_t h = mix(mix(t->seed, source), (uint32_t)position);
    for (int i = 0; i < length; i++)
        h = mix(h, (uint32_t)context[i] + 7);
    return -(float)(mix(h, (uint32_t)token + 99) >> 16) / 4096;
}

static bool start(ksk_markov *base, int sentences, const int32_t *const *sources,
                  const int *lengths, ksk_error *err)
{
    markov_scorer *const self = (markov_scorer *)base;
    ksk_free(self->sources);
    ksk_free(self->now);
    self->now = NULL;
    self->count = 0;
    self->starts++;
    self->sources = ksk_calloc((size_t)sentences, sizeof *self->sources);
    self->sentences = self->sources ? sentences : 0;
    for (int i = 0; i < self->sentences; i++)
        self->sources[i] = markov_source(sources[i], lengths[i]);
    return self->sources || ksk_fail_memory(err);
}

static bool follow(const markov_scorer *self, const ksk_contexts *c, int i, markov_row *row)
{
    const int32_t parent = c->parents[i];
    if (parent < 0) {
        *row = (markov_row){.sentence = -1 - parent, .position = c->positions[i]};
        return row->sentence < self->sentences && row->position >= 0;
    }
    if (parent >= self->count || self->now[parent].length >= self->base.order || c->tokens[i] < 0 ||
        c->tokens[i] >= self->base.vocabulary)
        return false;
    *row = self->now[parent];
    row->context[row->length++] = c->tokens[i];
    row->position++;
    return true;
}

/* What a support takes off a row's potentials; not finite when a candidate is outside. */
static float norm_of(const markov_scorer *self, const ksk_contexts *c, int i, const markov_row *row)
{
    if (!c->support)
        return 0;
    const int32_t *const span = c->supports[row->sentence], *const tokens = c->support + span[0];
    double sum = 0;
    int found = 0;
    for (int j = 0; j < span[1]; j++) {
        sum += exp((double)markov_potential(&self->table, self->sources[row->sentence],
                                            row->position, row->context, row->length, tokens[j]));
        for (int k = 0; k < c->spans[i][1]; k++)
            found += c->candidates[c->spans[i][0] + k] == tokens[j];
    }
    return found == c->spans[i][1] ? (float)log(sum) : INFINITY;
}

static bool answer(const markov_scorer *self, const ksk_contexts *c, int i, const markov_row *row,
                   float **next)
{
    const int count = c->candidates ? c->spans[i][1] : self->base.vocabulary;
    const float norm = norm_of(self, c, i, row);
    if (row->position >= self->base.max_target || count < 1 || !isfinite(norm))
        return false;
    for (int j = 0; j < count; j++) {
        const int32_t token = c->candidates ? c->candidates[c->spans[i][0] + j] : j;
        if (token < 0 || token >= self->base.vocabulary)
            return false;
        *(*next)++ = markov_potential(&self->table, self->sources[row->sentence], row->position,
                                      row->context, row->length, token) -
                     norm;
    }
    return true;
}

static bool score(ksk_markov *base, const ksk_contexts *c, float **log_probs, ksk_error *err)
{
    markov_scorer *const self = (markov_scorer *)base;
    const size_t rows = (size_t)c->rows;
    size_t entries = 0;
    for (int i = 0; i < c->rows; i++)
        entries += (size_t)(c->candidates ? c->spans[i][1] : base->vocabulary);
    markov_row *const now = ksk_malloc(rows * sizeof *now);
    if (!now || !ksk_grow(&self->log_probs, &self->room, entries, sizeof *self->log_probs)) {
        ksk_free(now);
        return ksk_fail_memory(err);
    }
    float *next = self->log_probs;
    for (int i = 0; i < c->rows; i++)
        if (!follow(self, c, i, &now[i]) || !answer(self, c, i, &now[i], &next)) {
            ksk_free(now);
            return ksk_fail(err, KSK_BAD_FORMAT, "row %d is wrong", i);
        }
    ksk_free(self->now);
    self->now = now;
    self->count = c->rows;
    self->rounds++;
    self->rows += c->rows;
    *log_probs = self->log_probs;
    return true;
}

static void free_scorer(ksk_markov *base)
{
    markov_scorer *const self = (markov_scorer *)base;
    ksk_free(self->sources);
    ksk_free(self->now);
    ksk_free(self->log_probs);
    ksk_free(self);
}

markov_scorer *markov_scorer_new(markov_table t)
{
    markov_scorer *const self = ksk_calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->table = t;
    self->base = (ksk_markov){.vocabulary = t.vocabulary,
                              .end_id = markov_end,
                              .pad_id = t.pad_id,
                              .order = t.order,
                              .max_source = markov_most_source,
                              .max_target = markov_most_target,
                              .length_a = t.length_a,
                              .length_b = t.length_b,
                              .start = start,
                              .score = score,
                              .free = free_scorer};
    return self;
}
