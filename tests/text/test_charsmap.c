/* A model's normalisation table is believed only after it was checked. */
#include "rows.h"

#include "base/file.h"
#include "kaskad/memory.h"
#include "text/charsmap.h"
#include "text/sentencepiece.h"

/* Every table that SentencePiece makes passes. */
static void real_tables_pass(void **state)
{
    (void)state;
    const char *const normalizers[] = {"identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf"};
    const char *const lines[] = {"Ein kleiner Text, aus dem wenig zu lernen ist.", "Noch einer."};
    for (int i = 0; i < 5; i++) {
        ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
        options.vocabulary = 290;
        options.soft_limit = true;
        options.normalizer = normalizers[i];
        size_t size = 0;
        void *model = ksk_sentencepiece_train(lines, 2, &options, &size, NULL);
        assert_non_null(model);
        assert_true(i == 0 || size > 100000);
        assert_null(ksk_charsmap_check(model, size));
        ksk_free(model);
    }
}

/* A message with a normalizer_spec (field 3) whose precompiled_charsmap (field 2) is `units` units
 * with `unit` as the first one, and `text`. */
static size_t make_model(unsigned char *model, uint32_t units, uint32_t unit, const char *text)
{
    const uint32_t trie = 4 * units, table = 4 + trie + (uint32_t)strlen(text) + 1;
    const uint32_t spec = table + 4;
    unsigned char *at = model;
    *at++ = 3 << 3 | 2;
    *at++ = (unsigned char)(spec | 0x80);
    *at++ = (unsigned char)(spec >> 7 | 0x80);
    *at++ = (unsigned char)(spec >> 14);
    *at++ = 2 << 3 | 2;
    *at++ = (unsigned char)(table | 0x80);
    *at++ = (unsigned char)(table >> 7 | 0x80);
    *at++ = (unsigned char)(table >> 14);
    memcpy(at, &trie, 4);
    memset(at + 4, 0, trie);
    memcpy(at + 4, &unit, 4);
    memcpy(at + 4 + trie, text, strlen(text) + 1);
    return (size_t)(at + table - model);
}

static void expect(uint32_t units, uint32_t unit, const char *text, bool good)
{
    unsigned char model[5000];
    const size_t size = make_model(model, units, unit, text);
    const char *problem = ksk_charsmap_check(model, size);
    assert_int_equal(!problem, good);
    ksk_error err = {0};
    if (!good) {
        assert_null(ksk_sentencepiece_load(model, size, "bad.spm", &err));
        assert_int_equal(err.status, KSK_BAD_FORMAT);
        assert_string_equal(err.message, "bad.spm: its normalisation table is broken");
    }
}

static void tables_that_lead_outside_are_refused(void **state)
{
    (void)state;
    expect(256, 0, "x", true);
    expect(512, 256u << 10, "x", true);
    expect(256, 256u << 10, "x", false);         /* base 256 of 256 */
    expect(512, 2u << 10 | 1u << 9, "x", false); /* base 2 << 8 of 512 */
    expect(255, 0, "x", false);                  /* children up to 255 */
    expect(0, 0, "x", false);
    expect(256, 1u << 8 | 1u << 10, "", true); /* text 0 of the one byte */
    expect(256, 1u << 8, "x", false);          /* its own unit as the offset of a text */
}

static void broken_messages_are_refused(void **state)
{
    (void)state;
    assert_non_null(ksk_charsmap_check("\x1A\x7F", 2));
    assert_non_null(ksk_charsmap_check("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 11));
    assert_non_null(ksk_charsmap_check("\x0B", 1));
    assert_null(ksk_charsmap_check("\x08\x01", 2));
    ksk_error err = {0};
    size_t size;
    char *bytes = ksk_file_read(KSK_FIXTURES "/tokenizer/nmt/source.spm", 1 << 20, &size, &err);
    assert_non_null(bytes);
    assert_null(ksk_charsmap_check(bytes, size));
    assert_non_null(ksk_charsmap_check(bytes, size - 1));
    ksk_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_tables_pass),
        cmocka_unit_test(tables_that_lead_outside_are_refused),
        cmocka_unit_test(broken_messages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
