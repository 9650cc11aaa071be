/* The options of cascaded decoding, as the commands that decode take them. */
#ifndef KSK_CLI_CASCADE_H
#define KSK_CLI_CASCADE_H

#include <math.h>

#include "cli/cli.h"
#include "kaskad/decode.h"

/* What the command line says; what is negative, or NAN, leaves the decoder's own settings. */
typedef struct ksk_cascade_given {
    int topk, keep, rounds, delta, support;
    double threshold, length_reward;
} ksk_cascade_given;

#define KSK_CASCADE_NOT_GIVEN                                                                      \
    {                                                                                              \
        .topk = -1, .keep = -1, .rounds = -1, .delta = -1, .support = -1, .threshold = NAN,        \
        .length_reward = NAN                                                                       \
    }

/* Lines of a table of options; `given` is a pointer. */
#define KSK_CASCADE_OPTIONS(given)                                                                 \
    KSK_INT("topk", 0, "K", "states kept at each position (16)", &(given)->topk, 1, 1024),         \
        KSK_INT("keep", 0, "N", "states kept after later rounds than the first; 0: K (0)",         \
                &(given)->keep, 0, 1024),                                                          \
        KSK_NUMBER("length-reward", 0, "X",                                                        \
                   "nats that a token more is worth among outputs of different lengths (0)",       \
                   &(given)->length_reward, -1e3, 1e3),                                            \
        KSK_NUMBER("threshold", 0, "X",                                                            \
                   "states further below the best are dropped, in nats (none)",                    \
                   &(given)->threshold, 0, 1e9),                                                   \
        KSK_INT("support", 0, "N",                                                                 \
                "later rounds see the N best words of each position alone; 0: all words (0)",      \
                &(given)->support, 0, 1024),                                                       \
        KSK_INT("rounds", 0, "R", "contexts grow to R - 1 tokens; 0: the model's order (0)",       \
                &(given)->rounds, 0, 65),                                                          \
        KSK_INT("delta", 0, "D", "lengths within D of the predicted one compete (3)",              \
                &(given)->delta, 0, 1 << 20)

void ksk_cascade_set(const ksk_cascade_given *given, ksk_cascade_options *options);

#endif
