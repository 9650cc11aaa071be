#include "kaskad/random.h"

#include <math.h>

/* Philox-4x32 with ten rounds, constants as published. */
typedef struct block {
    uint32_t word[4];
} block;

static block philox(ksk_key key, uint64_t counter, uint32_t stream)
{
    uint32_t k0 = (uint32_t)key.word, k1 = (uint32_t)(key.word >> 32);
    block x = {{(uint32_t)counter, (uint32_t)(counter >> 32), stream, 0}};
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * x.word[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * x.word[2];
        x = (block){{(uint32_t)(p1 >> 32) ^ x.word[1] ^ k0, (uint32_t)p1,
                     (uint32_t)(p0 >> 32) ^ x.word[3] ^ k1, (uint32_t)p0}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x;
}

/* Splitting and drawing read different streams, so a key's children never meet its numbers. */
enum { stream_draw = 0, stream_split = 1 };

ksk_key ksk_key_from_seed(uint64_t seed)
{
    return ksk_key_split((ksk_key){seed}, 0);
}

ksk_key ksk_key_split(ksk_key key, uint64_t index)
{
    const block x = philox(key, index, stream_split);
    return (ksk_key){(uint64_t)x.word[1] << 32 | x.word[0]};
}

uint32_t ksk_random_bits(ksk_key key, uint64_t counter)
{
    return philox(key, counter / 4, stream_draw).word[counter % 4];
}

void ksk_random_block(ksk_key key, uint64_t number, uint32_t bits[4])
{
    const block x = philox(key, number, stream_draw);
    for (int i = 0; i < 4; i++)
        bits[i] = x.word[i];
}

float ksk_random_uniform(ksk_key key, uint64_t counter)
{
    return (float)(ksk_random_bits(key, counter) >> 8) * 0x1p-24f;
}

double ksk_random_uniform_double(ksk_key key, uint64_t counter)
{
    const block x = philox(key, counter, stream_draw);
    return (double)(((uint64_t)x.word[1] << 32 | x.word[0]) >> 11) * 0x1p-53;
}

float ksk_random_normal(ksk_key key, uint64_t counter)
{
    const block x = philox(key, counter / 2, stream_draw);
    const double u = ((double)x.word[counter % 2 * 2] + 0.5) * 0x1p-32;
    const double v = (double)x.word[counter % 2 * 2 + 1] * 0x1p-32;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}
