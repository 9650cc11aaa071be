#include "api/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const *lines_load(void)
{
    static char text[1 << 18];
    static const char *lines[lines_count];
    FILE *file = fopen(KSK_SOURCE "/data/tatoeba-deu-eng/test.tsv", "rb");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    assert_true(size > 0 && size < sizeof text - 1);
    assert_int_equal(fclose(file), 0);
    text[size] = '\0';
    char *at = text;
    for (int i = 0; i < lines_count; i++) {
        char *tab = strchr(at, '\t'), *end = tab ? strchr(tab, '\n') : NULL;
        assert_non_null(end);
        *tab = '\0';
        lines[i] = at;
        at = end + 1;
    }
    assert_int_equal(*at, '\0');
    return lines;
}

bool lines_quick(void)
{
    const char *quick = getenv("KASKAD_QUICK");
    return quick && strcmp(quick, "1") == 0;
}

ksk_model *load_model(const char *directory, ksk_precision precision)
{
    const ksk_load_options options = {.precision = precision};
    ksk_error err = {0};
    ksk_model *model = ksk_model_load(directory, &options, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

ksk_translation *translate_lines(const ksk_model *model, const ksk_translate_options *options,
                                 int count, const char *const *lines)
{
    ksk_error err = {0};
    ksk_translation *translations = ksk_calloc((size_t)count, sizeof *translations);
    ksk_translator *translator = ksk_translator_new(model, options, &err);
    if (!translator || !ksk_translate(translator, count, lines, translations, &err))
        fail_msg("%s", err.message);
    ksk_translator_free(translator);
    return translations;
}

void clear_translations(ksk_translation *translations, int count)
{
    for (int i = 0; i < count; i++)
        ksk_translation_clear(&translations[i]);
    ksk_free(translations);
}

static bool same_alternative(const ksk_alternative *a, const ksk_alternative *b)
{
    return a->id_count == b->id_count && a->finished == b->finished &&
           (a->id_count == 0 ||
            memcmp(a->ids, b->ids, (size_t)a->id_count * sizeof *a->ids) == 0) &&
           strcmp(a->text, b->text) == 0 &&
           memcmp(&a->log_prob, &b->log_prob, sizeof a->log_prob) == 0 &&
           memcmp(&a->score, &b->score, sizeof a->score) == 0;
}

void assert_same_translations(const ksk_translation *a, const ksk_translation *b, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(a[i].count, b[i].count);
        for (int k = 0; k < a[i].count; k++)
            if (!same_alternative(&a[i].alternatives[k], &b[i].alternatives[k]))
                fail_msg("line %d: \"%s\" (%.17g) and \"%s\" (%.17g)", i + 1,
                         a[i].alternatives[k].text, a[i].alternatives[k].log_prob,
                         b[i].alternatives[k].text, b[i].alternatives[k].log_prob);
    }
}
