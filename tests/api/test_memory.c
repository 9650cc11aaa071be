/* Memory that runs out while a checkpoint is loaded, translated with, scored with, saved: an error
 * comes back, nothing is left behind. */
#include "api/lines.h"
#include "checkpoint.h"
#include "fault.h"

/* Files are written thousands of times, and nobody waits for a disk. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

static const char *const sources[] = {"Der Tag war lang.", "", "Wir sind da. Tom ist hier."};
static const char *const targets[] = {"The day was long.", "a", "We are here."};

/* What is translated with, and how. */
typedef struct way {
    const char *directory, *decoder;
    ksk_precision precision;
    bool score;
    const ksk_model *model; /* NULL: loaded anew */
} way;

static bool translate_and_score(const way *w, ksk_translator *translator, ksk_error *err)
{
    ksk_translation translations[3] = {{0}};
    double log_probs[3];
    const bool ok = ksk_translate(translator, 3, sources, translations, err) &&
                    (!w->score || ksk_score(translator, 3, sources, targets, log_probs, NULL, err));
    for (int i = 0; i < 3; i++)
        ksk_translation_clear(&translations[i]);
    return ok;
}

static bool translate(const way *w, const ksk_model *model, ksk_error *err)
{
    const bool copies = strcmp(w->decoder, "beam") == 0 || strcmp(w->decoder, "sample") == 0;
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = w->decoder;
    options.threads = options.batch_size = 2;
    options.split_sentences = true;
    options.decode.beams = options.decode.n_best = copies ? 2 : 1;
    options.decode.max_length = 6;
    options.decode.cascade.topk = 3;
    ksk_translator *translator = ksk_translator_new(model, &options, err);
    const bool ok = translator && translate_and_score(w, translator, err);
    ksk_translator_free(translator);
    return ok;
}

static bool load_and_translate(void *context, ksk_error *err)
{
    const way *w = context;
    const ksk_load_options load = {.precision = w->precision};
    ksk_model *model = w->model ? NULL : ksk_model_load(w->directory, &load, err);
    const bool ok = (w->model || model) && translate(w, w->model ? w->model : model, err);
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

static void test_load_and_translate(void **state)
{
    for (ksk_precision precision = KSK_PRECISION_F32; precision <= KSK_PRECISION_INT8;
         precision++) {
        way w = {KSK_FIXTURES "/marian/split", "beam", precision, true, NULL};
        assert_true(fault_sample(load_and_translate, &w, 20) > 1000);
    }
}

static void make_markov(void)
{
    checkpoint_copy(KSK_FIXTURES "/marian/tiny");
    checkpoint_set("model_type", "\"kaskad-markov\"");
    checkpoint_set("markov_order", "2");
    checkpoint_set("length_a", "1.1");
    checkpoint_set("length_b", "0.7");
}

/* Every allocation of a translation alone, in each decoder. The model has compiled its plans. */
static void test_each_decoder(void **state)
{
    make_markov();
    for (int i = 0; ksk_decoder_at(i); i++) {
        const ksk_decoder *decoder = ksk_decoder_at(i);
        way w = {decoder->decode_markov ? checkpoint_directory : KSK_FIXTURES "/marian/split",
                 decoder->name, KSK_PRECISION_F32, false, NULL};
        ksk_error err = {0};
        ksk_model *model = load_model(w.directory, w.precision);
        w.model = model;
        if (!load_and_translate(&w, &err))
            fail_msg("%s: %s", decoder->name, err.message);
        const long count = fault_sweep(load_and_translate, &w);
        print_message("%s: %ld allocations\n", decoder->name, count);
        assert_true(count > 50);
        ksk_model_free(model);
    }
}

/* The same from the checkpoint on, so that compiling is part of it. */
static void test_each_decoder_from_the_start(void **state)
{
    make_markov();
    for (int i = 0; ksk_decoder_at(i); i++) {
        const ksk_decoder *decoder = ksk_decoder_at(i);
        way w = {decoder->decode_markov ? checkpoint_directory : KSK_FIXTURES "/marian/split",
                 decoder->name, KSK_PRECISION_INT8, false, NULL};
        assert_true(fault_sample(load_and_translate, &w, 10) > 500);
    }
}

static void test_save(void **state)
{
    assert_true(fault_sample(load_save_and_verify, NULL, 20) > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save), /* first: into a directory without other files */
        cmocka_unit_test(test_load_and_translate),
        cmocka_unit_test(test_each_decoder),
        cmocka_unit_test(test_each_decoder_from_the_start),
    };
    return cmocka_run_group_tests(tests, checkpoint_make, checkpoint_remove);
}
