/* Decoding a few table sources by name, for the tests. */
#ifndef DECODE_RUN_H
#define DECODE_RUN_H

#include "decode/table_scorer.h"

enum { run_most = 32 };

/* Sources made of two ids that depend on i alone. */
typedef struct run_sources {
    int32_t ids[run_most][2];
    const int32_t *pointers[run_most];
    int lengths[run_most];
    uint64_t numbers[run_most];
} run_sources;

void run_sources_fill(run_sources *sources);

/* Decodes sources [from, from + count) on a fresh scorer; numbers count from `from`. */
bool run_decoder(const char *decoder, table t, const ksk_decode_options *options,
                 const run_sources *sources, int from, int count, ksk_nbest *results,
                 ksk_error *err);

/* Fails the test unless both hold the same to the last bit. */
void assert_same_nbest(const ksk_nbest *a, const ksk_nbest *b);

#endif
