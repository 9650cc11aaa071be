/* A vocabulary that kaskad trains gives every text back, and repeats itself. */
#include "rows.h"

#include <unistd.h>

#include "kaskad/memory.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

typedef struct lines {
    char *list[4000];
    size_t count;
} lines;

/* Lines in Latin letters: few characters, so that the vocabulary may be small, and the other lines
 * have characters that it has never seen. */
static bool is_latin(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0xC4)
            return false;
    return true;
}

static void take_line(void *context, const json_t *row)
{
    lines *all = context;
    size_t length;
    const char *text = cell(row, 0, &length);
    if (is_latin(text, length))
        all->list[all->count++] = ksk_strdup(text);
}

static lines latin_lines(void)
{
    lines all = {.count = 0};
    each_row("tokenizer/hard.jsonl", take_line, &all);
    assert_true(all.count > 500);
    return all;
}

static void free_lines(lines *all)
{
    for (size_t i = 0; i < all->count; i++)
        ksk_free(all->list[i]);
}

static void *train(const ksk_sentencepiece_options *options, size_t *size)
{
    lines all = latin_lines();
    ksk_error err = {0};
    void *model =
        ksk_sentencepiece_train((const char *const *)all.list, all.count, options, size, &err);
    if (!model)
        fail_msg("%s", err.message);
    free_lines(&all);
    return model;
}

static const char *const written[] = {"source.spm", "target.spm", "vocab.json",
                                      "tokenizer_config.json"};

/* A tokenizer of the model, written to a directory of its own and read back. */
static ksk_tokenizer *write_and_load(const void *model, size_t size, bool lossless, char *directory)
{
    strcpy(directory, "/tmp/kaskad-lossless-XXXXXX");
    assert_non_null(mkdtemp(directory));
    ksk_tokenizer_options options = ksk_tokenizer_defaults();
    options.lossless = lossless;
    options.source_language = "deu";
    ksk_error err = {0};
    if (!ksk_tokenizer_write(directory, model, size, &options, &err))
        fail_msg("%s", err.message);
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(directory, &err);
    if (!tokenizer)
        fail_msg("%s", err.message);
    return tokenizer;
}

static void remove_files(const char *directory)
{
    char path[1000];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, written[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(directory), 0);
}

static void expect_round_trip(const ksk_tokenizer *tokenizer, const char *text, size_t length)
{
    ksk_ids ids = {0};
    assert_true(ksk_tokenizer_encode_target(tokenizer, text, length, &ids, NULL, NULL));
    size_t got_length = 0;
    char *got = ksk_tokenizer_decode_bytes(tokenizer, ids.ids, ids.count, &got_length, NULL);
    assert_non_null(got);
    if (got_length != length || memcmp(got, text, length))
        fail_msg("\"%s\" [%zu] became \"%s\" [%zu]", text, length, got, got_length);
    for (size_t i = 0; i < ids.count; i++)
        assert_int_not_equal(ids.ids[i], ksk_tokenizer_unknown_id(tokenizer));
    ksk_free(got);
    ksk_free(ids.ids);
}

static void check_row(void *context, const json_t *row)
{
    size_t length;
    const char *text = cell(row, 0, &length);
    expect_round_trip(context, text, length);
}

static void round_trip(const ksk_sentencepiece_options *options)
{
    size_t size;
    char directory[64];
    void *model = train(options, &size);
    ksk_tokenizer *tokenizer = write_and_load(model, size, true, directory);
    assert_int_equal(ksk_tokenizer_size(tokenizer), options->vocabulary);
    each_row("tokenizer/hard.jsonl", check_row, tokenizer);
    const char nul[] = "a\0b \0\0 \0";
    expect_round_trip(tokenizer, nul, sizeof nul - 1);
    const char escapes[] =
        "\xEF\xB7\x90\xEF\xB7\x91\xE2\x96\x81\xEF\xB7\x90\xEF\xB7\x90\xEF\xB7\x91";
    expect_round_trip(tokenizer, escapes, sizeof escapes - 1);
    ksk_tokenizer_free(tokenizer);
    ksk_free(model);
    remove_files(directory);
}

static void unigram_gives_every_line_back(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.vocabulary = 560;
    options.coverage = 0.98;
    round_trip(&options);
}

static void byte_pairs_give_every_line_back(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.bpe = true;
    options.vocabulary = 650;
    options.coverage = 0.98;
    options.split_digits = true;
    options.symbols = (const char *const[]){"<ph>", "a,\"b"};
    options.symbol_count = 2;
    round_trip(&options);
}

