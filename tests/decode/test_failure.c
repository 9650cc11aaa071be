/* Wrong options are refused by name before any work; an allocation that fails is an error and
 * leaks nothing, whichever it is. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode/run.h"
#include "kaskad/memory.h"

static run_sources sources;
static const table small = {41, 33, 6, 1};

/* --- options --- */

static void refuse(const char *decoder, ksk_decode_options options, const char *message)
{
    table_scorer *const scorer = table_scorer_new(small);
    ksk_nbest result = {0};
    ksk_error err = {0};
    assert_false(ksk_decoder_find(decoder)->decode(&scorer->base, 1, sources.pointers,
                                                   sources.lengths, &options, 0, &result, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    assert_int_equal(scorer->steps, 0);
    assert_null(result.hypotheses);
    scorer->base.free(&scorer->base);
}

#define REFUSE(decoder, field, value, message)                                                     \
    do {                                                                                           \
        ksk_decode_options options = ksk_decode_defaults();                                        \
        options.field = (value);                                                                   \
        refuse(decoder, options, message);                                                         \
    } while (0)

static void test_search_options(void **state)
{
    REFUSE("beam", beams, 0, "beams is 0");
    REFUSE("beam", beams, 5000, "beams is 5000");
    REFUSE("beam", n_best, 0, "n_best is 0");
    REFUSE("beam", n_best, 2, "n_best is 2 but beams is 1");
    REFUSE("greedy", n_best, 2, "n_best is 2");
    REFUSE("beam", length_penalty, NAN, "length_penalty");
    REFUSE("beam", length_penalty, INFINITY, "length_penalty");
    REFUSE("beam", early_stopping, (ksk_early_stopping)3, "early_stopping is 3");
    REFUSE("beam", length_rule, (ksk_length_rule)2, "length_rule is 2");
}

static void test_too_many(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.n_best = INT_MAX;
    ksk_nbest results[2] = {{0}};
    ksk_error err = {0};
    assert_false(run_decoder("sample", small, &options, &sources, 0, 2, results, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "too many"));
}

static void test_sampling_options(void **state)
{
    REFUSE("sample", temperature, -0.5f, "temperature is -0.5");
    REFUSE("sample", temperature, NAN, "temperature");
    REFUSE("sample", temperature, INFINITY, "temperature");
    REFUSE("sample", temperature, 0, "use the greedy decoder");
    REFUSE("sample", top_k, -1, "top_k is -1");
    REFUSE("sample", top_p, 0, "top_p is 0");
    REFUSE("sample", top_p, 1.5f, "top_p is 1.5");
    REFUSE("sample", top_p, NAN, "top_p");
}

static void test_constraint_options(void **state)
{
    static const int32_t outside[] = {4, 33}, negative[] = {-1};
    REFUSE("greedy", max_length, 49, "max_length is 49");
    REFUSE("greedy", max_length, -1, "max_length is -1");
    REFUSE("greedy", max_length, 1, "max_length 1 leaves no room");
    REFUSE("greedy", min_length, -1, "min_length is -1");
    REFUSE("greedy", min_length, 49, "min_length is 49");
    REFUSE("greedy", no_repeat_ngram, -1, "no_repeat_ngram is -1");
    REFUSE("greedy", repetition_penalty, 0, "repetition_penalty is 0");
    REFUSE("greedy", repetition_penalty, NAN, "repetition_penalty");
    REFUSE("greedy", forced_first, 33, "forced_first is 33");
    REFUSE("greedy", forced_last, -2, "forced_last is -2");
    REFUSE("greedy", prefix_length, -1, "prefix_length is -1");
    REFUSE("greedy", prefix_length, 47, "max_length 48 leaves no room");
    REFUSE("greedy", prefix_length, 2, "prefix has 2 tokens but no list");
    REFUSE("greedy", banned_count, -1, "banned has -1 tokens");
    REFUSE("greedy", processor_count, 1, "processor_count is 1");
    ksk_decode_options options = ksk_decode_defaults();
    options.prefix = outside;
    options.prefix_length = 2;
    refuse("beam", options, "prefix holds token 33");
    options = ksk_decode_defaults();
    options.banned = negative;
    options.banned_count = 1;
    refuse("sample", options, "banned holds token -1");
    const ksk_processor nothing = {"nothing", NULL, NULL};
    options = ksk_decode_defaults();
    options.processors = &nothing;
    options.processor_count = 1;
    refuse("sample", options, "processors[0]");
}

/* What a decoder does not use may be anything in range. */
static void test_ignored_options(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = 4;
    options.temperature = 0;
    ksk_nbest greedy = {0};
    assert_true(run_decoder("greedy", small, &options, &sources, 0, 1, &greedy, NULL));
    assert_int_equal(greedy.count, 1);
    ksk_nbest_clear(&greedy);
}

/* --- the scorer's own errors come through --- */

static void test_scorer_errors(void **state)
{
    const ksk_decode_options options = ksk_decode_defaults();
    const int none[] = {2, 0};
    for (int d = 0; ksk_decoder_at(d)->decode; d++) { /* left to right come first */
        table_scorer *const scorer = table_scorer_new(small);
        ksk_nbest results[2] = {{0}};
        ksk_error err = {0};
        assert_false(ksk_decoder_at(d)->decode(&scorer->base, 2, sources.pointers, none, &options,
                                               0, results, &err));
        assert_string_equal(err.message, "source 1 has 0 tokens");
        assert_null(results[0].hypotheses);
        scorer->base.free(&scorer->base);
    }
}

/* --- memory --- */

typedef struct budget {
    long left; /* allocations that succeed */
    long live;
} budget;

static void *spend(void *context, size_t size)
{
    budget *const b = context;
    if (b->left-- <= 0)
        return NULL;
    b->live++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void refund(void *context, void *memory)
{
    if (memory)
        ((budget *)context)->live--;
    free(memory);
}

/* Returns whether it succeeded with `left` allocations. */
static bool attempt(const char *decoder, const ksk_decode_options *options, long left)
{
    budget b = {.left = left};
    const ksk_allocator allocator = {spend, refund, &b};
    ksk_nbest results[3] = {{0}};
    ksk_error err = {0};
    ksk_allocator_set(&allocator);
    const bool ok = run_decoder(decoder, small, options, &sources, 0, 3, results, &err);
    if (!ok) {
        assert_int_equal(err.status, KSK_OUT_OF_MEMORY);
        assert_int_equal(b.live, 0);
    }
    for (int i = 0; i < 3; i++)
        ksk_nbest_clear(&results[i]);
    assert_int_equal(b.live, 0);
    ksk_allocator_set(NULL);
    return ok;
}

static void test_memory(void **state)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.max_length = 15;
    options.top_k = 9;
    options.top_p = 0.9f;
    options.beams = 3;
    options.repetition_penalty = 1.1f;
    static const char *const names[] = {"greedy", "beam", "sample"};
    for (int d = 0; d < 3; d++) {
        options.n_best = d == 0 ? 1 : 3;
        long left = 0;
        while (!attempt(names[d], &options, left))
            left++;
        assert_true(left > 15);
    }
}

int main(void)
{
    run_sources_fill(&sources);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search_options),   cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_sampling_options), cmocka_unit_test(test_constraint_options),
        cmocka_unit_test(test_ignored_options),  cmocka_unit_test(test_scorer_errors),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
