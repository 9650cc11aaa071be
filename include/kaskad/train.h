/* Training: a recipe and raw text in, a checkpoint out.
 *
 *     ksk_error err = {0};
 *     ksk_recipe *recipe = ksk_recipe_load("recipes/smoke.yaml", &err);
 *     if (recipe && ksk_train(recipe, "runs/smoke", NULL, NULL, &err))
 *         puts("runs/smoke/model is a checkpoint");
 *     ksk_recipe_free(recipe);
 *
 * The same recipe gives the same weights, bit for bit, with any number of threads, and whether or
 * not the run was interrupted and resumed on its way, unless its time limit ends it. */
#ifndef KASKAD_TRAIN_H
#define KASKAD_TRAIN_H

#include <stdint.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- recipes -------------------------------------------------------------------------------------
 */

typedef struct ksk_recipe ksk_recipe;

/* A setting of a recipe. */
typedef struct ksk_recipe_key {
    const char *name;
    const char *value;    /* how the help text calls the value; a choice lists them, "a|b|c" */
    const char *fallback; /* the value when it is not set, "" for none */
    const char *help;
} ksk_recipe_key;

/* The i-th key of all, or NULL at the end. */
KSK_API const ksk_recipe_key *ksk_recipe_key_at(int index);

/* Reads a recipe, one YAML mapping of keys to values. Paths in it are relative to its own
 * directory, and $NAME in them is the environment's. Caller frees. Errors: BAD_FILE, BAD_FORMAT
 * (the message names the line; an unknown key comes with the nearest known one), OUT_OF_MEMORY. */
KSK_API ksk_recipe *ksk_recipe_load(const char *path, ksk_error *err);
KSK_API void ksk_recipe_free(ksk_recipe *recipe);

/* Changes one setting; paths are relative to the working directory. Errors: BAD_ARGUMENT. */
KSK_API bool ksk_recipe_set(ksk_recipe *recipe, const char *key, const char *value, ksk_error *err);

/* Every key with its value, as YAML. Caller frees with ksk_free; NULL when memory runs out. */
KSK_API char *ksk_recipe_print(const ksk_recipe *recipe);

/* --- runs ----------------------------------------------------------------------------------------
 */

/* Where a run is. */
typedef struct ksk_train_progress {
    const char *
        stage; /* "vocabulary", "encoding", "initialising", "training", "evaluating", "averaging" */
    const char *note; /* something to say once, or NULL */
    bool evaluated;   /* the dev numbers are new */
    bool ended;       /* the model is written; the dev numbers are its own */
    int64_t update, epoch;
    double loss;      /* nats a target token, smoothing included, over the last updates */
    double rate;      /* learning rate */
    double speed;     /* target tokens a second, over the last updates */
    double seconds;   /* of the whole run, those before an interruption included */
    double left;      /* seconds until a limit ends the run; negative when there is none */
    double dev_loss;  /* nats a token, without smoothing */
    double dev_bleu;  /* NAN before the first evaluation, as dev_loss and best_bleu */
    double best_bleu; /* of the evaluations so far */
} ksk_train_progress;

typedef struct ksk_train_options {
    bool resume; /* go on where the run in the directory was last saved, if there is one */
    /* Called after every update and evaluation; false asks to save and stop. May be NULL. */
    bool (*watch)(void *context, const ksk_train_progress *progress);
    void *context;
} ksk_train_options;

/* Runs the recipe in `directory`, which is made where missing:
 *
 *     recipe.yaml    the recipe as resolved        log.jsonl    what happened, an object a line
 *     run.json       versions, digests, machine    curve.svg    loss and BLEU over updates
 *     state/         to resume from                checkpoints/ weights to average, f32
 *     model/         the checkpoint; complete once it has model.safetensors
 *
 * `options` and `result` (how the run ended) may be NULL. What was saved stays whole after every
 * failure, a power cut included. Errors: BAD_ARGUMENT (a setting; a directory that holds a run
 * without `resume`; another recipe than the run's; a loss that is not finite), BAD_FILE, BAD_FORMAT
 * (a line of the data, by file and number), INTERRUPTED (`watch` said so; the state is saved),
 * OUT_OF_MEMORY. */
KSK_API bool ksk_train(const ksk_recipe *recipe, const char *directory,
                       const ksk_train_options *options, ksk_train_progress *result,
                       ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
