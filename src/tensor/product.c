#include "tensor/product.h"

#include <stdio.h>

#include "kaskad/memory.h"
#include "tensor/onednn.h"

struct ksk_packed {
    const ksk_kernels *kernels;
    ksk_precision precision;
    int64_t n, k;
    size_t bytes;         /* of the weights */
    void *weights;        /* as the kernel packs them; NULL when oneDNN holds them */
    float *column_scales; /* int8: [n] */
    ksk_onednn *onednn;   /* NULL: the table's own kernels */
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

static size_t weight_bytes(const ksk_packed *packed)
{
    const size_t elements =
        (size_t)(panels_of(packed->kernels, packed->n) * packed->kernels->panel * packed->k);
    switch (packed->precision) {
    case KSK_PRECISION_INT8:
        return packed->kernels->pack_int8_size(packed->k, packed->n);
    case KSK_PRECISION_BF16:
        return elements * sizeof(uint16_t);
    case KSK_PRECISION_F32:
        break;
    }
    return elements * sizeof(float);
}

static bool pack_own(ksk_packed *packed, const float *weight, int64_t stride)
{
    const ksk_kernels *kernels = packed->kernels;
    const int64_t panels = panels_of(kernels, packed->n), n = packed->n, k = packed->k;
    packed->bytes = weight_bytes(packed);
    packed->weights = ksk_malloc(packed->bytes);
    if (packed->precision == KSK_PRECISION_INT8)
        packed->column_scales = ksk_calloc((size_t)n, sizeof(float));
    if (!packed->weights || (packed->precision == KSK_PRECISION_INT8 && !packed->column_scales))
        return false;
    switch (packed->precision) {
    case KSK_PRECISION_F32:
        kernels->pack_f32(k, n, weight, 1, stride, 0, panels, packed->weights);
        break;
    case KSK_PRECISION_BF16:
        kernels->pack_bf16(k, n, weight, 1, stride, 0, panels, packed->weights);
        break;
    case KSK_PRECISION_INT8:
        kernels->pack_int8(k, n, weight, 1, stride, packed->weights, packed->column_scales);
        break;
    }
    return true;
}

ksk_packed *ksk_packed_new(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                           int64_t k, const float *weight, int64_t stride, ksk_error *err)
{
    static const char *const names[] = {"f32", "bf16", "int8"};
    ksk_packed *packed = ksk_calloc(1, sizeof *packed);
    if (!packed) {
        ksk_fail_memory(err);
        return NULL;
    }
    packed->kernels = kernels;
    packed->precision = precision;
    packed->n = n;
    packed->k = k;
    packed->onednn = ksk_onednn_new(kernels, precision, n, k, weight, stride);
    if (packed->onednn) {
        packed->bytes = ksk_onednn_bytes(packed->onednn);
        snprintf(packed->kernel, sizeof packed->kernel, "%s", ksk_onednn_name(packed->onednn));
        return packed;
    }
    snprintf(packed->kernel, sizeof packed->kernel, "%s %s", kernels->isa, names[precision]);
    if (!pack_own(packed, weight, stride)) {
        ksk_packed_free(packed);
        ksk_fail_memory(err);
        return NULL;
    }
    return packed;
}

void ksk_packed_free(ksk_packed *packed)
{
    if (!packed)
        return;
    ksk_onednn_free(packed->onednn);
    ksk_free(packed->column_scales);
    ksk_free(packed->weights);
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
    const ksk_packed *packed; /* NULL: plain, with `weights` packed in f32 */
    const ksk_kernels *kernels;
    int64_t m, n, k;
    ksk_left a;
    const void *weights;
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
    const int64_t panels = panels_of(job->kernels, job->n);
    const int64_t worth = microseconds(job) / least_us;
    job->by_rows = panels < 4 * threads && job->m >= panels;
    const int64_t most = job->by_rows ? job->m : panels;
    int64_t slices = worth < threads ? worth : threads;
    slices = slices < most ? slices : most;
    job->slices = slices > 1 ? (int)slices : 1;
}

static void multiply(const product_job *job, int64_t top, int64_t rows, int64_t first, int64_t last)
{
    const ksk_kernels *kernels = job->kernels;
    const ksk_left a = {job->a.data + top * job->a.row, job->a.row, job->a.column};
    ksk_epilogue epilogue =
        job->epilogue ? *job->epilogue : (ksk_epilogue){.activation = KSK_IDENTITY};
    if (epilogue.residual)
        epilogue.residual += top * epilogue.residual_stride;
    float *y = job->y + top * job->y_stride;
    switch (job->packed ? job->packed->precision : KSK_PRECISION_F32) {
    case KSK_PRECISION_F32:
        kernels->product_f32(rows, job->n, job->k, a, job->weights, first, last, &epilogue, y,
                             job->y_stride);
        break;
    case KSK_PRECISION_BF16:
        kernels->product_bf16(rows, job->n, job->k, a, job->weights, first, last, &epilogue, y,
                              job->y_stride);
        break;
    case KSK_PRECISION_INT8:
        kernels->product_int8(rows, job->n, job->k, job->q + top * padded_k(job->k),
                              padded_k(job->k), job->row_scales + top, job->weights,
                              job->packed->column_scales, first, last, &epilogue, y, job->y_stride);
        break;
    }
}

static void run_slice(void *context, int slice)
{
    const product_job *job = context;
    const int64_t panels = panels_of(job->kernels, job->n);
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
                       .a = {x, x_stride, 1},
                       .weights = packed->weights,
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

    product_job job = {.kernels = kernels,
                       .m = m,
                       .n = n,
                       .k = k,
                       .a = packing.rows ? (ksk_left){packing.rows, k, 1} : a,
                       .weights = scratch,
                       .epilogue = epilogue,
                       .y = y,
                       .y_stride = y_stride};
    slice_job(&job, pool);
    ksk_pool_run(pool, job.slices, run_slice, &job);
}
