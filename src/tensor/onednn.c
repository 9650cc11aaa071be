/* oneDNN's primitives have fixed shapes. Weights are cut into fixed slices of columns, and each
 * width has a primitive of one thread for every row capacity of a ladder; the pool's threads share
 * the slices. While the implementation is a `brg` one, a row's sums are the same bits at every
 * capacity. */
#include "tensor/onednn.h"

#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#include "kaskad/memory.h"

/* Of libgomp, which oneDNN's threads come from; its header would tie us to one compiler. */
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int threads);

enum {
    rungs = 9, /* row capacities 1, 2, 4 … 256 */
    most_slices = 8,
    least_columns = 256, /* of a slice: a narrower one costs more in calls than threads gain */
    column_step = 64,    /* slices begin at multiples of this */
    least_work = 400000, /* multiply-adds worth waking another thread for */
};

/* A primitive: a capacity of rows times a width of columns. */
typedef struct rung {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
} rung;

/* Columns [first, first + width) of y. */
typedef struct slice {
    int64_t first, width;
    const rung *ladder; /* [rungs] */
    void *packed;
} slice;

struct ksk_onednn {
    const ksk_kernels *kernels;
    ksk_precision precision;
    int64_t n, k;
    int64_t inner; /* k as the primitives see it: int8 rounds it up to a multiple of 4 */
    dnnl_engine_t engine;
    rung ladders[2][rungs]; /* of the usual width, and of a narrower last slice */
    slice slices[most_slices];
    int slice_count;
    int64_t width; /* of the widest slice */
    size_t bytes;
    size_t scratchpad;    /* bytes that the hungriest primitive wants */
    float *column_scales; /* int8: [n] */
    const char *name;
};

static bool is_int8(const ksk_onednn *onednn)
{
    return onednn->precision == KSK_PRECISION_INT8;
}

static dnnl_data_type_t input_type(const ksk_onednn *onednn)
{
    return is_int8(onednn) ? dnnl_s8 : dnnl_bf16;
}

static size_t input_size(const ksk_onednn *onednn)
{
    return is_int8(onednn) ? sizeof(int8_t) : sizeof(uint16_t);
}

static size_t aligned_size(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* --- primitives --------------------------------------------------------------------------------
 */

static dnnl_memory_desc_t matrix(int64_t rows, int64_t columns, dnnl_data_type_t type,
                                 dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t layout;
    const dnnl_dims_t dims = {rows, columns};
    if (dnnl_memory_desc_init_by_tag(&layout, 2, dims, type, tag) != dnnl_success)
        memset(&layout, 0, sizeof layout); /* whoever is given it refuses it */
    return layout;
}

static const dnnl_memory_desc_t *layout_of(const rung *step, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(step->description, what, 0);
}

/* Describes `rows` × `width`; `weights` may leave the layout to oneDNN. */
static bool describe(const ksk_onednn *onednn, int64_t rows, int64_t width,
                     const dnnl_memory_desc_t *weights, dnnl_primitive_desc_t *description)
{
    const dnnl_memory_desc_t x = matrix(rows, onednn->inner, input_type(onednn), dnnl_ab);
    const dnnl_memory_desc_t sums =
        matrix(rows, width, is_int8(onednn) ? dnnl_s32 : dnnl_f32, dnnl_ab);
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes = NULL;
    const bool made =
        dnnl_matmul_desc_init(&product, &x, weights, NULL, &sums) == dnnl_success &&
        dnnl_primitive_attr_create(&attributes) == dnnl_success &&
        dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) ==
            dnnl_success &&
        dnnl_primitive_desc_create(description, &product, attributes, onednn->engine, NULL) ==
            dnnl_success;
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return made;
}

static const char *name_of(const rung *step)
{
    const char *name = NULL;
    dnnl_primitive_desc_query(step->description, dnnl_query_impl_info_str, 0, &name);
    return name ? name : "";
}

