#include <math.h>
#include <string.h>
#include <zlib.h>

#include "data/corpus.h"
#include "io/directory.h"

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

static bool read_files(const char *source, const char *target, int64_t limit, ksk_corpus *corpus,
                       ksk_error *err)
{
    char *first = ksk_path(directory, source),
         *second = target ? ksk_path(directory, target) : NULL;
    const bool ok = ksk_corpus_read(first, second, limit, corpus, err);
    ksk_free(first);
    ksk_free(second);
    return ok;
}

static void assert_pair(const ksk_corpus *corpus, size_t pair, const char *source,
                        const char *target)
{
    assert_true(pair < corpus->count);
    assert_string_equal(ksk_corpus_source(corpus, pair), source);
    assert_string_equal(ksk_corpus_target(corpus, pair), target);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static void test_tsv(void **state)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    put_text("a.tsv", "eins\tone\r\nzwei drei\t two three\nvier\tfour");
    assert_true(read_files("a.tsv", NULL, 0, &corpus, &err));
    assert_int_equal(corpus.count, 3);
    assert_pair(&corpus, 0, "eins", "one");
    assert_pair(&corpus, 1, "zwei drei", " two three");
    assert_pair(&corpus, 2, "vier", "four");
    ksk_corpus_clear(&corpus);
    assert_true(read_files("a.tsv", NULL, 2, &corpus, &err));
    assert_int_equal(corpus.count, 2);
    ksk_corpus_clear(&corpus);
}

static bool read_sources(const char *name, int64_t limit, ksk_corpus *corpus, ksk_error *err)
{
    char *path = ksk_path(directory, name);
    const bool ok = ksk_corpus_read_sources(path, limit, corpus, err);
    ksk_free(path);
    return ok;
}

static void refuse_sources(const char *text, const char *message)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    put_text("s.txt", text);
    assert_false(read_sources("s.txt", 0, &corpus, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_non_null(strstr(err.message, message));
    ksk_corpus_clear(&corpus);
}

static void test_sources(void **state)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    put_text("s.txt", "eins\r\n zwei drei\nvier");
    assert_true(read_sources("s.txt", 0, &corpus, &err));
    assert_int_equal(corpus.count, 3);
    assert_pair(&corpus, 0, "eins", "");
    assert_pair(&corpus, 1, " zwei drei", "");
    assert_pair(&corpus, 2, "vier", "");
    ksk_corpus_clear(&corpus);
    assert_true(read_sources("s.txt", 1, &corpus, &err));
    assert_int_equal(corpus.count, 1);
    ksk_corpus_clear(&corpus);
    refuse_sources("eins\nzwei\ttwo\n", "s.txt:2: a tab in a source");
    refuse_sources("eins\n\nzwei\n", "s.txt:2: the source is empty");
    refuse_sources("", "holds no sentence");
    assert_false(read_sources("none.txt", 0, &corpus, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
}

static void test_two_files(void **state)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    put_text("a.de", "eins\nzwei\tdrei\n");
    put_text("a.en", "one\ntwo three\n");
    assert_true(read_files("a.de", "a.en", 0, &corpus, &err));
    assert_int_equal(corpus.count, 2);
    assert_pair(&corpus, 1, "zwei\tdrei", "two three");
    ksk_corpus_clear(&corpus);
}

/* Many blocks' worth, so that lines lie across their borders. */
static void test_gzip(void **state)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    char *path = ksk_path(directory, "many.gz");
    gzFile file = gzopen(path, "wb");
    for (int i = 0; i < 30000; i++)
        gzprintf(file, "Satz %d\tsentence %d\n", i, i);
    gzclose(file);
    assert_true(read_files("many.gz", NULL, 0, &corpus, &err));
    assert_int_equal(corpus.count, 30000);
    assert_pair(&corpus, 29999, "Satz 29999", "sentence 29999");
    ksk_corpus_clear(&corpus);

    size_t size;
    char *bytes = ksk_file_read(path, 1 << 24, &size, &err);
    put_file("cut.gz", bytes, size - 100);
    assert_false(read_files("cut.gz", NULL, 0, &corpus, &err));
    assert_non_null(strstr(err.message, "cut.gz is a damaged gzip file"));
    ksk_corpus_clear(&corpus);
    ksk_free(bytes);
    ksk_free(path);
}

/* --- refusing -----------------------------------------------------------------------------------
 */

