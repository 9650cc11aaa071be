/* The processors of a job: its options' constraints, the user's own, the decoder's. */
#ifndef KSK_DECODE_COMMON_H
#define KSK_DECODE_COMMON_H

#include "kaskad/search.h"

struct ksk_chain {
    const ksk_decode_options *options;
    int end_id;
    uint8_t *seen;        /* [vocabulary], all zero between calls */
    ksk_processor *steps; /* [count]; they point back into the chain */
    int count;
    bool only_forbids; /* none of them looks at a score or changes one to anything but -infinity */
};

/* The chain of `options`; `last` [last_count] come after the user's processors and before
 * renormalisation. Caller frees. NULL with OUT_OF_MEMORY. */
ksk_chain *ksk_chain_new(const ksk_l2r *scorer, const ksk_decode_options *options,
                         const ksk_processor *last, int last_count, ksk_error *err);
void ksk_chain_free(ksk_chain *chain);

/* False with INTERRUPTED once the options' deadline is past. */
bool ksk_in_time(const ksk_decode_options *options, ksk_error *err);

#endif
