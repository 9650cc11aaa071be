/* Memory that runs out while a checkpoint is loaded, translated with, scored with, saved: an error
 * comes back, nothing is left behind. */
#include "api/lines.h"
#include "checkpoint.h"
#include "fault.h"

static const char *const sources[] = {"Der Tag war lang.", "", "Wir sind da. Tom ist hier."};
static const char *const targets[] = {"The day was long.", "a", "We are here."};

static bool translate(const ksk_model *model, const ksk_translate_options *options, ksk_error *err)
{
    ksk_translation translations[3] = {{0}};
    ksk_translator *translator = ksk_translator_new(model, options, err);
    double log_probs[3];
    const bool ok = translator && ksk_translate(translator, 3, sources, translations, err) &&
                    ksk_score(translator, 3, sources, targets, log_probs, NULL, err);
    for (int i = 0; i < 3; i++)
        ksk_translation_clear(&translations[i]);
    ksk_translator_free(translator);
    return ok;
}

static bool load_and_translate(void *context, ksk_error *err)
{
    const ksk_load_options load = {.precision = *(const ksk_precision *)context};
    ksk_model *model = ksk_model_load(KSK_FIXTURES "/marian/split", &load, err);
    bool ok = false;
    if (model) {
        ksk_translate_options options = ksk_translate_defaults(model);
        options.threads = options.batch_size = 2;
        options.split_sentences = true;
        options.decode.beams = options.decode.n_best = 2;
        options.decode.max_length = 6;
        ok = translate(model, &options, err);
    }
    ksk_model_free(model);
    return ok;
}

static bool load_save_and_verify(void *context, ksk_error *err)
{
    ksk_model *model = ksk_model_load(SMALL_MODEL, NULL, err);
    ksk_model *again = NULL;
    const bool ok = model && ksk_model_save(model, checkpoint_directory, err) &&
                    (again = ksk_model_load(checkpoint_directory, NULL, err)) &&
                    ksk_model_verify(again, NULL, err);
    char *text = ok ? ksk_model_describe(again, err) : NULL;
    ksk_free(text);
    ksk_model_free(model);
    ksk_model_free(again);
    return ok && text;
}

/* As fault_sweep, but for a sample of the allocations: the first hundred, then ever fewer. */
static void sample_failures(bool (*function)(void *context, ksk_error *err), void *context,
                            long least)
{
    const long parts = lines_quick() ? 20 : 60;
    for (long n = 1;; n += 1 + (n > 100 ? n / parts : 0)) {
        fault_state state = {.fail_at = n};
        const ksk_allocator failing = {fault_allocate, fault_release, &state};
        ksk_error err = {0};
        ksk_allocator_set(&failing);
        const bool well = function(context, &err);
        ksk_allocator_set(NULL);
        assert_int_equal(state.live, 0);
        if (state.calls < n) {
            assert_true(well);
            assert_true(n > least);
            return;
        }
        if (well || err.status != KSK_OUT_OF_MEMORY)
            fail_msg("allocation %ld failed: %s \"%s\"", n, well ? "done all the same" : "",
                     err.message);
    }
}

static void test_translate(void **state)
{
    ksk_precision f32 = KSK_PRECISION_F32, bf16 = KSK_PRECISION_BF16, int8 = KSK_PRECISION_INT8;
    sample_failures(load_and_translate, &f32, 1000);
    sample_failures(load_and_translate, &bf16, 1000);
    sample_failures(load_and_translate, &int8, 1000);
}

static void test_save(void **state)
{
    sample_failures(load_save_and_verify, NULL, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translate),
        cmocka_unit_test(test_save),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
