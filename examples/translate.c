#include <kaskad/kaskad.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    ksk_error err = {0};
    ksk_model *model = argc == 2 ? ksk_model_load(argv[1], NULL, &err) : NULL;
    ksk_translator *translator = model ? ksk_translator_new(model, NULL, &err) : NULL;
    char line[4096];
    while (translator && fgets(line, sizeof line, stdin)) {
        ksk_translation out = {0};
        line[strcspn(line, "\n")] = '\0';
        if (!ksk_translate(translator, 1, &(const char *){line}, &out, &err))
            break;
        puts(out.text);
        ksk_translation_clear(&out);
    }
    if (err.status)
        fprintf(stderr, "%s\n", err.message);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return !translator || err.status != KSK_OK;
}
