#include <kaskad/kaskad.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, LINES = 3 };

static const char *const lines[LINES] = {"Kannst du mir bitte helfen?", "Der Zug kam zu spät.",
                                         "Selbst Kinder wissen das."};

typedef struct worker {
    pthread_t thread;
    const ksk_model *model; /* one for all */
    ksk_translation out[LINES];
    ksk_error err;
} worker;

static void *work(void *context)
{
    worker *w = context;
    ksk_translate_options options = ksk_translate_defaults(w->model);
    options.threads = 1; /* a translator for each thread, which needs no more */
    ksk_translator *translator = ksk_translator_new(w->model, &options, &w->err);
    if (translator)
        ksk_translate(translator, LINES, lines, w->out, &w->err);
    ksk_translator_free(translator);
    return NULL;
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    ksk_model *model = argc == 2 ? ksk_model_load(argv[1], NULL, &err) : NULL;
    worker workers[THREADS] = {{0}};
    for (int i = 0; model && i < THREADS; i++) {
        workers[i].model = model;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    int failed = !model;
    for (int i = 0; model && i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        failed += workers[i].err.status != KSK_OK;
        for (int j = 0; j < LINES; j++) {
            if (workers[i].err.status == KSK_OK)
                printf("%d\t%s\n", i, workers[i].out[j].text);
            ksk_translation_clear(&workers[i].out[j]);
        }
    }
    if (!model)
        fprintf(stderr, "%s\n", err.message);
    ksk_model_free(model);
    return failed > 0;
}