static void training_repeats(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.vocabulary = 500;
    options.coverage = 0.98;
    options.soft_limit = true;
    size_t first_size, second_size;
    void *first = train(&options, &first_size), *second = train(&options, &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    ksk_free(first);
    ksk_free(second);
}

static bool count_piece(void *context, const char *piece, size_t length)
{
    *(int *)context += length == 4 && !memcmp(piece, "<ph>", 4);
    return true;
}

static void symbols_are_one_piece(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.vocabulary = 600;
    options.coverage = 0.98;
    options.symbols = (const char *const[]){"<ph>"};
    options.symbol_count = 1;
    size_t size;
    void *bytes = train(&options, &size);
    ksk_sentencepiece *model = ksk_sentencepiece_load(bytes, size, "test", NULL);
    assert_non_null(model);
    assert_int_equal(ksk_sentencepiece_size(model), 600);
    assert_string_equal(ksk_sentencepiece_piece(model, 2), "</s>");
    assert_int_equal(ksk_sentencepiece_id(model, "<pad>"), 3);
    assert_null(ksk_sentencepiece_piece(model, 600));
    int found = 0;
    assert_true(ksk_sentencepiece_encode(model, "x<ph><ph> y", 11, count_piece, &found, NULL));
    assert_int_equal(found, 2);
    ksk_sentencepiece_free(model);
    ksk_free(bytes);
}

typedef struct comparison {
    const ksk_tokenizer *tokenizer;
    int differences; /* between kaskad's ids and the reference's */
} comparison;

static bool equals_spelled(const ksk_ids *ids, const char *spelled)
{
    for (size_t i = 0; i < ids->count; i++) {
        char *end;
        if (strtol(spelled, &end, 36) != ids->ids[i] || end == spelled)
            return false;
        spelled = end;
    }
    return !*spelled;
}

/* Where tokenizer.h says that transformers reads a source differently. */
static bool may_differ(const char *text)
{
    return strstr(text, "\xE2\x96\x81") || strstr(text, "\xEF\xB7\x90") ||
           (!strncmp(text, ">>", 2) && strstr(text, "<<"));
}

static void compare_row(void *context, const json_t *row)
{
    comparison *compared = context;
    size_t length, ignored;
    const char *text = cell(row, 0, &length), *decoded = cell(row, 2, &ignored);
    ksk_ids ids = {0};
    assert_true(ksk_tokenizer_encode_source(compared->tokenizer, text, length, &ids, NULL, NULL));
    const bool equal = equals_spelled(&ids, cell(row, 1, &ignored));
    if (equal == may_differ(text))
        fail_msg("\"%s\": ids are %s", text, equal ? "equal" : "different");
    compared->differences += !equal;
    /* The reference's text is the line without white space at its ends. */
    if (equal && decoded)
        assert_non_null(strstr(text, decoded));
    ksk_free(ids.ids);
    expect_round_trip(compared->tokenizer, text, length);
}

static void ids_equal_the_reference_on_ordinary_text(void **state)
{
    (void)state;
    ksk_error err = {0};
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(KSK_FIXTURES "/tokenizer/lossless", &err);
    if (!tokenizer)
        fail_msg("%s", err.message);
    comparison compared = {tokenizer, 0};
    assert_int_equal(each_row("tokenizer/lossless.jsonl", compare_row, &compared), 700);
    assert_in_range(compared.differences, 10, 100);
    ksk_tokenizer_free(tokenizer);
}

/* A ">>language<<" prefix counts in a source when the vocabulary has it. */
static void known_language_codes_count(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.vocabulary = 500;
    options.coverage = 0.98;
    options.symbols = (const char *const[]){">>eng<<"};
    options.symbol_count = 1;
    size_t size;
    void *model = train(&options, &size);
    char directory[64];
    ksk_tokenizer *tokenizer = write_and_load(model, size, true, directory);
    ksk_ids ids = {0};
    assert_true(ksk_tokenizer_encode_source(tokenizer, ">>eng<<Tom", 10, &ids, NULL, NULL));
    assert_int_equal(ids.ids[0], 4);
    ids.count = 0;
    assert_true(ksk_tokenizer_encode_source(tokenizer, ">>deu<<Tom", 10, &ids, NULL, NULL));
    assert_int_not_equal(ids.ids[0], ksk_tokenizer_unknown_id(tokenizer));
    expect_round_trip(tokenizer, ">>eng<<Tom", 10);
    ksk_free(ids.ids);
    ksk_tokenizer_free(tokenizer);
    ksk_free(model);
    remove_files(directory);
}

static void saving_copies_the_files(void **state)
{
    (void)state;
    ksk_error err = {0};
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(KSK_SOURCE "/models/tatoeba-deu-eng", &err);
    assert_non_null(tokenizer);
    char directory[] = "/tmp/kaskad-save-XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_true(ksk_tokenizer_save(tokenizer, directory, &err));
    ksk_tokenizer *copy = ksk_tokenizer_load(directory, &err);
    assert_non_null(copy);
    assert_int_equal(ksk_tokenizer_size(copy), ksk_tokenizer_size(tokenizer));
    ksk_tokenizer_free(copy);
    ksk_tokenizer_free(tokenizer);
    remove_files(directory);
}

static void expect_refusal(const char *line, const ksk_sentencepiece_options *options)
{
    ksk_error err = {0};
    size_t size;
    assert_null(ksk_sentencepiece_train(&line, 1, options, &size, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_true(strlen(err.message) > 10);
}

static void impossible_trainings_are_refused(void **state)
{
    (void)state;
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    expect_refusal("", &options);
    expect_refusal("one line cannot fill eight thousand pieces", &options);
    options.vocabulary = 100;
    expect_refusal("too small for the bytes", &options);
    options.vocabulary = -4;
    expect_refusal("no vocabulary", &options);
    options.vocabulary = 270;
    options.normalizer = "none of these";
    expect_refusal("no such normaliser", &options);
    options.normalizer = "identity";
    options.coverage = 0.5;
    expect_refusal("coverage", &options);
}

static void broken_models_are_refused(void **state)
{
    (void)state;
    ksk_error err = {0};
    assert_null(ksk_sentencepiece_load("no model", 8, "broken.spm", &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, "broken.spm"));
    assert_null(ksk_sentencepiece_load("", 0, "empty.spm", &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unigram_gives_every_line_back),
        cmocka_unit_test(byte_pairs_give_every_line_back),
        cmocka_unit_test(training_repeats),
        cmocka_unit_test(symbols_are_one_piece),
        cmocka_unit_test(ids_equal_the_reference_on_ordinary_text),
        cmocka_unit_test(known_language_codes_count),
        cmocka_unit_test(saving_copies_the_files),
        cmocka_unit_test(impossible_trainings_are_refused),
        cmocka_unit_test(broken_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
