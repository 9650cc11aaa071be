/* Greedy, beam search and sampling against what transformers decoded from the same tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "decode/run.h"

enum { most_ids = 16 };

typedef struct ids {
    int32_t list[most_ids];
    int count;
} ids;

static ids read_ids(const json_t *array)
{
    ids read = {.count = (int)json_array_size(array)};
    assert_true(read.count <= most_ids);
    for (int i = 0; i < read.count; i++)
        read.list[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return read;
}

static void set_int(const json_t *o, const char *name, int *field)
{
    if (json_object_get(o, name))
        *field = (int)json_integer_value(json_object_get(o, name));
}

static void set_float(const json_t *o, const char *name, float *field)
{
    if (json_object_get(o, name))
        *field = (float)json_number_value(json_object_get(o, name));
}

static uint64_t read_word(const json_t *o, const char *name)
{
    const json_t *const text = json_object_get(o, name);
    return text ? strtoull(json_string_value(text), NULL, 10) : 0;
}

static ksk_decode_options read_options(const json_t *o, ids *prefix, ids *banned)
{
    ksk_decode_options options = ksk_decode_defaults();
    int early_stopping = 0;
    options.max_length = 14;
    set_int(o, "beams", &options.beams);
    set_int(o, "n_best", &options.n_best);
    set_float(o, "length_penalty", &options.length_penalty);
    set_int(o, "early_stopping", &early_stopping);
    options.early_stopping = (ksk_early_stopping)early_stopping;
    set_float(o, "temperature", &options.temperature);
    set_int(o, "top_k", &options.top_k);
    set_float(o, "top_p", &options.top_p);
    options.seed = read_word(o, "seed");
    set_int(o, "max_length", &options.max_length);
    set_int(o, "min_length", &options.min_length);
    set_int(o, "no_repeat_ngram", &options.no_repeat_ngram);
    set_float(o, "repetition_penalty", &options.repetition_penalty);
    set_int(o, "forced_first", &options.forced_first);
    set_int(o, "forced_last", &options.forced_last);
    options.renormalize = json_is_true(json_object_get(o, "renormalize"));
    *prefix = read_ids(json_object_get(o, "prefix"));
    *banned = read_ids(json_object_get(o, "banned"));
    options.prefix = prefix->list;
    options.prefix_length = prefix->count;
    options.banned = banned->list;
    options.banned_count = banned->count;
    return options;
}

static table read_table(const json_t *root, const json_t *c)
{
    const size_t index = (size_t)json_integer_value(json_object_get(c, "table"));
    const ids key = read_ids(json_array_get(json_object_get(root, "tables"), index));
    assert_int_equal(key.count, 4);
    return (table){(uint32_t)key.list[0], key.list[1], key.list[2], key.list[3]};
}

static void check_hypothesis(const ksk_hypothesis *h, const json_t *expected,
                             const ksk_decode_options *options, bool beam, size_t number)
{
    const json_t *const list = json_array_get(expected, 0);
    const double score = json_number_value(json_array_get(expected, 1));
    bool same = h->length == (int)json_array_size(list);
    for (int i = 0; same && i < h->length; i++)
        same = h->ids[i] == json_integer_value(json_array_get(list, (size_t)i));
    if (!same)
        fail_msg("case %zu: other tokens than the reference", number);
    if (fabs(h->score - score) > 1e-4)
        fail_msg("case %zu: score %.6f, reference %.6f", number, h->score, score);
    const double length = h->length - options->prefix_length;
    const double scale = beam ? pow(length, (double)options->length_penalty) : 1;
    assert_true(fabs(h->log_prob - h->score * scale) < 1e-4);
    assert_int_equal(h->finished, h->ids[h->length - 1] == table_end);
}

/* All sentences at once as the reference did, then each alone with the same bits. */
static void check_case(const json_t *root, const json_t *c, size_t number)
{
    const json_t *const o = json_object_get(c, "options");
    const json_t *const sources = json_object_get(root, "sources");
    const json_t *const expected = json_object_get(c, "results");
    const char *const name = json_string_value(json_object_get(o, "decoder"));
    ids prefix, banned, read[3];
    const ksk_decode_options options = read_options(o, &prefix, &banned);
    const int32_t *pointers[3];
    int lengths[3];
    for (int i = 0; i < 3; i++) {
        read[i] = read_ids(json_array_get(sources, (size_t)i));
        pointers[i] = read[i].list;
        lengths[i] = read[i].count;
    }
    const ksk_decoder *const decoder = ksk_decoder_find(name);
    const uint64_t first = read_word(o, "first");
    table_scorer *const scorer = table_scorer_new(read_table(root, c));
    assert_non_null(scorer);
    ksk_nbest results[3] = {{0}};
    ksk_error err = {0};
    if (!decoder->decode(&scorer->base, 3, pointers, lengths, &options,
                         (const uint64_t[]){first, first + 1, first + 2}, results, &err))
        fail_msg("case %zu: %s", number, err.message);
    for (int i = 0; i < 3; i++) {
        const json_t *const sentence = json_array_get(expected, (size_t)i);
        assert_int_equal(results[i].count, (int)json_array_size(sentence));
        for (int j = 0; j < results[i].count; j++)
            check_hypothesis(&results[i].hypotheses[j], json_array_get(sentence, (size_t)j),
                             &options, strcmp(name, "beam") == 0, number);
        ksk_nbest alone = {0};
        assert_true(decoder->decode(&scorer->base, 1, pointers + i, lengths + i, &options,
                                    &(const uint64_t){first + (uint64_t)i}, &alone, &err));
        assert_same_nbest(&alone, &results[i]);
        ksk_nbest_clear(&alone);
        ksk_nbest_clear(&results[i]);
    }
    scorer->base.free(&scorer->base);
}

static void check_file(const char *path, size_t least)
{
    json_t *const root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    const json_t *const cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) >= least);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(root, json_array_get(cases, i), i);
    json_decref(root);
}

static void test_search(void **state)
{
    check_file(KSK_FIXTURES "/decode/search.json", 500);
}

static void test_sample(void **state)
{
    check_file(KSK_FIXTURES "/decode/sample.json", 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
