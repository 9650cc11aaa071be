#include "graph/ops/ops.h"

static bool complain(ksk_shaping *shaping, int i, const char *what, const char *expected)
{
    char got[160];
    ksk_graph_describe(shaping->graph, ksk_sym_dtype(shaping->inputs[i]),
                       ksk_sym_shape(shaping->inputs[i]), got, sizeof got);
    ksk_graph_fail(shaping->graph, KSK_BAD_ARGUMENT, "%s: expected %s, got %s", what, expected,
                   got);
    return false;
}

static bool is_float(ksk_dtype dtype)
{
    return dtype == KSK_F32 || dtype == KSK_BF16 || dtype == KSK_F16;
}

bool ksk_expect_matrix(ksk_shaping *shaping, int i, const char *what)
{
    const ksk_shape shape = ksk_sym_shape(shaping->inputs[i]);
    return (is_float(ksk_sym_dtype(shaping->inputs[i])) && shape.rank == 2) ||
           complain(shaping, i, what, "a matrix of floats");
}

bool ksk_expect_floats(ksk_shaping *shaping, int i, const char *what)
{
    const int rank = ksk_sym_shape(shaping->inputs[i]).rank;
    return (is_float(ksk_sym_dtype(shaping->inputs[i])) && (rank == 1 || rank == 2)) ||
           complain(shaping, i, what, "a matrix or vector of floats");
}

bool ksk_expect_vector(ksk_shaping *shaping, int i, ksk_size size, const char *what)
{
    const ksk_shape shape = ksk_sym_shape(shaping->inputs[i]);
    char expected[160];
    if (is_float(ksk_sym_dtype(shaping->inputs[i])) && shape.rank == 1 &&
        ksk_size_equal(shape.size[0], size))
        return true;
    ksk_graph_describe(shaping->graph, KSK_F32, ksk_shape1(size), expected, sizeof expected);
    return complain(shaping, i, what, expected);
}

bool ksk_expect_ids(ksk_shaping *shaping, int i, const char *what)
{
    return (ksk_sym_dtype(shaping->inputs[i]) == KSK_I32 &&
            ksk_sym_shape(shaping->inputs[i]).rank == 1) ||
           complain(shaping, i, what, "a vector of i32");
}

bool ksk_expect_same_rows(ksk_shaping *shaping, int i, int j, const char *what)
{
    const ksk_shape a = ksk_sym_shape(shaping->inputs[i]), b = ksk_sym_shape(shaping->inputs[j]);
    return ksk_size_equal(a.size[0], b.size[0]) ||
           complain(shaping, j, what, "as many rows as the input before");
}

int64_t ksk_shaping_columns(const ksk_shaping *shaping, int i)
{
    const ksk_shape shape = ksk_sym_shape(shaping->inputs[i]);
    return shape.size[shape.rank - 1].fixed;
}

void ksk_shape_like_first(ksk_shaping *shaping)
{
    shaping->output_dtype[0] = KSK_F32;
    shaping->output_shape[0] = ksk_sym_shape(shaping->inputs[0]);
}

/* --- slicing ---------------------------------------------------------------------------------- */

typedef struct row_job {
    const ksk_call *call;
    int64_t rows;
    int slices;
    void (*work)(const ksk_call *call, int64_t first, int64_t last);
} row_job;

static void run_slice(void *context, int slice)
{
    const row_job *job = context;
    job->work(job->call, job->rows * slice / job->slices, job->rows * (slice + 1) / job->slices);
}

/* Waking a thread costs a few microseconds: what one core does in that time with a row kernel. */
enum { cost_worth_a_slice = 16384 };

void ksk_over_rows(const ksk_call *call, int64_t rows, int64_t row_cost,
                   void (*work)(const ksk_call *call, int64_t first, int64_t last))
{
    int64_t slices = rows * row_cost / cost_worth_a_slice;
    if (slices > rows)
        slices = rows;
    if (slices < 2) {
        work(call, 0, rows);
        return;
    }
    /* A few slices a thread even out rows of unequal cost. */
    row_job job = {call, rows, slices > 8 ? 8 : (int)slices, work};
    ksk_parallel(call, job.slices, run_slice, &job);
}
