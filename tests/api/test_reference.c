/* The shipped model against transformers: greedy search on the whole test set, and beam search and
 * logits on some lines. With KASKAD_QUICK=1 the first lines do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/lines.h"
#include "api/model.h"
#include "reference.h"

static ksk_model *model;
static const char *const *lines;

static int load(void **state)
{
    model = load_model(SHIPPED_MODEL, KSK_PRECISION_F32);
    lines = lines_load();
    return 0;
}

static int unload(void **state)
{
    ksk_model_free(model);
    return 0;
}

/* One line of ids with spaces between. */
static id_list next_ids(FILE *file)
{
    id_list ids = {.count = 0};
    char text[4096];
    assert_non_null(fgets(text, sizeof text, file));
    for (char *at = strtok(text, " \n"); at; at = strtok(NULL, " \n")) {
        assert_true(ids.count < reference_most_ids);
        ids.at[ids.count++] = (int32_t)strtol(at, NULL, 10);
    }
    return ids;
}

static void test_greedy(void **state)
{
    const int count = lines_quick() ? 48 : lines_count;
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = "greedy";
    options.decode.max_length = 256; /* the reference's */
    ksk_translation *translations = translate_lines(model, &options, count, lines);
    FILE *file = fopen(KSK_FIXTURES "/tatoeba/greedy.ids", "r");
    assert_non_null(file);
    for (int i = 0; i < count; i++) {
        const id_list expected = next_ids(file);
        const ksk_alternative *found = &translations[i].alternatives[0];
        if (found->id_count != expected.count ||
            memcmp(found->ids, expected.at, (size_t)expected.count * sizeof *found->ids) != 0)
            fail_msg("line %d: \"%s\"", i + 1, found->text);
    }
    fclose(file);
    clear_translations(translations, count);
}

static void test_beam(void **state)
{
    const int count = lines_quick() ? 24 : 200;
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decode.beams = 5;
    ksk_translation *translations = translate_lines(model, &options, count, lines);
    FILE *file = fopen(KSK_FIXTURES "/tatoeba/beam5.txt", "r");
    assert_non_null(file);
    for (int i = 0; i < count; i++) {
        char text[4096];
        assert_non_null(fgets(text, sizeof text, file));
        text[strcspn(text, "\n")] = '\0';
        assert_string_equal(translations[i].text, text);
    }
    fclose(file);
    clear_translations(translations, count);
}

/* --- sentences with their ids, texts and logits ------------------------------------------------
 */

static void check_first_logits(ksk_l2r *scorer, const json_t *c)
{
    const id_list source = reference_ids(reference_get(c, "source_ids"));
    const int32_t *const ids = source.at, parent = -1;
    const json_t *top = reference_get(c, "first_step_top5_logits");
    float *logits;
    assert_true(scorer->start(scorer, 1, &ids, &source.count, NULL));
    assert_true(scorer->step(scorer, 1, &parent, &scorer->start_id, &logits, NULL));
    assert_int_equal(json_array_size(top), 5);
    for (size_t i = 0; i < 5; i++) {
        const json_t *pair = json_array_get(top, i);
        const size_t id = (size_t)json_integer_value(json_array_get(pair, 0));
        const double expected = json_number_value(json_array_get(pair, 1));
        if (!(fabs((double)logits[id] - expected) <= 1e-3))
            fail_msg("%s: logit %zu is %.5f, the reference has %.5f", reference_text(c, "source"),
                     id, (double)logits[id], expected);
    }
}

static void check_text(const json_t *c, const char *key, int beams)
{
    const char *source = reference_text(c, "source");
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decode.beams = beams;
    ksk_translation *found = translate_lines(model, &options, 1, &source);
    const id_list source_ids = reference_ids(reference_get(c, "source_ids"));
    assert_same_ids(found->source_ids, found->source_id_count, &source_ids);
    assert_string_equal(found->text, reference_text(c, key));
    clear_translations(found, 1);
}

static void test_sentences(void **state)
{
    json_t *cases = reference_load(KSK_FIXTURES "/tatoeba/sentences.json");
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, KSK_TO_GENERATE, NULL);
    ksk_l2r *scorer = ksk_seq2seq_scorer_new(plans, &model->rules, 1, NULL);
    assert_non_null(scorer);
    assert_int_equal(json_array_size(cases), 40);
    for (size_t i = 0; i < 40; i += lines_quick() ? 8 : 1) {
        const json_t *c = json_array_get(cases, i);
        check_first_logits(scorer, c);
        check_text(c, "greedy", 1);
        check_text(c, "beam5", 5);
    }
    scorer->free(scorer);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_beam),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
