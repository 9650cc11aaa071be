/* kaskad train: a recipe and raw text in, a checkpoint out. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/stop.h"
#include "kaskad/kaskad.h"
#include "kaskad/train.h"

/* --- progress -----------------------------------------------------------------------------------
 */

typedef struct screen {
    bool terminal, quiet;
    bool open; /* the terminal's line is not ended */
    double shown;
    char stage[20];
} screen;

static void show_time(char *text, size_t size, double seconds)
{
    const long s = lround(seconds);
    snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static void close_line(screen *s)
{
    if (s->open)
        fputc('\n', stderr);
    s->open = false;
}

static void show_update(screen *s, const ksk_train_progress *p)
{
    char left[32] = "";
    if (!s->terminal || p->update == 0 || p->seconds - s->shown < 0.5)
        return;
    if (p->left >= 0)
        show_time(left, sizeof left, p->left);
    fprintf(stderr, "\rupdate %" PRId64 ", epoch %" PRId64 ": loss %.3f, %.0f tokens/s%s%s%s\033[K",
            p->update, p->epoch + 1, p->loss, p->speed, *left ? ", " : "", left,
            *left ? " left" : "");
    fflush(stderr);
    s->open = true;
    s->shown = p->seconds;
}

static void show_evaluation(screen *s, const ksk_train_progress *p)
{
    char spent[32];
    close_line(s);
    show_time(spent, sizeof spent, p->seconds);
    if (p->ended)
        fprintf(stderr, "%s  the model: dev loss %.3f, dev BLEU %.2f\n", spent, p->dev_loss,
                p->dev_bleu);
    else
        fprintf(stderr,
                "%s  update %" PRId64 ", epoch %" PRId64
                ": loss %.3f, dev loss %.3f, dev BLEU %.2f (best %.2f), %.0f tokens/s\n",
                spent, p->update, p->epoch + 1, p->loss, p->dev_loss, p->dev_bleu, p->best_bleu,
                p->speed);
}

static void show_stage(screen *s, const ksk_train_progress *p)
{
    if (!strcmp(s->stage, p->stage) || p->ended)
        return;
    snprintf(s->stage, sizeof s->stage, "%s", p->stage);
    if (!s->terminal || !strcmp(p->stage, "training"))
        return;
    fprintf(stderr, "\r%s …\033[K", p->stage);
    fflush(stderr);
    s->open = true;
}

static bool watch(void *context, const ksk_train_progress *p)
{
    screen *s = context;
    if (!s->quiet) {
        if (p->note) {
            close_line(s);
            fprintf(stderr, "%s\n", p->note);
        }
        if (p->evaluated)
            show_evaluation(s, p);
        show_stage(s, p);
        if (!strcmp(p->stage, "training"))
            show_update(s, p);
    }
    return !ksk_stop_asked();
}

/* --- arguments ----------------------------------------------------------------------------------
 */

/* A command has at most 96 options. */
enum { MOST_KEYS = 90, MOST_NAME = 40, OWN_OPTIONS = 5 };

static const char *out, *values[MOST_KEYS];
static bool resume, quiet;
static char names[MOST_KEYS][MOST_NAME], helps[MOST_KEYS][160];
static ksk_option options[OWN_OPTIONS + MOST_KEYS + 1] = {
    KSK_NEEDED("out", 'o', "DIR", "directory of the run; the checkpoint will be DIR/model", &out),
    KSK_FLAG("resume", 0, "go on where the run in DIR was last saved", &resume),
    KSK_FLAG("quiet", 'q', "no progress", &quiet),
    KSK_HEADING("Keys of the recipe (in the file with _ for -)"),
};

/* Every key of a recipe is an option; its help ends with the default. */
static void add_keys(void)
{
    ksk_option *option = options;
    while (option->kind != KSK_OPTION_END)
        option++;
    const ksk_recipe_key *key;
    for (int i = 0; i < MOST_KEYS && (key = ksk_recipe_key_at(i)); i++, option++) {
        snprintf(names[i], MOST_NAME, "%s", key->name);
        for (char *at = names[i]; (at = strchr(at, '_'));)
            *at = '-';
        snprintf(helps[i], sizeof helps[i], "%s%s%s%s", key->help, *key->fallback ? " [" : "",
                 key->fallback, *key->fallback ? "]" : "");
        *option = (ksk_option)KSK_TEXT(names[i], 0, key->value, helps[i], &values[i]);
    }
}

/* The recipe named, or, when a run is resumed, the one it was begun with. */
static ksk_recipe *load(const ksk_texts *rest, ksk_error *err)
{
    if (rest->count == 1)
        return ksk_recipe_load(rest->at[0], err);
    const size_t size = strlen(out) + sizeof "/recipe.yaml";
    char *path = malloc(size);
    if (!path) {
        ksk_fail_memory(err);
        return NULL;
    }
    snprintf(path, size, "%s/recipe.yaml", out);
    ksk_recipe *recipe = ksk_recipe_load(path, err);
    free(path);
    return recipe;
}

static bool set_keys(ksk_recipe *recipe, ksk_error *err)
{
    for (int i = 0; i < MOST_KEYS && ksk_recipe_key_at(i); i++)
        if (values[i] && !ksk_recipe_set(recipe, ksk_recipe_key_at(i)->name, values[i], err))
            return false;
    return true;
}

static int run(int argc, char **argv)
{
    int status;
    ksk_texts rest = {.count = 0};
    add_keys();
    if (!ksk_options_parse(&ksk_command_train, options, argc, argv, &rest, &status))
        return status;
    if (rest.count > 1 || (rest.count == 0 && !resume)) {
        ksk_complain("train takes one recipe; `kaskad train --help` says more");
        return KSK_EXIT_USAGE;
    }
    ksk_error err = {0};
    screen s = {.terminal = isatty(STDERR_FILENO), .quiet = quiet};
    const ksk_train_options training = {.resume = resume, .watch = watch, .context = &s};
    ksk_stop_catch();
    ksk_recipe *recipe = load(&rest, &err);
    const bool ok =
        recipe && set_keys(recipe, &err) && ksk_train(recipe, out, &training, NULL, &err);
    close_line(&s);
    ksk_recipe_free(recipe);
    if (!ok) {
        ksk_complain("%s", err.message);
        return ksk_stop_status();
    }
    printf("%s/model\n", out);
    return ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_train = {
    .name = "train",
    .arguments = "RECIPE.yaml --out DIR [OPTIONS]",
    .summary = "Train a translator from raw sentence pairs",
    .details =
        "A recipe names the data, the model and how it is trained. Everything about the run\n"
        "goes to DIR. A run that was killed, or stopped by a signal, goes on with --resume\n"
        "and ends with the same weights; then the recipe need not be named.",
    .example = "  kaskad train recipes/smoke.yaml --out runs/smoke\n"
               "  kaskad train --resume --out runs/smoke",
    .run = run,
};
