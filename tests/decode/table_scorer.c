#include "decode/table_scorer.h"

#include <string.h>

#include "kaskad/memory.h"

static uint32_t mix(uint32_t h, uint32_t word)
{
    h = (h ^ word) * 0x9E3779B1u;
    h ^= h >> 15;
    h *= 0x85EBCA77u;
    return h ^ h >> 13;
}

void table_logits(const table *t, uint32_t source, int32_t a, int32_t b, float *logits)
{
    const uint32_t h = mix(mix(mix(t->seed, source), (uint32_t)(a + 1)), (uint32_t)(b + 1));
    for (int i = 0; i < t->vocabulary; i++) {
        const uint32_t bits = mix(h, (uint32_t)i) >> 12; /* 20 bits: exact in a float */
        logits[i] = (float)bits * 0x1p-20f * (float)t->range;
        if (i == table_end)
            logits[i] += (float)t->end_boost;
    }
}

static bool start(ksk_l2r *base, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err)
{
    table_scorer *const self = (table_scorer *)base;
    ksk_free(self->sources);
    self->sentences = self->count = 0;
    self->sources = ksk_calloc((size_t)sentences, sizeof *self->sources);
    if (!self->sources)
        return ksk_fail_memory(err);
    for (int i = 0; i < sentences; i++) {
        if (lengths[i] < 1 || lengths[i] > base->max_source)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "source %d has %d tokens", i, lengths[i]);
        for (int j = 0; j < lengths[i]; j++)
            self->sources[i] += (uint32_t)sources[i][j];
    }
    self->sentences = sentences;
    return true;
}

static bool reserve(table_scorer *self, int rows)
{
    const size_t n = (size_t)rows;
    size_t a = self->capacity, b = self->capacity, c = self->capacity;
    const bool ok = ksk_grow(&self->row_source, &a, n, sizeof *self->row_source) &&
                    ksk_grow(&self->last, &b, n, sizeof *self->last) &&
                    ksk_grow(&self->before_last, &c, n, sizeof *self->before_last) &&
                    ksk_grow(&self->logits, &self->logits_capacity,
                             n * (size_t)self->table.vocabulary, sizeof *self->logits);
    if (ok)
        self->capacity = c;
    return ok;
}

/* The state of the row that `parent` names, moved to `row` of fresh arrays. */
static bool inherit(const table_scorer *old, int32_t parent, uint32_t *source, int32_t *last)
{
    if (parent < 0) {
        if (-1 - parent >= old->sentences)
            return false;
        *source = old->sources[-1 - parent];
        *last = -1;
        return true;
    }
    if (parent >= old->count)
        return false;
    *source = old->row_source[parent];
    *last = old->last[parent];
    return true;
}

static bool step(ksk_l2r *base, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err)
{
    table_scorer *const self = (table_scorer *)base;
    table_scorer next = *self;
    next.row_source = NULL;
    next.last = next.before_last = NULL;
    next.capacity = 0;
    bool ok = rows > 0 && reserve(&next, rows);
    for (int i = 0; ok && i < rows; i++) {
        if (!inherit(self, parents[i], &next.row_source[i], &next.before_last[i]) ||
            tokens[i] < 0 || tokens[i] >= base->vocabulary) {
            ok = ksk_fail(err, KSK_BAD_ARGUMENT, "row %d: parent %d, token %d", i, (int)parents[i],
                          (int)tokens[i]);
            break;
        }
        next.last[i] = tokens[i];
        table_logits(&self->table, next.row_source[i], next.before_last[i], tokens[i],
                     next.logits + (size_t)i * (size_t)self->table.vocabulary);
    }
    self->logits = next.logits;
    self->logits_capacity = next.logits_capacity;
    if (!ok) {
        ksk_free(next.row_source);
        ksk_free(next.last);
        ksk_free(next.before_last);
        return err && err->status ? false : ksk_fail_memory(err);
    }
    ksk_free(self->row_source);
    ksk_free(self->last);
    ksk_free(self->before_last);
    *self = next;
    self->count = rows;
    self->steps++;
    self->rows += rows;
    *logits = self->logits;
    return true;
}

static void free_scorer(ksk_l2r *base)
{
    table_scorer *const self = (table_scorer *)base;
    ksk_free(self->sources);
    ksk_free(self->row_source);
    ksk_free(self->last);
    ksk_free(self->before_last);
    ksk_free(self->logits);
    ksk_free(self);
}

table_scorer *table_scorer_new(table t)
{
    table_scorer *const self = ksk_calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->table = t;
    self->base = (ksk_l2r){.vocabulary = t.vocabulary,
                           .start_id = table_start,
                           .end_id = table_end,
                           .pad_id = table_pad,
                           .max_source = 8,
                           .max_target = table_max_target,
                           .start = start,
                           .step = step,
                           .free = free_scorer};
    return self;
}
