/* Decoding without search: every hypothesis takes one token a step until it ends. */
#ifndef KSK_DECODE_WALK_H
#define KSK_DECODE_WALK_H

#include "decode/common.h"

/* Chooses the token that follows `row` from its processed logits [vocabulary], which it may change,
 * and gives the token's log-probability. Returns -1 when no token is possible. */
typedef int32_t ksk_pick(void *state, const ksk_job *job, int row, float *values, double *log_prob);

/* Walks all `copies` hypotheses of each sentence to their ends and fills the results, copy c of a
 * sentence as its hypothesis c. Errors: as ksk_decoder.decode. */
bool ksk_walk(ksk_job *job, ksk_pick *pick, void *state, ksk_error *err);

#endif
