#include <kaskad/kaskad.h>
#include <kaskad/train.h>
#include <stdio.h>

/* Told of every update and evaluation; false would save the state and stop. */
static bool watch(void *context, const ksk_train_progress *at)
{
    (void)context;
    if (at->evaluated)
        fprintf(stderr, "update %lld: dev loss %.3f\n", (long long)at->update, at->dev_loss);
    return true;
}

/* Goes on training `model` on `pairs`; the new one stands in `directory`/model. */
static bool train(const char *recipe_file, const char *model, const char *pairs,
                  const char *directory, ksk_error *err)
{
    const ksk_train_options options = {.watch = watch};
    ksk_recipe *recipe = ksk_recipe_load(recipe_file, err);
    const bool ok = recipe && ksk_recipe_set(recipe, "init_from", model, err) &&
                    ksk_recipe_set(recipe, "train", pairs, err) &&
                    ksk_recipe_set(recipe, "dev", pairs, err) &&
                    ksk_recipe_set(recipe, "seed", "7", err) &&
                    ksk_train(recipe, directory, &options, NULL, err);
    ksk_recipe_free(recipe);
    return ok;
}

static bool translate(const char *directory, const char *line, ksk_error *err)
{
    ksk_model *model = ksk_model_load(directory, NULL, err);
    ksk_translator *translator = model ? ksk_translator_new(model, NULL, err) : NULL;
    ksk_translation out = {0};
    const bool ok = translator && ksk_translate(translator, 1, &line, &out, err);
    if (ok)
        puts(out.text);
    ksk_translation_clear(&out);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: finetune RECIPE MODEL PAIRS DIRECTORY SENTENCE\n");
        return 2;
    }
    char trained[4096];
    ksk_error err = {0};
    snprintf(trained, sizeof trained, "%s/model", argv[4]);
    const bool ok = translate(argv[2], argv[5], &err) &&
                    train(argv[1], argv[2], argv[3], argv[4], &err) &&
                    translate(trained, argv[5], &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    return !ok;
}
