#include <math.h>

#include "fault.h"
#include "kaskad/random.h"

/* Random123's first known answer for philox4x32-10: key and counter all zeros. */
static void test_known_answer(void **state)
{
    static const uint32_t expected[] = {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8};
    const ksk_key zero = {0};
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(ksk_random_bits(zero, i), expected[i]);
}

/* Philox-4x32-10 once more, straight from the paper's figure, on whole blocks. */
static void reference(const uint32_t key[2], uint32_t counter[4])
{
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; round++, k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u) {
        const uint64_t left = (uint64_t)counter[0] * 0xD2511F53u;
        const uint64_t right = (uint64_t)counter[2] * 0xCD9E8D57u;
        counter[0] = (uint32_t)(right >> 32) ^ counter[1] ^ k[0];
        counter[2] = (uint32_t)(left >> 32) ^ counter[3] ^ k[1];
        counter[1] = (uint32_t)right;
        counter[3] = (uint32_t)left;
    }
}

static void test_reference(void **state)
{
    /* Random123's third known answer, to pin the reference itself. */
    uint32_t digits[] = {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344};
    reference((const uint32_t[]){0xA4093822, 0x299F31D0}, digits);
    assert_int_equal(digits[0], 0xD16CFE09);
    assert_int_equal(digits[1], 0x94FDCCEB);
    assert_int_equal(digits[2], 0x5001E420);
    assert_int_equal(digits[3], 0x24126EA1);

    const ksk_key key = {0x299F31D0A4093822};
    const uint64_t block = 0x05A308D3243F6A88; /* a counter of words must not overflow */
    uint32_t words[] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    reference((const uint32_t[]){0xA4093822, 0x299F31D0}, words);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(ksk_random_bits(key, 4 * block + i), words[i]);

    uint32_t split[] = {5, 0, 1, 0};
    reference((const uint32_t[]){0xA4093822, 0x299F31D0}, split);
    assert_true(ksk_key_split(key, 5).word == ((uint64_t)split[1] << 32 | split[0]));
}

typedef struct moments {
    double mean, variance, fourth, neighbours; /* the last: correlation of successive numbers */
} moments;

typedef double draw(ksk_key key, uint64_t counter);

static double uniform(ksk_key key, uint64_t counter)
{
    return ksk_random_uniform(key, counter) - 0.5;
}

static double uniform_double(ksk_key key, uint64_t counter)
{
    return ksk_random_uniform_double(key, counter) - 0.5;
}

static double normal(ksk_key key, uint64_t counter)
{
    return ksk_random_normal(key, counter);
}

static double first_of_child(ksk_key key, uint64_t counter)
{
    return ksk_random_normal(ksk_key_split(key, counter), 0);
}

enum { draws = 200000 };

static moments measure(draw *function, ksk_key key)
{
    moments sum = {0};
    double before = 0;
    for (uint64_t i = 0; i < draws; i++) {
        const double x = function(key, i), square = x * x;
        sum.mean += x / draws;
        sum.variance += square / draws;
        sum.fourth += square * square / draws;
        sum.neighbours += x * before / draws;
        before = x;
    }
    sum.neighbours /= sum.variance;
    return sum;
}

/* Five standard errors everywhere; the seeds are fixed, so this never fails by chance. */
static void expect_moments(draw *function, double variance, double fourth, double fourth_error)
{
    const double root = sqrt(draws);
    for (uint64_t seed = 0; seed < 3; seed++) {
        const moments found = measure(function, ksk_key_from_seed(seed));
        assert_true(fabs(found.mean) < 5 * sqrt(variance) / root);
        assert_true(fabs(found.variance - variance) <
                    5 * sqrt(fourth - variance * variance) / root);
        assert_true(fabs(found.fourth - fourth) < 5 * fourth_error / root);
        assert_true(fabs(found.neighbours) < 5 / root);
    }
}

static void test_statistics(void **state)
{
    const double uniform_error = sqrt(1.0 / 2304 - 1.0 / 6400);
    expect_moments(uniform, 1.0 / 12, 1.0 / 80, uniform_error);
    expect_moments(uniform_double, 1.0 / 12, 1.0 / 80, uniform_error);
    expect_moments(normal, 1, 3, sqrt(96));
    expect_moments(first_of_child, 1, 3, sqrt(96));
}

static void test_ranges(void **state)
{
    const ksk_key key = ksk_key_from_seed(1);
    for (uint64_t i = 0; i < draws; i++) {
        const float x = ksk_random_uniform(key, i);
        const double y = ksk_random_uniform_double(key, i);
        assert_true(x >= 0 && x < 1 && y >= 0 && y < 1);
        assert_true(x * 0x1p24f == floorf(x * 0x1p24f));
        assert_true(isfinite(ksk_random_normal(key, i)));
    }
}

/* Every bit of every word is set half of the time, for draws and for keys. */
static void test_bits(void **state)
{
    const ksk_key key = ksk_key_from_seed(2);
    int drawn[32] = {0}, split[64] = {0};
    enum { rounds = 40000 };
    for (uint64_t i = 0; i < rounds; i++) {
        const uint32_t word = ksk_random_bits(key, i);
        const uint64_t child = ksk_key_split(key, i).word;
        for (int bit = 0; bit < 64; bit++) {
            drawn[bit % 32] += bit < 32 && (word >> bit & 1);
            split[bit] += (int)(child >> bit & 1);
        }
    }
    const int slack = 5 * 100; /* five standard errors */
    for (int bit = 0; bit < 64; bit++) {
        assert_in_range(drawn[bit % 32], rounds / 2 - slack, rounds / 2 + slack);
        assert_in_range(split[bit], rounds / 2 - slack, rounds / 2 + slack);
    }
}

/* Parents, children and grandchildren do not move together. */
static void test_split_is_independent(void **state)
{
    const ksk_key parent = ksk_key_from_seed(3);
    const ksk_key keys[] = {parent, ksk_key_split(parent, 0), ksk_key_split(parent, 1),
                            ksk_key_split(ksk_key_split(parent, 0), 0), ksk_key_from_seed(4)};
    const int count = (int)(sizeof keys / sizeof *keys);
    for (int a = 0; a < count; a++)
        for (int b = 0; b < a; b++) {
            double product = 0;
            assert_true(keys[a].word != keys[b].word);
            for (uint64_t i = 0; i < draws; i++)
                product += (double)ksk_random_normal(keys[a], i) * ksk_random_normal(keys[b], i);
            assert_true(fabs(product) / draws < 5 / sqrt(draws));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer), cmocka_unit_test(test_reference),
        cmocka_unit_test(test_statistics),   cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_bits),         cmocka_unit_test(test_split_is_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
