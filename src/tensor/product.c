#include "tensor/product.h"

#include <stdio.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/onednn.h"
#include "tensor/packing.h"

/* Columns [column, column + n) of a product: a matrix, whose panels are those from `panel` on. */
typedef struct segment {
    int64_t column, n, panel;
    const void *weights;
    const float *scales; /* int8: [n] */
} segment;

struct ksk_packed {
    const ksk_kernels *kernels;
    ksk_precision precision;
    int64_t n, k;
    int64_t panels;     /* of all segments */
    size_t bytes;       /* of the weights */
    ksk_tensor *matrix; /* packed; NULL in f32 and when oneDNN holds the weights */
    float *floats;      /* packed in f32 */
    segment *segments;  /* of either */
    int segment_count;
    ksk_onednn *onednn; /* NULL: the table's own kernels */
    char kernel[64];
};

static int64_t panels_of(const ksk_kernels *kernels, int64_t n)
{
    return (n + kernels->panel - 1) / kernels->panel;
}

static int64_t padded_k(int64_t k)
{
    return (k + 3) / 4 * 4;
}

/* Scratch is cut into parts that begin on a cache line. */
static size_t aligned_size(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* --- packing ---------------------------------------------------------------------------------- */

static ksk_packed *new_packed(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                              int64_t k)
{
    static const char *const names[] = {"f32", "bf16", "int8"};
    ksk_packed *packed = ksk_calloc(1, sizeof *packed);
    if (!packed)
        return NULL;
    packed->kernels = kernels;
    packed->precision = precision;
    packed->n = n;
    packed->k = k;
    snprintf(packed->kernel, sizeof packed->kernel, "%s %s", kernels->isa, names[precision]);
    return packed;
}

static bool hold_floats(ksk_packed *packed, const float *weight, int64_t stride)
{
    const int64_t n = packed->n, k = packed->k;
    packed->panels = panels_of(packed->kernels, n);
    packed->bytes = (size_t)(packed->panels * packed->kernels->panel * k) * sizeof(float);
    packed->floats = ksk_malloc(packed->bytes);
    packed->segments = ksk_calloc(1, sizeof *packed->segments);
    if (!packed->floats || !packed->segments)
        return false;
    packed->kernels->pack_f32(k, n, weight, 1, stride, 0, packed->panels, packed->floats);
    packed->segments[packed->segment_count++] = (segment){.n = n, .weights = packed->floats};
    return true;
}

static void add_segment(ksk_packed *packed, const ksk_tensor *part, int64_t column)
{
    const ksk_tensor *scales = part->packing->scales;
    packed->segments[packed->segment_count++] = (segment){.column = column,
                                                          .n = part->shape[0],
                                                          .panel = packed->panels,
                                                          .weights = part->data,
                                                          .scales = scales ? scales->data : NULL};
    packed->panels += panels_of(packed->kernels, part->shape[0]);
}

/* Takes a matrix that is packed for the kernels. */
static bool hold_matrix(ksk_packed *packed, ksk_tensor *matrix)
{
    const ksk_packing *packing = matrix->packing;
    packed->matrix = matrix;
    packed->bytes = packing->bytes;
    packed->segments = ksk_calloc((size_t)packing->count + 1, sizeof *packed->segments);
    if (!packed->segments)
        return false;
    if (!packing->count)
        add_segment(packed, matrix, 0);
    int64_t column = 0;
    for (int i = 0; i < packing->count; column += packing->parts[i++]->shape[0])
        add_segment(packed, packing->parts[i], column);
    return true;
}

/* Packed anew where the panels are not those of the kernels. */
static bool adopt_matrix(ksk_packed *packed, const ksk_tensor *matrix, ksk_error *err)
{
    ksk_tensor *fitting =
        ksk_pack(packed->kernels, packed->precision, KSK_TABLE_STEPS, matrix, err);
    return fitting && (hold_matrix(packed, fitting) || ksk_fail_memory(err));
}

static bool hold_onednn(ksk_packed *packed, const float *weight, int64_t stride,
                        const float *scales)
{
    packed->onednn = ksk_onednn_new(packed->kernels, packed->precision, packed->n, packed->k,
                                    weight, stride, scales);
    if (!packed->onednn)
        return false;
    packed->bytes = ksk_onednn_bytes(packed->onednn);
    snprintf(packed->kernel, sizeof packed->kernel, "%s", ksk_onednn_name(packed->onednn));
    return true;
}

static bool hold(ksk_packed *packed, const float *weight, int64_t stride, ksk_error *err)
{
    if (hold_onednn(packed, weight, stride, NULL))
        return true;
    if (packed->precision == KSK_PRECISION_F32)
        return hold_floats(packed, weight, stride) || ksk_fail_memory(err);
    ksk_tensor *matrix = ksk_pack_floats(packed->kernels, packed->precision, KSK_TABLE_STEPS,
                                         packed->n, packed->k, weight, stride, err);
    return matrix && (hold_matrix(packed, matrix) || ksk_fail_memory(err));
}

ksk_packed *ksk_packed_new(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                           int64_t k, const float *weight, int64_t stride, ksk_error *err)
{
    if (precision > KSK_PRECISION_INT8)
        precision = KSK_PRECISION_F32;
    ksk_packed *packed = new_packed(kernels, precision, n, k);
    if (!packed)
        ksk_fail_memory(err);
    else if (hold(packed, weight, stride, err))
        return packed;
    ksk_packed_free(packed);
    return NULL;
}

/* The scales of all parts, one after the other; NULL when memory runs out. */
static float *gather_scales(const ksk_tensor *matrix)
{
    const ksk_packing *packing = matrix->packing;
    float *scales = ksk_malloc((size_t)matrix->shape[0] * sizeof *scales), *at = scales;
    for (int i = 0; scales && i < (packing->count ? packing->count : 1); i++) {
        const ksk_tensor *part = packing->count ? packing->parts[i] : matrix;
        memcpy(at, part->packing->scales->data, (size_t)part->shape[0] * sizeof *at);
        at += part->shape[0];
    }
    return scales;
}

static bool hand_to_onednn(ksk_packed *packed, const ksk_tensor *matrix, ksk_error *err)
{
    const bool int8 = packed->precision == KSK_PRECISION_INT8;
    ksk_tensor *floats = ksk_tensor_convert(matrix, KSK_F32, err);
    float *scales = int8 ? gather_scales(matrix) : NULL;
    bool held = false;
    if (floats && (scales || !int8))
        held = hold_onednn(packed, ksk_tensor_f32(floats), packed->k, scales);
    else if (floats)
        ksk_fail_memory(err);
    const bool refused = floats && (scales || !int8) && !held;
    ksk_tensor_release(floats);
    ksk_free(scales);
    return held || (refused && adopt_matrix(packed, matrix, err));
}

ksk_packed *ksk_packed_share(const ksk_kernels *kernels, const ksk_tensor *matrix, ksk_error *err)
{
    const ksk_precision precision =
        matrix->dtype == KSK_I8 ? KSK_PRECISION_INT8 : KSK_PRECISION_BF16;
    ksk_packed *packed = new_packed(kernels, precision, matrix->shape[0], matrix->shape[1]);
    if (!packed)
        ksk_fail_memory(err);
    else if (ksk_onednn_wanted(kernels, precision) ? hand_to_onednn(packed, matrix, err)
                                                   : adopt_matrix(packed, matrix, err))
        return packed;
    ksk_packed_free(packed);
    return NULL;
}

void ksk_packed_free(ksk_packed *packed)
{
    if (!packed)
        return;
    ksk_onednn_free(packed->onednn);
    ksk_tensor_release(packed->matrix);
    ksk_free(packed->floats);
    ksk_free(packed->segments);
    ksk_free(packed);
}

size_t ksk_packed_bytes(const ksk_packed *packed)
{
    return packed->bytes;
}

ksk_precision ksk_packed_precision(const ksk_packed *packed)
{
    return packed->precision;
}

const char *ksk_packed_kernel(const ksk_packed *packed)
{
    return packed->kernel;
}

/* --- slicing ---------------------------------------------------------------------------------- */

/* A product on its way to the threads. Each slice is a range of panels or a range of rows. */
typedef struct product_job {
    const ksk_packed *packed; /* NULL: plain, in f32 */
    const ksk_kernels *kernels;
    int64_t m, n, k, panels;
    ksk_left a;
    const segment *segments;
    int segment_count;
    const int8_t *q; /* int8: the rows as bytes, with their scales */
    const float *row_scales;
    const ksk_epilogue *epilogue;
    float *y;
    int64_t y_stride;
    int slices;
    bool by_rows;
} product_job;

/* What one thread does in a microsecond, within a factor of two on the processors of these years,
 * and the microseconds that are worth another thread: two hand-overs from core to core and some bad
 * luck.
 */
enum { multiplies_per_us = 45000, bytes_per_us = 50000, least_us = 4 };

/* Elements that are worth two threads when a row is only copied, packed or quantised. */
enum { least_copy = 50000 };

/* Slice i of `count` units, in as equal parts as can be. */
static int64_t cut(int64_t count, int slice, int slices)
{
    return count * slice / slices;
}

/* How long one thread would take: few rows wait for their weights, many for the arithmetic. */
static int64_t microseconds(const product_job *job)
{
    const int64_t elements = job->n * job->k;
    const int64_t bytes =
        job->packed ? (int64_t)job->packed->bytes : elements * (int64_t)sizeof(float);
    const int64_t reading = bytes / bytes_per_us;
    const int64_t multiplying = job->m * elements / multiplies_per_us;
    return reading > multiplying ? reading : multiplying;
}

static void slice_job(product_job *job, const ksk_pool *pool)
{
    const int64_t threads = ksk_pool_threads(pool);
    const int64_t panels = job->panels;
    const int64_t worth = microseconds(job) / least_us;
    job->by_rows = panels < 4 * threads && job->m >= panels;
    const int64_t most = job->by_rows ? job->m : panels;
    int64_t slices = worth < threads ? worth : threads;
    slices = slices < most ? slices : most;
    job->slices = slices > 1 ? (int)slices : 1;
}

/* Some panels of one matrix: `part` says where its columns are among those of y. */
static void multiply_part(const product_job *job, const segment *part, int64_t top, int64_t rows,
                          int64_t first, int64_t last)
{
    const ksk_kernels *kernels = job->kernels;
    const ksk_left a = {job->a.data + top * job->a.row, job->a.row, job->a.column};
    ksk_epilogue epilogue =
        job->epilogue ? *job->epilogue : (ksk_epilogue){.activation = KSK_IDENTITY};
    if (epilogue.bias)
        epilogue.bias += part->column;
    if (epilogue.residual)
        epilogue.residual += top * epilogue.residual_stride + part->column;
    float *y = job->y + top * job->y_stride + part->column;
    switch (job->packed ? job->packed->precision : KSK_PRECISION_F32) {
    default:
        kernels->product_f32(rows, part->n, job->k, a, part->weights, first, last, &epilogue, y,
                             job->y_stride);
        break;
    case KSK_PRECISION_BF16:
        kernels->product_bf16(rows, part->n, job->k, a, part->weights, first, last, &epilogue, y,
                              job->y_stride);
        break;
    case KSK_PRECISION_INT8:
        kernels->product_int8(rows, part->n, job->k, job->q + top * padded_k(job->k),
                              padded_k(job->k), job->row_scales + top, part->weights, part->scales,
                              first, last, &epilogue, y, job->y_stride);
        break;
    }
}

/* Rows [top, top + rows) times panels [first, last). */
static void multiply(const product_job *job, int64_t top, int64_t rows, int64_t first, int64_t last)
{
    for (int i = 0; i < job->segment_count; i++) {
        const segment *part = &job->segments[i];
        const int64_t panels = panels_of(job->kernels, part->n);
        const int64_t begin = first > part->panel ? first - part->panel : 0;
        const int64_t end = last - part->panel < panels ? last - part->panel : panels;
        if (begin < end)
            multiply_part(job, part, top, rows, begin, end);
    }
}

static void run_slice(void *context, int slice)
{
    const product_job *job = context;
    const int64_t panels = job->panels;
    if (job->by_rows) {
        const int64_t top = cut(job->m, slice, job->slices);
        multiply(job, top, cut(job->m, slice + 1, job->slices) - top, 0, panels);
    } else {
        multiply(job, 0, job->m, cut(panels, slice, job->slices),
                 cut(panels, slice + 1, job->slices));
    }
}

/* --- products with packed weights ------------------------------------------------------------- */

static size_t row_bytes(const ksk_packed *packed, int64_t m)
{
    return aligned_size((size_t)(m * padded_k(packed->k)));
}

size_t ksk_product_scratch(const ksk_packed *packed, int64_t m)
{
    if (packed->onednn)
        return ksk_onednn_scratch(packed->onednn, m);
    if (packed->precision != KSK_PRECISION_INT8)
        return 0;
    return row_bytes(packed, m) + aligned_size((size_t)m * sizeof(float));
}

/* Where int8 rows and their scales go; `slices` as in product_job. */
typedef struct quantize_job {
    const ksk_packed *packed;
    int64_t m;
    const float *x;
    int64_t x_stride;
    int8_t *q;
    float *row_scales;
    int slices;
} quantize_job;

static void quantize_slice(void *context, int slice)
{
    const quantize_job *job = context;
    const int64_t k = job->packed->k, first = cut(job->m, slice, job->slices);
    job->packed->kernels->quantize_rows(
        cut(job->m, slice + 1, job->slices) - first, k, job->x + first * job->x_stride,
        job->x_stride, 128, job->q + first * padded_k(k), padded_k(k), job->row_scales + first);
}

static void quantize(const ksk_packed *packed, int64_t m, const float *x, int64_t x_stride,
                     int8_t *q, float *row_scales, ksk_pool *pool)
{
    quantize_job job = {packed, m, x, x_stride, q, row_scales, 1};
    if (m * packed->k >= least_copy)
        job.slices = ksk_pool_threads(pool);
    ksk_pool_run(pool, job.slices, quantize_slice, &job);
}

void ksk_product(const ksk_packed *packed, int64_t m, const float *x, int64_t x_stride,
                 const ksk_epilogue *epilogue, float *y, int64_t y_stride, void *scratch,
                 ksk_pool *pool)
{
    if (packed->onednn) {
        ksk_onednn_product(packed->onednn, m, x, x_stride, epilogue, y, y_stride, scratch, pool);
        return;
    }
    product_job job = {.packed = packed,
                       .kernels = packed->kernels,
                       .m = m,
                       .n = packed->n,
                       .k = packed->k,
                       .panels = packed->panels,
                       .a = {x, x_stride, 1},
                       .segments = packed->segments,
                       .segment_count = packed->segment_count,
                       .epilogue = epilogue,
                       .y = y,
                       .y_stride = y_stride};
    if (packed->precision == KSK_PRECISION_INT8) {
        int8_t *q = scratch;
        float *row_scales = (void *)((char *)scratch + row_bytes(packed, m));
        quantize(packed, m, x, x_stride, q, row_scales, pool);
        job.q = q;
        job.row_scales = row_scales;
    }
    slice_job(&job, pool);
    ksk_pool_run(pool, job.slices, run_slice, &job);
}

/* --- products of two operands that change ------------------------------------------------------
 */

typedef struct packing_job {
    const ksk_kernels *kernels;
    int64_t m, n, k;
    const float *b;
    int64_t row, column;
    float *packed;
    ksk_left a;
    float *rows; /* NULL: a is fine as it is */
    int slices;
} packing_job;

/* Blocks of 16 by 16, so that both sides stay in the cache. */
static void gather_rows(ksk_left a, int64_t first, int64_t last, int64_t k, float *rows)
{
    enum { side = 16 };
    for (int64_t top = first; top < last; top += side) {
        const int64_t bottom = top + side < last ? top + side : last;
        for (int64_t left = 0; left < k; left += side) {
            const int64_t right = left + side < k ? left + side : k;
            for (int64_t i = top; i < bottom; i++)
                for (int64_t p = left; p < right; p++)
                    rows[i * k + p] = a.data[i * a.row + p * a.column];
        }
    }
}

static void pack_slice(void *context, int slice)
{
    const packing_job *job = context;
    const int64_t panels = panels_of(job->kernels, job->n);
    job->kernels->pack_f32(job->k, job->n, job->b, job->row, job->column,
                           cut(panels, slice, job->slices), cut(panels, slice + 1, job->slices),
                           job->packed);
    if (job->rows)
        gather_rows(job->a, cut(job->m, slice, job->slices), cut(job->m, slice + 1, job->slices),
                    job->k, job->rows);
}

static size_t packed_size(const ksk_kernels *kernels, int64_t n, int64_t k)
{
    return aligned_size((size_t)(panels_of(kernels, n) * kernels->panel * k) * sizeof(float));
}

/* A left operand across its rows is read once for every panel; several panels pay for a copy. */
static bool wants_rows(const ksk_kernels *kernels, int64_t n, ksk_left a)
{
    return a.column != 1 && n > 2 * kernels->panel;
}

size_t ksk_product_plain_scratch(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k,
                                 ksk_left a)
{
    const size_t rows = wants_rows(kernels, n, a) ? (size_t)(m * k) * sizeof(float) : 0;
    return packed_size(kernels, n, k) + aligned_size(rows);
}

void ksk_product_plain(const ksk_kernels *kernels, int64_t m, int64_t n, int64_t k, ksk_left a,
                       const float *b, int64_t row, int64_t column, const ksk_epilogue *epilogue,
                       float *y, int64_t y_stride, void *scratch, ksk_pool *pool)
{
    packing_job packing = {kernels, m, n, k, b, row, column, scratch, a, NULL, 1};
    if (wants_rows(kernels, n, a))
        packing.rows = (void *)((char *)scratch + packed_size(kernels, n, k));
    if (n * k + m * k >= least_copy)
        packing.slices = ksk_pool_threads(pool);
    ksk_pool_run(pool, packing.slices, pack_slice, &packing);

    const segment whole = {.n = n, .weights = scratch};
    product_job job = {.kernels = kernels,
                       .m = m,
                       .n = n,
                       .k = k,
                       .panels = panels_of(kernels, n),
                       .a = packing.rows ? (ksk_left){packing.rows, k, 1} : a,
                       .segments = &whole,
                       .segment_count = 1,
                       .epilogue = epilogue,
                       .y = y,
                       .y_stride = y_stride};
    slice_job(&job, pool);
    ksk_pool_run(pool, job.slices, run_slice, &job);
}
