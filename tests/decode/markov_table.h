/* A Markov scorer without a model: log potentials are a hash of source, position, context and
 * token, multiples of 1/4096, so that sums are exact. It checks how it is called, too. */
#ifndef MARKOV_TABLE_H
#define MARKOV_TABLE_H

#include "kaskad/decode.h"

typedef struct markov_table {
    uint32_t seed;
    int vocabulary, order;
    double length_a, length_b;
    int pad_id; /* -1: none */
} markov_table;

enum { markov_end = 2, markov_most_source = 12, markov_most_target = 40, markov_most_order = 6 };

/* A row of the round before. */
typedef struct markov_row {
    int sentence, position, length;
    int32_t context[markov_most_order];
} markov_row;

typedef struct markov_scorer {
    ksk_markov base;
    markov_table table;
    int starts, rounds; /* calls so far */
    long rows;          /* in all of them */
    int sentences;
    uint32_t *sources; /* [sentences]: hash of the ids */
    markov_row *now;   /* [count] */
    int count;
    float *log_probs;
    size_t room;
} markov_scorer;

/* Caller frees with base.free. NULL when memory runs out. */
markov_scorer *markov_scorer_new(markov_table t);

uint32_t markov_source(const int32_t *ids, int length);

/* The log potential of `token` at `position` behind the last tokens `context` [length]. */
float markov_potential(const markov_table *t, uint32_t source, int position, const int32_t *context,
                       int length, int32_t token);

#endif
