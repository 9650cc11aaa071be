/* Sums over rows in slices that depend on the sizes alone. */
#include <string.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

typedef void sum_work(const ksk_call *call, int64_t first, int64_t last, float *sums);

typedef struct sum_job {
    const ksk_call *call;
    int64_t rows, width;
    int slices;
    sum_work *work;
} sum_job;

/* More slices than this cost more in adding them up than they bring. */
enum { most_slices = 16, cost_worth_a_slice = 32768 };

static int slices_of(int64_t rows, int64_t width)
{
    const int64_t slices = rows * width / cost_worth_a_slice;
    return slices > most_slices ? most_slices : slices < 1 ? 1 : (int)slices;
}

/* Each slice's sums begin on a cache line of their own. */
static int64_t room_of(int64_t width)
{
    return (width + 15) / 16 * 16;
}

size_t ksk_sum_scratch(int64_t rows, int64_t width)
{
    return (size_t)(slices_of(rows, width) * room_of(width)) * sizeof(float);
}

static void sum_slice(void *context, int slice)
{
    const sum_job *job = context;
    float *sums = (float *)job->call->scratch + slice * room_of(job->width);
    memset(sums, 0, (size_t)job->width * sizeof *sums);
    job->work(job->call, job->rows * slice / job->slices, job->rows * (slice + 1) / job->slices,
              sums);
}

const float *ksk_sum_over_rows(const ksk_call *call, int64_t rows, int64_t width, sum_work *work)
{
    sum_job job = {call, rows, width, slices_of(rows, width), work};
    float *sums = call->scratch;
    ksk_parallel(call, job.slices, sum_slice, &job);
    for (int i = 1; i < job.slices; i++)
        call->kernels->add(1, width, sums, 0, sums + i * room_of(width), 0, sums, 0);
    return sums;
}
