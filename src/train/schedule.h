/* Learning rates as pure functions of the update's number. All rise linearly over the first
 * `warmup` updates, then fall:
 *
 *     inverse square root   peak · √(warmup / update)                    (Vaswani et al. 2017)
 *     cosine                from peak to floor along half a cosine       (Loshchilov & Hutter 2017)
 *     linear                from peak to floor along a line */
#ifndef KSK_TRAIN_SCHEDULE_H
#define KSK_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ksk_schedule_kind {
    KSK_SCHEDULE_INVERSE_SQRT,
    KSK_SCHEDULE_COSINE,
    KSK_SCHEDULE_LINEAR,
} ksk_schedule_kind;

typedef struct ksk_schedule {
    ksk_schedule_kind kind;
    double peak;    /* the rate where the warm-up ends */
    double floor;   /* the rate from `total` on; inverse square root never goes below it either */
    int64_t warmup; /* updates; 0: none (the inverse square root then starts at the peak) */
    int64_t total;  /* updates in all; not used by the inverse square root */
} ksk_schedule;

/* The rate of update 1, 2, …; any number below 1 counts as 1. */
double ksk_schedule_rate(const ksk_schedule *schedule, int64_t update);

/* A schedule by the name that recipes use ("inverse_sqrt", "cosine", "linear"); false if unknown.
 */
bool ksk_schedule_find(const char *name, ksk_schedule_kind *kind);

#endif
