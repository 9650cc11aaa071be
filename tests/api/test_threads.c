/* Many threads with translators of their own over one model, which compiles its plans when the
 * first of them asks. Run it under the thread sanitizer too: cmake --preset tsan. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/lines.h"

enum { thread_count = 8, line_count = 6 };

static const char *const sources[line_count] = {
    "Der Tag war lang.", "Wir sind da.", "Tom ist hier", "", "Wo warst du in der Nacht?", "a"};
static const char *const targets[line_count] = {
    "The day was long.", "We are here.", "Tom is here", "a", "Where were you at night?", ""};

/* What one thread finds. */
typedef struct worker {
    const ksk_model *model;
    pthread_barrier_t *barrier;
    int number;
    bool ok;
    ksk_error err;
    ksk_translation translations[line_count];
    double log_probs[line_count];
} worker;

static bool score(worker *w, ksk_translator *translator)
{
    return ksk_score(translator, line_count, sources, targets, w->log_probs, NULL, &w->err);
}

/* Half of the threads score first, so that both kinds of plans are wanted at once. */
static void *work(void *context)
{
    worker *w = context;
    ksk_translate_options options = ksk_translate_defaults(w->model);
    options.threads = 1 + w->number % 2;
    options.batch_size = 1 + w->number;
    options.decode.beams = 3;
    pthread_barrier_wait(w->barrier);
    ksk_translator *translator = ksk_translator_new(w->model, &options, &w->err);
    const bool first = w->number % 2;
    w->ok = translator && (!first || score(w, translator)) &&
            ksk_translate(translator, line_count, sources, w->translations, &w->err) &&
            (first || score(w, translator));
    ksk_translator_free(translator);
    return NULL;
}

static void run_threads(const ksk_model *model)
{
    static worker workers[thread_count];
    pthread_t threads[thread_count];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, thread_count);
    for (int i = 0; i < thread_count; i++) {
        workers[i] = (worker){.model = model, .barrier = &barrier, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < thread_count; i++) {
        if (!workers[i].ok)
            fail_msg("thread %d: %s", i, workers[i].err.message);
        assert_same_translations(workers[i].translations, workers[0].translations, line_count);
        assert_memory_equal(workers[i].log_probs, workers[0].log_probs,
                            sizeof workers[0].log_probs);
    }
    for (int i = 0; i < thread_count; i++)
        for (int j = 0; j < line_count; j++)
            ksk_translation_clear(&workers[i].translations[j]);
}

static void test_shared_model(void **state)
{
    static const ksk_precision precisions[] = {KSK_PRECISION_F32, KSK_PRECISION_BF16,
                                               KSK_PRECISION_INT8};
    for (int i = 0; i < 3; i++) {
        ksk_model *model = load_model(SMALL_MODEL, precisions[i]);
        run_threads(model);
        ksk_model_free(model);
    }
}

/* Each thread loads the same directory. */
static void *load_and_free(void *context)
{
    ksk_model *model = ksk_model_load(SMALL_MODEL, NULL, NULL);
    *(bool *)context = model && ksk_model_verify(model, NULL, NULL) == false; /* it has no proof */
    ksk_model_free(model);
    return NULL;
}

static void test_loading_at_once(void **state)
{
    pthread_t threads[thread_count];
    bool loaded[thread_count] = {false};
    for (int i = 0; i < thread_count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_and_free, &loaded[i]), 0);
    for (int i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
        assert_true(loaded[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_model),
        cmocka_unit_test(test_loading_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
