/* The best tokens of a row of scores. */
#include <math.h>

#include "base/ledger.h"
#include "kaskad/search.h"
#include "tensor/kernels.h"

ksk_norm ksk_row_norm(const float *values, int n)
{
    const int before = ksk_turn_to("log-softmax");
    ksk_norm norm;
    ksk_kernels_best()->row_norm(n, values, &norm.largest, &norm.log_sum);
    ksk_turn_back(before);
    return norm;
}

typedef struct best {
    ksk_norm norm;
    float base, least;
    int most, count;
    int32_t *tokens;
    float *scores;
} best;

/* Rounded step by step as log-softmax is. Never less for a larger x, so what holds for the largest
 * number of a block holds for the others. */
static float score_of(const best *b, float x)
{
    return b->base + (x - b->norm.largest - b->norm.log_sum);
}

/* What a token must exceed: equal ones come later in the order, so they lose. */
static float bar(const best *b)
{
    return b->count < b->most ? b->least : b->scores[b->most - 1];
}

static void insert(best *b, int32_t token, float score)
{
    int at = b->count < b->most ? b->count++ : b->most - 1;
    for (; at > 0 && b->scores[at - 1] < score; at--) {
        b->scores[at] = b->scores[at - 1];
        b->tokens[at] = b->tokens[at - 1];
    }
    b->scores[at] = score;
    b->tokens[at] = token;
}

static void search_block(best *b, const float *values, int from, int to)
{
    for (int i = from; i < to; i++) {
        const float score = score_of(b, values[i]);
        if (score > bar(b))
            insert(b, i, score);
    }
}

int ksk_best_tokens(const float *values, int n, ksk_norm norm, float base, int most, float least,
                    int32_t *tokens, float *scores)
{
    enum { block = 64, blocks = 64 };
    const int before = ksk_turn_to("top-k");
    best b = {norm, base, fmaxf(least, -INFINITY), most, 0, tokens, scores};
    float maxima[blocks];
    for (int from = 0; from < n; from += block * blocks) {
        const int part = n - from < block * blocks ? n - from : block * blocks;
        ksk_kernels_best()->maxima(part, block, values + from, maxima);
        for (int i = 0; i * block < part; i++) {
            const int start = from + i * block, end = start + block < n ? start + block : n;
            if (score_of(&b, maxima[i]) > bar(&b))
                search_block(&b, values, start, end);
        }
    }
    ksk_turn_back(before);
    return b.count;
}
