#include <kaskad/kaskad.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* An allocator that counts; kaskad wants 64 bytes of alignment, from any thread. */
static atomic_long living;

static void *allocate(void *context, size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory)
        atomic_fetch_add((atomic_long *)context, 1);
    return memory;
}

static void release(void *context, void *memory)
{
    atomic_fetch_sub((atomic_long *)context, 1);
    free(memory);
}

static void say(void *context, ksk_level level, const char *message)
{
    fprintf(context, "%s: %s\n", level == KSK_WARNING ? "warning" : "note", message);
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    ksk_allocator_set(&(ksk_allocator){allocate, release, &living}); /* before anything else */
    ksk_sink_set(&(ksk_sink){say, stderr});
    ksk_model *model = argc == 2 ? ksk_model_load(argv[1], NULL, &err) : NULL;
    for (uint64_t seed = 1; model && seed <= 3 && !err.status; seed++) {
        ksk_translate_options options = ksk_translate_defaults(model);
        options.decoder = "sample";
        options.decode.seed = seed % 2; /* so the third line is the first again */
        ksk_translator *translator = ksk_translator_new(model, &options, &err);
        ksk_translation out = {0};
        const char *const line = "Ich habe gestern ein interessantes Buch gelesen.";
        if (translator && ksk_translate(translator, 1, &line, &out, &err))
            puts(out.text);
        ksk_translation_clear(&out);
        ksk_translator_free(translator);
    }
    ksk_model_free(model);
    if (err.status)
        fprintf(stderr, "%s\n", err.message);
    printf("%ld allocations left\n", atomic_load(&living));
    return !model || err.status != KSK_OK;
}
