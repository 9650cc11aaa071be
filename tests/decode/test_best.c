/* The best tokens of a row against sorting all of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kaskad/random.h"
#include "kaskad/search.h"

enum { most_values = 9001, most_best = 40 };

typedef struct ranked {
    int32_t token;
    float score;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->token > y->token) - (x->token < y->token);
}

/* Values of few steps, so that many are equal; some forbidden. */
static void fill(float *values, int n, uint64_t seed)
{
    const ksk_key key = ksk_key_from_seed(seed);
    for (int i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)ksk_random_bits(key, (uint64_t)i);
        values[i] = bits % 19 == 0 ? -INFINITY : (float)(bits % 4093) / 64 - 40;
    }
}

static void compare(int n, int most, bool bounded, uint64_t seed)
{
    static float values[most_values];
    static ranked all[most_values];
    int32_t tokens[most_best];
    float scores[most_best];
    fill(values, n, seed);
    const ksk_norm norm = ksk_row_norm(values, n);
    const float base = -3.7F;
    for (int i = 0; i < n; i++)
        all[i] = (ranked){i, base + (values[i] - norm.largest - norm.log_sum)};
    qsort(all, (size_t)n, sizeof *all, by_score);
    const float least = bounded ? all[n > 12 ? 12 : 0].score : -INFINITY;
    int expected = 0;
    while (expected < most && expected < n && all[expected].score > least)
        expected++;
    assert_int_equal(ksk_best_tokens(values, n, norm, base, most, least, tokens, scores), expected);
    for (int i = 0; i < expected; i++) {
        assert_int_equal(tokens[i], all[i].token);
        assert_true(scores[i] == all[i].score);
    }
}

static void test_best(void **state)
{
    (void)state;
    const int sizes[] = {3, 63, 64, 65, 130, 4096, 4097, 9001}, mosts[] = {1, 2, 10, 40};
    for (int s = 0; s < 8; s++)
        for (int m = 0; m < 4; m++) {
            compare(sizes[s], mosts[m], false, (uint64_t)(s * 7 + m));
            compare(sizes[s], mosts[m], true, (uint64_t)(s * 7 + m + 100));
        }
}

static void test_none(void **state)
{
    (void)state;
    float values[70];
    int32_t token;
    float score;
    for (int i = 0; i < 70; i++)
        values[i] = -INFINITY;
    const ksk_norm none = {0, 0};
    assert_int_equal(ksk_best_tokens(values, 70, none, 0, 1, -INFINITY, &token, &score), 0);
    values[69] = NAN;
    assert_int_equal(ksk_best_tokens(values, 70, none, 0, 1, -INFINITY, &token, &score), 0);
    values[68] = -50;
    assert_int_equal(ksk_best_tokens(values, 70, none, 0, 1, -INFINITY, &token, &score), 1);
    assert_true(token == 68 && score == -50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_best), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