/* The layout of weights that a middle capacity prefers; the others follow it. */
static bool favourite_layout(const ksk_onednn *onednn, int64_t width, dnnl_memory_desc_t *weights)
{
    const dnnl_memory_desc_t any =
        matrix(onednn->inner, width, input_type(onednn), dnnl_format_tag_any);
    rung middle = {0};
    if (!describe(onednn, 8, width, &any, &middle.description))
        return false;
    *weights = *layout_of(&middle, dnnl_query_weights_md);
    dnnl_primitive_desc_destroy(middle.description);
    return true;
}

static bool make_ladder(ksk_onednn *onednn, int64_t width, bool forced, rung *ladder)
{
    dnnl_memory_desc_t weights;
    if (!favourite_layout(onednn, width, &weights))
        return false;
    for (int i = 0; i < rungs; i++) {
        rung *step = &ladder[i];
        if (!describe(onednn, INT64_C(1) << i, width, &weights, &step->description))
            return false;
        onednn->name = name_of(step);
        if (!forced && strncmp(onednn->name, "brg", 3) != 0)
            return false;
        if (dnnl_primitive_create(&step->primitive, step->description) != dnnl_success)
            return false;
        const size_t wanted = dnnl_memory_desc_get_size(layout_of(step, dnnl_query_scratchpad_md));
        if (wanted > onednn->scratchpad)
            onednn->scratchpad = wanted;
    }
    return true;
}

/* An argument of a primitive: memory at `handle`, laid out so. */
typedef struct argument {
    int index;
    const dnnl_memory_desc_t *layout;
    void *handle;
} argument;

/* False when memory runs out. */
static bool execute(dnnl_engine_t engine, const_dnnl_primitive_t primitive, int count,
                    const argument *arguments)
{
    dnnl_exec_arg_t passed[4] = {{0}};
    dnnl_stream_t stream = NULL;
    bool fine = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
    for (int i = 0; i < count && fine; i++) {
        passed[i].arg = arguments[i].index;
        fine = dnnl_memory_create(&passed[i].memory, arguments[i].layout, engine,
                                  arguments[i].handle) == dnnl_success;
    }
    fine = fine && dnnl_primitive_execute(primitive, stream, count, passed) == dnnl_success &&
           dnnl_stream_wait(stream) == dnnl_success;
    for (int i = 0; i < count; i++)
        if (passed[i].memory)
            dnnl_memory_destroy(passed[i].memory);
    if (stream)
        dnnl_stream_destroy(stream);
    return fine;
}

/* --- packing -----------------------------------------------------------------------------------
 */

/* Brings rows [width, inner] of weights into the primitives' layout. */
static bool reorder(const ksk_onednn *onednn, void *rows, const slice *part)
{
    const dnnl_memory_desc_t from = matrix(onednn->inner, part->width, input_type(onednn), dnnl_ba);
    const dnnl_memory_desc_t *to = layout_of(part->ladder, dnnl_query_weights_md);
    const argument arguments[] = {{DNNL_ARG_FROM, &from, rows}, {DNNL_ARG_TO, to, part->packed}};
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    const bool done = dnnl_reorder_primitive_desc_create(&description, &from, onednn->engine, to,
                                                         onednn->engine, NULL) == dnnl_success &&
                      dnnl_primitive_create(&primitive, description) == dnnl_success &&
                      execute(onednn->engine, primitive, 2, arguments);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (description)
        dnnl_primitive_desc_destroy(description);
    return done;
}

/* Rows that were quantised before. */
static void keep_integers(const ksk_onednn *onednn, const slice *part, const float *from,
                          int64_t stride, int8_t *rows)
{
    const float *scales = onednn->column_scales + part->first;
    memset(rows, 0, (size_t)(part->width * onednn->inner));
    for (int64_t j = 0; j < part->width; j++)
        for (int64_t p = 0; p < onednn->k && scales[j] > 0; p++)
            rows[j * onednn->inner + p] = (int8_t)rintf(from[j * stride + p] / scales[j]);
}

