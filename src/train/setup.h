/* From a recipe to all that its run needs. */
#ifndef KSK_TRAIN_SETUP_H
#define KSK_TRAIN_SETUP_H

#include <jansson.h>

#include "data/corpus.h"
#include "train/recipe.h"
#include "train/step.h"

typedef struct ksk_setup {
    ksk_corpus dev_text;
    ksk_pairs train, dev;
    ksk_tokenizer *tokenizer;
    const ksk_model_type *type;
    ksk_module *module; /* with its first values */
    json_t *inherited;  /* what was taken from init_from (inherit.h); NULL: nothing, or long ago */
    ksk_sequence_rules rules;
    int threads;
} ksk_setup;

/* Says that a stage begins; false asks to stop. */
typedef bool (*ksk_setup_watch)(void *context, const char *stage);

/* Reads and encodes the data, declares and initialises the model. A fresh run gets its directory,
 * recipe.yaml, run.json and, in model/, the tokenizer and the configurations; a run that goes on
 * finds them there, and is refused where recipe or data differ. Clear it also after a failure.
 * Errors: those of ksk_train. */
bool ksk_setup_make(ksk_setup *setup, const ksk_recipe *recipe, const char *directory, bool fresh,
                    ksk_setup_watch watch, void *context, ksk_error *err);
void ksk_setup_clear(ksk_setup *setup);

#endif
