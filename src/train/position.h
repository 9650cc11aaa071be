/* Where a run is: what a trainer's own state does not say. Saved beside it, so that a run goes on
 * as if it had never stopped. */
#ifndef KSK_TRAIN_POSITION_H
#define KSK_TRAIN_POSITION_H

#include "train/step.h"

/* Weights on disk: checkpoints/UPDATE.safetensors. */
typedef struct ksk_checkpoint {
    int64_t update;
    double loss, bleu; /* on the dev pairs */
} ksk_checkpoint;

typedef struct ksk_position {
    int64_t update;
    int64_t epoch, batch;        /* of the next batch */
    int64_t evaluated;           /* the last update evaluated, -1: none */
    int64_t without_better;      /* evaluations since the best one */
    ksk_checkpoint best;         /* best.update is -1 before the first evaluation */
    ksk_checkpoint *checkpoints; /* kept for the average, in order of update; the best one too */
    size_t checkpoint_count, checkpoint_room;
    double loss_sum; /* since the last line of the log: nats, target tokens */
    int64_t loss_tokens;
    double seconds;     /* of work before the run was last begun or resumed, then up to now */
    int64_t log_length; /* bytes of the log */
} ksk_position;

ksk_position ksk_position_start(void);
void ksk_position_clear(ksk_position *position);

/* The file name of an update's weights. */
typedef struct ksk_file_name {
    char text[48];
} ksk_file_name;
ksk_file_name ksk_checkpoint_name(int64_t update);

/* Writes the trainer's state and the position to `directory`/state, then removes what neither needs
 * any more, checkpoints included. Interrupted anywhere, the state before or this one is whole.
 * Errors: BAD_FILE, OUT_OF_MEMORY. */
bool ksk_position_save(const ksk_position *position, const ksk_trainer *trainer,
                       const char *directory, ksk_error *err);

/* Whether a state was saved there. */
bool ksk_position_saved(const char *directory);

/* Reads both back. Errors: BAD_FILE, BAD_FORMAT, OUT_OF_MEMORY. Clear it also after a failure. */
bool ksk_position_restore(ksk_position *position, ksk_trainer *trainer, const char *directory,
                          ksk_error *err);

#endif
