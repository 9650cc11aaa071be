#include <string.h>

#include "data/digest.h"
#include "io/directory.h"

static const char *digest_of(const char *text, size_t step)
{
    static ksk_digest digest;
    ksk_digester digester;
    ksk_digest_start(&digester);
    for (size_t at = 0, length = strlen(text); at < length; at += step)
        ksk_digest_add(&digester, text + at, length - at < step ? length - at : step);
    digest = ksk_digest_end(&digester);
    return digest.text;
}

/* The examples of FIPS 180-4 and its test suite. */
static void test_known_answers(void **state)
{
    assert_string_equal(digest_of("", 1),
                        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(digest_of("abc", 1),
                        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (size_t step = 1; step < 60; step += 7)
        assert_string_equal(
            digest_of(two, step),
            "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char million[1000001];
    memset(million, 'a', 1000000);
    million[1000000] = '\0';
    assert_string_equal(digest_of(million, 999),
                        "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_files(void **state)
{
    ksk_error err = {0};
    ksk_digest digest;
    put_file("abc", "abc", 3);
    char *path = ksk_path(directory, "abc"), *missing = ksk_path(directory, "missing");
    assert_true(ksk_digest_file(path, &digest, &err));
    assert_string_equal(digest.text, digest_of("abc", 3));
    assert_false(ksk_digest_file(missing, &digest, &err));
    assert_int_equal(err.status, KSK_BAD_FILE);
    ksk_free(path);
    ksk_free(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