static void assert_refused(const char *source, const char *target, ksk_status status,
                           const char *part)
{
    ksk_corpus corpus = {0};
    ksk_error err = {0};
    assert_false(read_files(source, target, 0, &corpus, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
    ksk_corpus_clear(&corpus);
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *text, *part;
    } bad[] = {{"a\tb\nc d\n", "bad.tsv:2: no tab"},
               {"a\tb\n\nc\td\n", "bad.tsv:2: no tab"},
               {"a\tb\tc\n", "bad.tsv:1: more than one tab"},
               {"a\tb\nc\t \n", "bad.tsv:2: the target is empty"},
               {"\tb\n", "bad.tsv:1: the source is empty"},
               {"a\tb\na\tb\na\tb\xff\n", "bad.tsv:3: not UTF-8"},
               {"", "holds no sentence pair"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("bad.tsv", bad[i].text);
        assert_refused("bad.tsv", NULL, KSK_BAD_FORMAT, bad[i].part);
    }
    put_file("bad.tsv", "a\tb\na\0\tb\n", 9);
    assert_refused("bad.tsv", NULL, KSK_BAD_FORMAT, "bad.tsv:2: a NUL byte");
    assert_refused("missing.tsv", NULL, KSK_BAD_FILE, "missing.tsv: No such file");
}

static void test_unequal_files(void **state)
{
    put_text("long", "a\nb\nc\n");
    put_text("short", "a\nb\n");
    assert_refused("long", "short", KSK_BAD_FORMAT, "long:3: the file of the other side has no");
    assert_refused("short", "long", KSK_BAD_FORMAT, "long:3: the file of the other side has no");
    put_text("hole", "a\n\nc\n");
    assert_refused("long", "hole", KSK_BAD_FORMAT, "hole:2: the target is empty");
    assert_refused("hole", "long", KSK_BAD_FORMAT, "hole:2: the source is empty");
}

static void test_endless_line(void **state)
{
    const size_t size = (1 << 20) + 9;
    char *text = ksk_malloc(size);
    memset(text, 'a', size);
    memcpy(text, "a\tb\n", 4);
    put_file("endless.tsv", text, size);
    ksk_free(text);
    assert_refused("endless.tsv", NULL, KSK_BAD_FORMAT, "endless.tsv:2: a line of more than 1 MB");
}

/* --- encoding -----------------------------------------------------------------------------------
 */

static void test_encodes(void **state)
{
    ksk_corpus corpus = {0};
    ksk_pairs pairs = {0};
    ksk_error err = {0};
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(KSK_SOURCE "/models/tatoeba-deu-eng", &err);
    assert_non_null(tokenizer);
    put_text("a.tsv", "Guten Morgen!\tGood morning!\n"
                      "Ja. Ja. Ja. Ja. Ja. Ja. Ja. Ja. Ja.\tYes.\nNein.\tNo.\n");
    assert_true(read_files("a.tsv", NULL, 0, &corpus, &err));
    assert_true(ksk_pairs_encode(&corpus, tokenizer, 9, &pairs, &err));
    assert_int_equal(pairs.count, 2);
    assert_int_equal(pairs.left_out, 1);
    assert_int_equal(pairs.pairs[1].line, 2);
    assert_int_equal(pairs.source_tokens + pairs.target_tokens, pairs.id_count);
    for (size_t i = 0; i < pairs.count; i++) {
        const ksk_pair *pair = &pairs.pairs[i];
        assert_int_equal(pairs.ids[pair->target + (size_t)pair->target_length - 1],
                         ksk_tokenizer_end_id(tokenizer));
        char *text = ksk_tokenizer_decode(tokenizer, pairs.ids + pair->target,
                                          (size_t)pair->target_length, &err);
        assert_string_equal(text, ksk_corpus_target(&corpus, pair->line));
        ksk_free(text);
    }
    ksk_pairs_clear(&pairs);
    assert_false(ksk_pairs_encode(&corpus, tokenizer, 1, &pairs, &err));
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    ksk_pairs_clear(&pairs);
    ksk_corpus_clear(&corpus);
    ksk_tokenizer_free(tokenizer);
}

static bool read_again(void *context, ksk_error *err)
{
    ksk_corpus corpus = {0};
    const bool ok = ksk_corpus_read(context, NULL, 0, &corpus, err);
    ksk_corpus_clear(&corpus);
    return ok;
}

static void test_memory_runs_out(void **state)
{
    put_text("a.tsv", "eins\tone\nzwei\ttwo\n");
    char *path = ksk_path(directory, "a.tsv");
    assert_true(fault_sweep(read_again, path) >= 4);
    ksk_free(path);
}

/* Through (1, 2), (3, 3), (5, 7), lengths without the end: a = 5/4, b = 1/4. */
static void test_length_line(void **state)
{
    ksk_pair pairs[] = {{.source_length = 2, .target_length = 3},
                        {.source_length = 4, .target_length = 4},
                        {.source_length = 6, .target_length = 8}};
    double a = 0, b = 0;
    ksk_pairs_length_line(&(ksk_pairs){.pairs = pairs, .count = 3}, &a, &b);
    assert_true(fabs(a - 1.25) < 1e-12 && fabs(b - 0.25) < 1e-12);
    pairs[1].source_length = 2;
    ksk_pairs_length_line(&(ksk_pairs){.pairs = pairs, .count = 2}, &a, &b);
    assert_true(a == 1 && fabs(b - 1.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tsv),           cmocka_unit_test(test_two_files),
        cmocka_unit_test(test_gzip),          cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_unequal_files), cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_encodes),       cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_length_line),   cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