static bool pack(ksk_onednn *onednn, const float *weight, int64_t stride, bool integers,
                 slice *part)
{
    const ksk_kernels *kernels = onednn->kernels;
    const size_t size = dnnl_memory_desc_get_size(layout_of(part->ladder, dnnl_query_weights_md));
    void *rows = ksk_malloc((size_t)(part->width * onednn->inner) * input_size(onednn));
    part->packed = ksk_malloc(size);
    onednn->bytes += size;
    bool done = rows && part->packed;
    if (done) {
        const float *from = weight + part->first * stride;
        if (is_int8(onednn) && integers)
            keep_integers(onednn, part, from, stride, rows);
        else if (is_int8(onednn))
            kernels->quantize_rows(part->width, onednn->k, from, stride, 0, rows, onednn->inner,
                                   onednn->column_scales + part->first);
        else
            kernels->round_rows(part->width, onednn->k, from, stride, rows, onednn->inner);
        done = reorder(onednn, rows, part);
    }
    ksk_free(rows);
    return done;
}

/* Equal slices of whole steps; the last takes what is left. */
static void cut(ksk_onednn *onednn)
{
    const int64_t n = onednn->n, fitting = n / least_columns;
    const int64_t wanted = fitting < 1 ? 1 : fitting > most_slices ? most_slices : fitting;
    const int64_t steps = (n + column_step - 1) / column_step;
    const int64_t width = (steps + wanted - 1) / wanted * column_step;
    onednn->width = width < n ? width : n;
    for (int64_t first = 0; first < n; first += width) {
        const int64_t left = n - first < width ? n - first : width;
        onednn->slices[onednn->slice_count++] =
            (slice){.first = first, .width = left, .ladder = onednn->ladders[left < onednn->width]};
    }
}

static bool build(ksk_onednn *onednn, const float *weight, int64_t stride, const float *scales,
                  bool forced)
{
    cut(onednn);
    const int64_t last = onednn->slices[onednn->slice_count - 1].width;
    if (dnnl_engine_create(&onednn->engine, dnnl_cpu, 0) != dnnl_success ||
        !make_ladder(onednn, onednn->width, forced, onednn->ladders[0]) ||
        (last < onednn->width && !make_ladder(onednn, last, forced, onednn->ladders[1])))
        return false;
    if (is_int8(onednn)) {
        onednn->column_scales = ksk_malloc((size_t)onednn->n * sizeof(float));
        if (!onednn->column_scales)
            return false;
        if (scales)
            memcpy(onednn->column_scales, scales, (size_t)onednn->n * sizeof *scales);
    }
    for (int i = 0; i < onednn->slice_count; i++)
        if (!pack(onednn, weight, stride, scales != NULL, &onednn->slices[i]))
            return false;
    return true;
}

/* Runs with one OpenMP thread, which the primitives then keep to. */
static ksk_onednn *make(const ksk_kernels *kernels, ksk_precision precision, int64_t n, int64_t k,
                        const float *weight, int64_t stride, const float *scales, bool forced)
{
    ksk_onednn *onednn = n > 0 && k > 0 ? ksk_calloc(1, sizeof *onednn) : NULL;
    if (!onednn)
        return NULL;
    onednn->kernels = kernels;
    onednn->precision = precision;
    onednn->n = n;
    onednn->k = k;
    onednn->inner = is_int8(onednn) ? (k + 3) / 4 * 4 : k;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const bool built = build(onednn, weight, stride, scales, forced);
    omp_set_num_threads(threads);
    if (built)
        return onednn;
    ksk_onednn_free(onednn);
    return NULL;
}

#if defined(__x86_64__)
static bool has_instructions(ksk_precision precision)
{
    return precision == KSK_PRECISION_INT8   ? __builtin_cpu_supports("avx512vnni")
           : precision == KSK_PRECISION_BF16 ? __builtin_cpu_supports("avx512bf16")
                                             : false;
}
#else
static bool has_instructions(ksk_precision precision)
{
    (void)precision;
    return false;
}
#endif

bool ksk_onednn_wanted(const ksk_kernels *kernels, ksk_precision precision)
{
    return strcmp(kernels->isa, "avx512") == 0 && has_instructions(precision);
}

