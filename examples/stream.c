#include <kaskad/kaskad.h>
#include <stdio.h>
#include <string.h>

/* "▁" begins a word; the end token has no text. */
static bool show(void *model, const ksk_token *token)
{
    static const char word[] = "\xe2\x96\x81";
    const char *piece = ksk_model_piece(model, KSK_SIDE_TARGET, token->id);
    const bool begins = piece && strncmp(piece, word, strlen(word)) == 0;
    if (piece && strcmp(piece, "</s>") != 0)
        printf("%s%s", begins ? " " : "", begins ? piece + strlen(word) : piece);
    fflush(stdout);
    return !ferror(stdout); /* false: nobody reads any more, so decoding may stop */
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    ksk_model *model = argc == 2 ? ksk_model_load(argv[1], NULL, &err) : NULL;
    ksk_translator *translator = NULL;
    if (model) {
        ksk_translate_options options = ksk_translate_defaults(model);
        options.decoder = "greedy"; /* what it has chosen stays; beam search may think again */
        options.on_token = show;
        options.context = model;
        translator = ksk_translator_new(model, &options, &err);
    }
    char line[4096];
    while (translator && fgets(line, sizeof line, stdin)) {
        ksk_translation out = {0};
        line[strcspn(line, "\n")] = '\0';
        if (!ksk_translate(translator, 1, &(const char *){line}, &out, &err))
            break;
        putchar('\n');
        ksk_translation_clear(&out);
    }
    if (err.status)
        fprintf(stderr, "%s\n", err.message);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return !translator || err.status != KSK_OK;
}
