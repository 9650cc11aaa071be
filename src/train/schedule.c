#include "train/schedule.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* How far `update` is from the end of the warm-up to the last update, in [0, 1]. */
static double progress(const ksk_schedule *schedule, int64_t update)
{
    const int64_t falling = schedule->total - schedule->warmup;
    if (falling <= 0)
        return 1;
    const double share = (double)(update - schedule->warmup) / (double)falling;
    return share < 1 ? share : 1;
}

static double inverse_sqrt(const ksk_schedule *schedule, int64_t update)
{
    const double warmup = schedule->warmup > 1 ? (double)schedule->warmup : 1;
    const double rate = schedule->peak * sqrt(warmup / (double)update);
    return rate > schedule->floor ? rate : schedule->floor;
}

double ksk_schedule_rate(const ksk_schedule *schedule, int64_t update)
{
    const double fall = schedule->peak - schedule->floor;
    update = update < 1 ? 1 : update;
    if (update < schedule->warmup)
        return schedule->peak * (double)update / (double)schedule->warmup;
    switch (schedule->kind) {
    case KSK_SCHEDULE_INVERSE_SQRT:
        return inverse_sqrt(schedule, update);
    case KSK_SCHEDULE_COSINE:
        return schedule->floor + fall / 2 * (1 + cos(pi * progress(schedule, update)));
    case KSK_SCHEDULE_LINEAR:
        break;
    }
    return schedule->floor + fall * (1 - progress(schedule, update));
}

bool ksk_schedule_find(const char *name, ksk_schedule_kind *kind)
{
    static const char *const names[] = {"inverse_sqrt", "cosine", "linear"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *kind = (ksk_schedule_kind)i;
            return true;
        }
    }
    return false;
}
