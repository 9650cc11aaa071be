/* Tests the model NAME: it learns to repeat letters, and translates a step at a time what it scores
 * at once: ./test_NAME NAME.so */
#define _GNU_SOURCE
#include <ftw.h>
#include <kaskad/extend.h>
#include <kaskad/train.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Pairs that repeat two to five letters, and the recipe; false when they cannot be written. */
static bool write_files(const char *pairs, const char *recipe)
{
    FILE *file = fopen(pairs, "w");
    unsigned drawn = 1;
    for (int i = 0; file && i < 300; i++) {
        char text[16] = "";
        for (int j = 0; j < 2 + i % 4; j++) {
            drawn = drawn * 1103515245U + 12345U;
            text[2 * j] = (char)('a' + drawn / 65536 % 6);
            text[2 * j + 1] = j == 1 + i % 4 ? '\0' : ' ';
        }
        fprintf(file, "%s\t%s\n", text, text);
    }
    if (!file || fclose(file) != 0 || !(file = fopen(recipe, "w")))
        return false;
    fputs("model: NAME\ntrain: pairs.tsv\ndev: pairs.tsv\nmax_dev_pairs: 20\nvocabulary: "
          "24\nlossless: no\n"
          "d_model: 32\nencoder_layers: 1\ndecoder_layers: 1\nheads: 2\nffn: 64\n"
          "max_positions: 32\nmax_length: 32\nbatch_tokens: 400\ndropout: 0\nlabel_smoothing: 0\n"
          "learning_rate: 0.01\nwarmup: 20\nmax_updates: 200\neval_every: 200\naverage: 1\n"
          "threads: 1\n",
          file);
    return fclose(file) == 0;
}

/* Whether greedy search gives the log-probability that scoring its result gives. */
static bool steps_agree(const char *directory, ksk_error *err)
{
    const char *const line = "b a d e";
    ksk_model *model = ksk_model_load(directory, NULL, err);
    ksk_translator *translator = model ? ksk_translator_new(model, NULL, err) : NULL;
    ksk_translation out = {0};
    double log_prob = 0;
    int tokens = 0;
    bool ok = translator && ksk_translate(translator, 1, &line, &out, err) &&
              ksk_score(translator, 1, &line, &(const char *){out.text}, &log_prob, &tokens, err);
    if (ok && (tokens != out.alternatives[0].id_count ||
               fabs(log_prob - out.alternatives[0].log_prob) > 1e-3))
        ok = ksk_fail(err, KSK_BAD_ARGUMENT, "'%s': a step at a time %g, at once %g", out.text,
                      out.alternatives[0].log_prob, log_prob);
    ksk_translation_clear(&out);
    ksk_translator_free(translator);
    ksk_model_free(model);
    return ok;
}

static bool try_model(const char *directory, ksk_error *err)
{
    char pairs[80], path[80], run[80], trained[80];
    snprintf(pairs, sizeof pairs, "%s/pairs.tsv", directory);
    snprintf(path, sizeof path, "%s/recipe.yaml", directory);
    snprintf(run, sizeof run, "%s/run", directory);
    snprintf(trained, sizeof trained, "%s/run/model", directory);
    if (!write_files(pairs, path))
        return ksk_fail(err, KSK_BAD_FILE, "cannot write to %s", directory);
    ksk_train_progress end = {0};
    ksk_recipe *recipe = ksk_recipe_load(path, err);
    bool ok = recipe && ksk_train(recipe, run, NULL, &end, err);
    if (ok && !(end.dev_loss < 1)) /* a guess among six letters costs about 1.8 */
        ok = ksk_fail(err, KSK_BAD_ARGUMENT, "it does not learn: the loss is %g", end.dev_loss);
    ksk_recipe_free(recipe);
    return ok && steps_agree(trained, err);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    char directory[] = "/tmp/test_NAME.XXXXXX";
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    const bool ok = mkdtemp(directory) && try_model(directory, &err);
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    puts(ok ? "NAME: all as it should be" : "NAME: not as it should be");
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    return !ok;
}