ksk_onednn *ksk_onednn_new(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                           int64_t k, const float *weight, int64_t stride, const float *scales)
{
    if (!ksk_onednn_wanted(kernels, precision))
        return NULL;
    return make(kernels, precision, n, k, weight, stride, scales, false);
}

ksk_onednn *ksk_onednn_forced(const ksk_kernels *kernels, ksk_precision precision, int64_t n,
                              int64_t k, const float *weight, int64_t stride, const float *scales)
{
    return make(kernels, precision, n, k, weight, stride, scales, true);
}

void ksk_onednn_free(ksk_onednn *onednn)
{
    if (!onednn)
        return;
    for (int i = 0; i < onednn->slice_count; i++)
        ksk_free(onednn->slices[i].packed);
    for (int i = 0; i < 2 * rungs; i++) {
        const rung *step = &onednn->ladders[i / rungs][i % rungs];
        if (step->primitive)
            dnnl_primitive_destroy(step->primitive);
        if (step->description)
            dnnl_primitive_desc_destroy(step->description);
    }
    if (onednn->engine)
        dnnl_engine_destroy(onednn->engine);
    ksk_free(onednn->column_scales);
    ksk_free(onednn);
}

size_t ksk_onednn_bytes(const ksk_onednn *onednn)
{
    return onednn->bytes;
}

const char *ksk_onednn_name(const ksk_onednn *onednn)
{
    return onednn->name;
}

/* --- multiplying -------------------------------------------------------------------------------
 */

/* The step of the ladder for the next of `rows` rows: the largest that they fill, but one that has
 * them all when they are few, since low steps cost nearly as much as higher ones. */
static int step_for(int64_t rows)
{
    int step = 0;
    while (step < rungs - 1 && INT64_C(1) << step < rows)
        step++;
    return INT64_C(1) << step > rows && step > 5 ? step - 1 : step;
}

/* Rows that the primitives see for m. */
static int64_t rounded(int64_t m)
{
    int64_t rows = 0;
    while (rows < m)
        rows += INT64_C(1) << step_for(m - rows);
    return rows;
}

static size_t input_bytes(const ksk_onednn *onednn, int64_t m)
{
    return aligned_size((size_t)(rounded(m) * onednn->inner) * input_size(onednn));
}

static size_t scale_bytes(int64_t m)
{
    return aligned_size((size_t)m * sizeof(float));
}

static size_t sum_bytes(const ksk_onednn *onednn, int64_t m)
{
    const int64_t rows = rounded(m), most = INT64_C(1) << (rungs - 1);
    return aligned_size((size_t)((rows < most ? rows : most) * onednn->width) * sizeof(float));
}

/* A slice's own: sums, then the scratchpad. */
static size_t slice_bytes(const ksk_onednn *onednn, int64_t m)
{
    return sum_bytes(onednn, m) + aligned_size(onednn->scratchpad);
}

/* Input rows, their scales, and what each slice needs for itself. */
size_t ksk_onednn_scratch(const ksk_onednn *onednn, int64_t m)
{
    return input_bytes(onednn, m) + scale_bytes(m) +
           (size_t)onednn->slice_count * slice_bytes(onednn, m);
}

typedef struct job {
    const ksk_onednn *onednn;
    int64_t m;
    const float *x;
    int64_t x_stride;
    const ksk_epilogue *epilogue;
    float *y;
    int64_t y_stride;
    char *scratch;
    int slices; /* of the rows, while they are converted */
} job;

static float *scales_of(const job *work)
{
    return (void *)(work->scratch + input_bytes(work->onednn, work->m));
}

static void convert_rows(void *context, int index)
{
    const job *work = context;
    const ksk_onednn *onednn = work->onednn;
    const int64_t first = work->m * index / work->slices;
    const int64_t rows = work->m * (index + 1) / work->slices - first;
    const float *x = work->x + first * work->x_stride;
    void *input = work->scratch + (size_t)(first * onednn->inner) * input_size(onednn);
    if (is_int8(onednn))
        onednn->kernels->quantize_rows(rows, onednn->k, x, work->x_stride, 0, input, onednn->inner,
                                       scales_of(work) + first);
    else
        onednn->kernels->round_rows(rows, onednn->k, x, work->x_stride, input, onednn->inner);
}

