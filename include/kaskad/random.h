/* Counter-based random keys (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3").
 *
 * A key is a value: the same key and counter always give the same number, on every machine and with
 * any number of threads. A key is used once, or split into keys that are used instead of it. */
#ifndef KASKAD_RANDOM_H
#define KASKAD_RANDOM_H

#include <stdint.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_key {
    uint64_t word;
} ksk_key;

/* The key of a seed. */
KSK_API ksk_key ksk_key_from_seed(uint64_t seed);

/* The `index`-th child of `key`; children with different indices are independent. */
KSK_API ksk_key ksk_key_split(ksk_key key, uint64_t index);

/* The `counter`-th number of `key`: 32 uniform bits, a float in [0, 1) with 24 bits, a double in
 * [0, 1) with 53 bits, a standard normal. */
KSK_API uint32_t ksk_random_bits(ksk_key key, uint64_t counter);
KSK_API void ksk_random_block(ksk_key key, uint64_t block,
                              uint32_t bits[4]); /* numbers 4 · block … */
KSK_API float ksk_random_uniform(ksk_key key, uint64_t counter);
KSK_API double ksk_random_uniform_double(ksk_key key, uint64_t counter);
KSK_API float ksk_random_normal(ksk_key key, uint64_t counter);

#ifdef __cplusplus
}
#endif
#endif
