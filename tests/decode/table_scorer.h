/* A scorer without a model: logits are a hash of the source and of the last two tokens, the same to
 * the bit in tests/fixtures/make_decode.py. It checks how it is called, too. */
#ifndef TABLE_SCORER_H
#define TABLE_SCORER_H

#include "kaskad/decode.h"

typedef struct table {
    uint32_t seed;
    int vocabulary;
    int range;     /* logits lie in [0, range) … */
    int end_boost; /* … the end token's in [0, range) + end_boost */
} table;

enum { table_start = 3, table_end = 0, table_pad = 1, table_max_target = 48 };

typedef struct table_scorer {
    ksk_l2r base;
    table table;
    long steps, rows; /* calls of step so far, and rows fed in all of them */
    int sentences;
    uint32_t *sources; /* [sentences]: sum of the ids */
    int count;         /* rows of the last step */
    uint32_t *row_source;
    int32_t *last;
    int32_t *before_last;
    float *logits;
    size_t capacity, logits_capacity;
} table_scorer;

/* Caller frees with base.free. NULL when memory runs out. */
table_scorer *table_scorer_new(table t);

/* What the scorer gives for the token after `a`, `b` (a is -1 when b is the first). */
void table_logits(const table *t, uint32_t source, int32_t a, int32_t b, float *logits);

#endif