static void finish(const job *work, const slice *part, int64_t top, int64_t rows, const void *sums)
{
    const ksk_onednn *onednn = work->onednn;
    ksk_epilogue end =
        work->epilogue ? *work->epilogue : (ksk_epilogue){.activation = KSK_IDENTITY};
    if (end.bias)
        end.bias += part->first;
    if (end.residual)
        end.residual += top * end.residual_stride + part->first;
    float *y = work->y + top * work->y_stride + part->first;
    if (is_int8(onednn))
        onednn->kernels->finish_int8(rows, part->width, sums, part->width, scales_of(work) + top,
                                     onednn->column_scales + part->first, &end, y, work->y_stride);
    else
        onednn->kernels->finish_f32(rows, part->width, sums, part->width, &end, y, work->y_stride);
}

/* There is nobody to tell that memory ran out in the middle of a run: the numbers say it. */
static void spoil(const job *work, const slice *part, int64_t top, int64_t rows)
{
    for (int64_t i = top; i < top + rows; i++)
        for (int64_t j = part->first; j < part->first + part->width; j++)
            work->y[i * work->y_stride + j] = NAN;
}

/* Rows [top, top + rows) of a slice, through one step of its ladder. */
static void multiply_rows(const job *work, const slice *part, const rung *step, int64_t top,
                          int64_t rows, char *sums)
{
    const ksk_onednn *onednn = work->onednn;
    char *input = work->scratch + (size_t)(top * onednn->inner) * input_size(onednn);
    const argument arguments[] = {
        {DNNL_ARG_SRC, layout_of(step, dnnl_query_src_md), input},
        {DNNL_ARG_WEIGHTS, layout_of(step, dnnl_query_weights_md), part->packed},
        {DNNL_ARG_DST, layout_of(step, dnnl_query_dst_md), sums},
        {DNNL_ARG_SCRATCHPAD, layout_of(step, dnnl_query_scratchpad_md),
         sums + sum_bytes(onednn, work->m)}};
    if (execute(onednn->engine, step->primitive, 4, arguments))
        finish(work, part, top, rows, sums);
    else
        spoil(work, part, top, rows);
}

static void multiply_slice(void *context, int index)
{
    const job *work = context;
    const ksk_onednn *onednn = work->onednn;
    const slice *part = &onednn->slices[index];
    char *own = (char *)scales_of(work) + scale_bytes(work->m) +
                (size_t)index * slice_bytes(onednn, work->m);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    for (int64_t top = 0; top < work->m;) {
        const int64_t left = work->m - top;
        const int step = step_for(left);
        const int64_t rows = left < INT64_C(1) << step ? left : INT64_C(1) << step;
        multiply_rows(work, part, &part->ladder[step], top, rows, own);
        top += rows;
    }
    omp_set_num_threads(threads);
}

void ksk_onednn_product(const ksk_onednn *onednn, int64_t m, const float *x, int64_t x_stride,
                        const ksk_epilogue *epilogue, float *y, int64_t y_stride, void *scratch,
                        ksk_pool *pool)
{
    job work = {onednn, m, x, x_stride, epilogue, y, y_stride, scratch, 1};
    const int64_t padding = rounded(m) - m;
    memset(work.scratch + (size_t)(m * onednn->inner) * input_size(onednn), 0,
           (size_t)(padding * onednn->inner) * input_size(onednn));
    if (m * onednn->k >= least_work / 4)
        work.slices = ksk_pool_threads(pool);
    ksk_pool_run(pool, work.slices, convert_rows, &work);
    const bool large = m * onednn->n * onednn->k >= least_work;
    ksk_pool_run(large ? pool : NULL, onednn->slice_count, multiply_slice, &work);
}
