#include <math.h>
#include <string.h>

#include "io/directory.h"
#include "io/proof.h"

static int32_t source[] = {5, 9, 2, 0}, target[] = {7, 3, 0}, other[] = {11, 0};
static ksk_probe probes[] = {{0, 7, 11.25f}, {2, 0, -0.1f}};
static ksk_proof_text texts[] = {
    {"Guten Morgen, größe!", source, 4, target, 3, probes, 2},
    {"", other, 2, target + 2, 1, NULL, 0},
};

static ksk_proof proof(void)
{
    return (ksk_proof){"kaskad 0.1.0", texts, 2, "sha256:12ab", NULL, "int8"};
}

static void test_round_trip(void **state)
{
    const ksk_proof written = proof();
    ksk_proof read;
    ksk_error err = {0};
    assert_true(ksk_proof_write(directory, &written, &err));
    assert_true(ksk_proof_read(directory, &read, &err));
    assert_string_equal(read.library, "kaskad 0.1.0");
    assert_string_equal(read.recipe, "sha256:12ab");
    assert_null(read.data);
    assert_string_equal(read.precision, "int8");
    assert_int_equal(read.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(read.texts[i].source, texts[i].source);
        assert_true(
            ksk_proof_check_source(&read, i, texts[i].source_ids, texts[i].source_count, &err));
        assert_true(
            ksk_proof_check_target(&read, i, texts[i].target_ids, texts[i].target_count, &err));
        assert_int_equal(read.texts[i].probe_count, texts[i].probe_count);
    }
    assert_int_equal(read.texts[0].probes[1].step, 2);
    assert_int_equal(read.texts[0].probes[0].id, 7);
    assert_true(ksk_proof_check_logit(&read, 0, 0, 11.25f, 0, &err));
    assert_true(ksk_proof_check_logit(&read, 0, 1, -0.1f, 0, &err));
    ksk_proof_clear(&read);
    assert_int_equal(read.count, 0);
}

static void test_differences(void **state)
{
    const ksk_proof known = proof();
    ksk_error err = {0};
    assert_false(ksk_proof_check_source(&known, 0, (int32_t[]){5, 9, 4, 0}, 4, &err));
    assert_string_equal(err.message, "text 0: id 2 of the source is 4, but the proof says 2");
    assert_int_equal(err.status, KSK_BAD_FORMAT);
    assert_false(ksk_proof_check_target(&known, 1, (int32_t[]){0, 3}, 2, &err));
    assert_string_equal(err.message, "text 1: the target has 2 ids, but the proof says 1");
    assert_true(ksk_proof_check_logit(&known, 0, 0, 11.26f, 1e-3, &err));
    assert_false(ksk_proof_check_logit(&known, 0, 0, 11.27f, 1e-3, &err));
    assert_string_equal(err.message,
                        "text 0: the logit of id 7 at step 0 is 11.27, but the proof says 11.25");
    assert_true(ksk_proof_check_logit(&known, 0, 1, -0.1009f, 1e-3, &err));
    assert_false(ksk_proof_check_logit(&known, 0, 1, -0.1011f, 1e-3, &err));
    assert_false(ksk_proof_check_logit(&known, 0, 1, NAN, 1e-3, &err));
}

static void test_bad_proofs(void **state)
{
    static const char *const bad[][2] = {
        {"{}", "kaskad.json: format: an integer expected"},
        {"{\"format\":2}", "kaskad.json: the proof has format 2, but this library reads format 1"},
        {"{\"format\":1}", "kaskad.json: library: a string expected"},
        {"{\"format\":1,\"library\":\"k\"}", "texts: a list of one text or more expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[]}", "a list of one text or more expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[3]}", "texts[0].source: a string expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\"}]}",
         "texts[0].source_ids: a list of one id or more expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1,-1]}]}",
         "texts[0].source_ids: a list of ids from 0 to 2147483647 expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2147483648]}]}",
         "texts[0].target_ids: a list of ids from 0 to 2147483647 expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2]}]}",
         "texts[0].probes: a list expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2],\"probes\":[[1,2,0.5]]}]}",
         "texts[0].probes: lists of a step of the target, an id and a logit expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2],\"probes\":[[0,2,1e300]]}]}",
         "texts[0].probes: lists of a step of the target, an id and a logit expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2],\"probes\":[]}],\"origin\":3}",
         "kaskad.json: origin: an object expected"},
        {"{\"format\":1,\"library\":\"k\",\"texts\":[{\"source\":\"\",\"source_ids\":[1],"
         "\"target_ids\":[2],\"probes\":[]}],\"origin\":{\"data\":3}}",
         "kaskad.json: data: a string expected"},
        {"{\"format\":1,", "kaskad.json: line 1, column 12: "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ksk_error err = {0};
        ksk_proof read;
        put_file("kaskad.json", bad[i][0], strlen(bad[i][0]));
        assert_false(ksk_proof_read(directory, &read, &err));
        assert_int_equal(err.status, i == 1 ? KSK_UNSUPPORTED : KSK_BAD_FORMAT);
        assert_non_null(strstr(err.message, bad[i][1]));
        assert_null(read.texts);
    }
}

static void test_refuses_to_write(void **state)
{
    ksk_probe wrong[] = {{3, 7, 1}, {0, -7, 1}, {0, 7, INFINITY}};
    for (size_t i = 0; i < 3; i++) {
        ksk_proof_text text = {"a", source, 4, target, 3, &wrong[i], 1};
        const ksk_proof bad = {"kaskad", &text, 1, NULL, NULL, NULL};
        ksk_error err = {0};
        assert_false(ksk_proof_write(directory, &bad, &err));
        assert_int_equal(err.status, KSK_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "text 0 of the proof"));
    }
    const ksk_proof empty = {"kaskad", NULL, 0, NULL, NULL, NULL};
    assert_false(ksk_proof_write(directory, &empty, NULL));
    const ksk_proof latin = {"kaskad", texts, 2, "\xE9", NULL, NULL};
    assert_false(ksk_proof_write(directory, &latin, NULL));
}

static void test_damage(void **state)
{
    const ksk_proof written = proof();
    assert_true(ksk_proof_write(directory, &written, NULL));
    char *path = ksk_path(directory, "kaskad.json");
    size_t size;
    char *bytes = ksk_file_read(path, 4096, &size, NULL);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            ksk_error err = {0};
            ksk_proof read;
            bytes[at] ^= (char)(1 << bit);
            put_file("kaskad.json", bytes, size);
            if (ksk_proof_read(directory, &read, &err))
                assert_int_equal(read.count, 2);
            else
                assert_non_null(strstr(err.message, "kaskad.json"));
            ksk_proof_clear(&read);
            bytes[at] ^= (char)(1 << bit);
        }
    ksk_free(bytes);
    ksk_free(path);
}

static bool write_and_read(void *context, ksk_error *err)
{
    const ksk_proof written = proof();
    ksk_proof read = {0};
    const bool well =
        ksk_proof_write(directory, &written, err) && ksk_proof_read(directory, &read, err);
    ksk_proof_clear(&read);
    return well;
}

static void test_memory_runs_out(void **state)
{
    assert_true(fault_sweep(write_and_read, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_bad_proofs), cmocka_unit_test(test_refuses_to_write),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
