/* Every kernel of every table that this processor runs, against a plain loop in double precision,
 * and against itself on one row at a time. */
#include "tensor/kernels.h"

#include "numbers.h"
#include "tables.h"
#include "tensor/tensor.h"

/* --- products --------------------------------------------------------------------------------- */

static double plain_activation(ksk_activation kind, double x)
{
    switch (kind) {
    case KSK_RELU:
        return x < 0 ? 0 : x;
    case KSK_GELU:
        return x / 2 * erfc(-x / sqrt(2));
    case KSK_GELU_NEW:
        return x / 2 * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case KSK_SILU:
        return x / (1 + exp(-x));
    case KSK_TANH:
        return tanh(x);
    case KSK_IDENTITY:
        break;
    }
    return x;
}

static double finished(double sum, const ksk_epilogue *epilogue, int64_t i, int64_t j)
{
    if (!epilogue)
        return sum;
    if (epilogue->bias)
        sum += (double)epilogue->bias[j];
    sum = plain_activation(epilogue->activation, sum);
    if (epilogue->residual)
        sum += (double)epilogue->residual[i * epilogue->residual_stride + j];
    return sum;
}

enum { mid_n = 53, mid_k = 37 };

static const int64_t heights[] = {1, 2, 3, 5, 6, 7, 12, 13, 17, 64};
enum { height_count = sizeof heights / sizeof *heights };

/* One product's operands: a [m, k] by rows or by columns, b [k, n] likewise. */
typedef struct operands {
    int64_t m, n, k;
    float *a, *b, *bias, *residual;
    ksk_left left;
    int64_t row, column; /* of b */
    ksk_epilogue epilogue;
} operands;

static operands make_operands(int64_t m, int64_t n, int64_t k, bool turned, ksk_activation kind)
{
    operands o = {.m = m, .n = n, .k = k};
    o.a = numbers(turned ? extent(k, m, m + 3) : extent(m, k, k + 4));
    o.left = turned ? (ksk_left){o.a, 1, m + 3} : (ksk_left){o.a, k + 4, 1};
    o.b = numbers(turned ? extent(k, n, n + 2) : extent(n, k, k + 1));
    o.row = turned ? n + 2 : 1;
    o.column = turned ? 1 : k + 1;
    o.bias = numbers(n);
    o.residual = numbers(extent(m, n, n + 5));
    o.epilogue = (ksk_epilogue){o.bias, kind, o.residual, n + 5};
    return o;
}

static void free_operands(operands o)
{
    free(o.a);
    free(o.b);
    free(o.bias);
    free(o.residual);
}

static double plain_product(const operands *o, int64_t i, int64_t j, bool bf16)
{
    double sum = 0;
    for (int64_t p = 0; p < o->k; p++) {
        const float b = o->b[p * o->row + j * o->column];
        sum += (double)o->a[i * o->left.row + p * o->left.column] *
               (double)(bf16 ? ksk_bf16_to_f32(ksk_f32_to_bf16(b)) : b);
    }
    return sum;
}

static int64_t panels_of(const ksk_kernels *kernels, int64_t n)
{
    return (n + kernels->panel - 1) / kernels->panel;
}

/* Runs a float product in bf16 or f32 over panels [first, last). */
static void run_float(const ksk_kernels *kernels, bool bf16, const operands *o, int64_t m,
                      ksk_left left, const void *packed, int64_t first, int64_t last,
                      const ksk_epilogue *epilogue, float *y, int64_t stride)
{
    if (bf16)
        kernels->product_bf16(m, o->n, o->k, left, packed, first, last, epilogue, y, stride);
    else
        kernels->product_f32(m, o->n, o->k, left, packed, first, last, epilogue, y, stride);
}

static void *pack_float(const ksk_kernels *kernels, bool bf16, const operands *o)
{
    const int64_t panels = panels_of(kernels, o->n);
    const size_t size = (size_t)(panels * kernels->panel * o->k) * (bf16 ? 2 : 4);
    void *packed = take(size);
    memset(packed, 0xff, size); /* NaN where padding is forgotten */
    const int64_t middle = panels / 2;
    if (bf16) {
        kernels->pack_bf16(o->k, o->n, o->b, o->row, o->column, 0, middle, packed);
        kernels->pack_bf16(o->k, o->n, o->b, o->row, o->column, middle, panels, packed);
    } else {
        kernels->pack_f32(o->k, o->n, o->b, o->row, o->column, 0, middle, packed);
        kernels->pack_f32(o->k, o->n, o->b, o->row, o->column, middle, panels, packed);
    }
    return packed;
}

static void check_float(const ksk_kernels *kernels, bool bf16, const operands *o)
{
    const int64_t panels = panels_of(kernels, o->n), stride = o->n + 6;
    void *packed = pack_float(kernels, bf16, o);
    float *y = numbers(extent(o->m, o->n, stride)), *alone = numbers(o->n);
    run_float(kernels, bf16, o, o->m, o->left, packed, 0, panels / 2, &o->epilogue, y, stride);
    run_float(kernels, bf16, o, o->m, o->left, packed, panels / 2, panels, &o->epilogue, y, stride);
    for (int64_t i = 0; i < o->m; i++) {
        for (int64_t j = 0; j < o->n; j++)
            assert_near(y[i * stride + j],
                        finished(plain_product(o, i, j, bf16), &o->epilogue, i, j), 3e-6);
        ksk_epilogue epilogue = o->epilogue;
        epilogue.residual += i * epilogue.residual_stride;
        const ksk_left row = {o->a + i * o->left.row, o->left.row, o->left.column};
        run_float(kernels, bf16, o, 1, row, packed, 0, panels, &epilogue, alone, o->n);
        assert_memory_equal(alone, y + i * stride, (size_t)o->n * sizeof *y);
    }
    free(packed);
    free(y);
    free(alone);
}

static void test_float_products(void **state)
{
    const int64_t shapes[][2] = {{53, 37}, {1, 9}, {16, 1}, {131, 64}, {290, 70}};
    for (int t = 0; t < table_count; t++)
        for (int h = 0; h < height_count; h++)
            for (int s = 0; s < 5; s++) {
                const ksk_activation kind = (ksk_activation)((h + s) % 6);
                operands o = make_operands(heights[h], shapes[s][0], shapes[s][1], s & 1, kind);
                check_float(tables[t], false, &o);
                check_float(tables[t], true, &o);
                free_operands(o);
            }
}

/* Long rows are multiplied in blocks of rows; the sums stay the same. */
static void test_blocks_of_rows(void **state)
{
    for (int t = 0; t < table_count; t++) {
        operands o = make_operands(50, 35, 3001, false, KSK_IDENTITY);
        const int64_t panels = panels_of(tables[t], o.n);
        void *packed = pack_float(tables[t], false, &o);
        float *y = numbers(50 * 35), alone[35];
        tables[t]->product_f32(50, 35, 3001, o.left, packed, 0, panels, &o.epilogue, y, 35);
        for (int64_t i = 0; i < 50; i++) {
            ksk_epilogue epilogue = o.epilogue;
            epilogue.residual += i * epilogue.residual_stride;
            const ksk_left row = {o.a + i * o.left.row, o.left.row, 1};
            tables[t]->product_f32(1, 35, 3001, row, packed, 0, panels, &epilogue, alone, 35);
            assert_memory_equal(alone, y + i * 35, sizeof alone);
            assert_near(y[i * 35 + 34],
                        finished(plain_product(&o, i, 34, false), &o.epilogue, i, 34), 1e-4);
        }
        free(packed);
        free(y);
        free_operands(o);
    }
}

/* With fused multiply-adds, lanes and tiles do not change a product's bits at all. */
static void test_same_bits_on_any_width(void **state)
{
    const ksk_kernels *narrow = ksk_kernels_named("avx2");
    if (!narrow)
        skip();
    operands o = make_operands(17, mid_n, mid_k, false, KSK_GELU);
    float *y[4];
    for (int t = 0; t < table_count; t++) {
        void *packed = pack_float(tables[t], false, &o);
        y[t] = numbers(17 * mid_n);
        tables[t]->product_f32(17, mid_n, mid_k, o.left, packed, 0, panels_of(tables[t], mid_n),
                               &o.epilogue, y[t], mid_n);
        free(packed);
    }
    for (int t = 2; t < table_count; t++) /* tables[1] is avx2 */
        assert_memory_equal(y[1], y[t], 17 * mid_n * sizeof(float));
    for (int t = 0; t < table_count; t++)
        free(y[t]);
    free_operands(o);
}

/* An empty sum is zero; a NaN or an infinity stays in its row. */
static void test_product_edges(void **state)
{
    for (int t = 0; t < table_count; t++) {
        const ksk_kernels *kernels = tables[t];
        float y[3] = {7, 7, 7};
        float nothing[1];
        kernels->product_f32(1, 3, 0, (ksk_left){nothing, 1, 1}, nothing, 0, 1, NULL, y, 3);
        assert_true(y[0] == 0 && y[2] == 0);
        operands o = make_operands(7, 5, 11, false, KSK_IDENTITY);
        o.a[2 * o.left.row + 4] = NAN;
        o.a[3 * o.left.row + 10] = INFINITY;
        void *packed = pack_float(kernels, false, &o);
        float *all = numbers(7 * 5);
        kernels->product_f32(7, 5, 11, o.left, packed, 0, 1, NULL, all, 5);
        for (int64_t i = 0; i < 7; i++)
            assert_true(i == 2   ? isnan(all[i * 5 + 3])
                        : i == 3 ? isinf(all[i * 5 + 3])
                                 : isfinite(all[i * 5 + 3]));
        free(packed);
        free(all);
        free_operands(o);
    }
}

/* --- int8 ------------------------------------------------------------------------------------- */

/* The nearest of `steps` each way. */
static int step_of(float x, float largest, float steps)
{
    return largest > 0 ? (int)rintf(x * (steps / largest)) : 0;
}

static float largest_of(int64_t count, const float *x, int64_t stride)
{
    float largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf(x[i * stride]));
    return largest;
}

static double plain_int8(const operands *o, int64_t i, int64_t j)
{
    const float *a = o->a + i * o->left.row, *b = o->b + j * o->column;
    const float rows = largest_of(o->k, a, 1), columns = largest_of(o->k, b, o->row);
    int64_t sum = 0;
    for (int64_t p = 0; p < o->k; p++)
        sum += step_of(a[p], rows, 127) * step_of(b[p * o->row], columns, 63);
    return (double)sum * ((double)rows / 127) * ((double)columns / 63);
}

static void check_int8(const ksk_kernels *kernels, const operands *o)
{
    const int64_t k_padded = (o->k + 3) / 4 * 4, q_stride = k_padded + 4, stride = o->n + 3;
    const int64_t panels = panels_of(kernels, o->n);
    void *packed = take(kernels->pack_int8_size(o->k, o->n));
    float *column_scales = numbers(o->n), *row_scales = numbers(o->m);
    int8_t *q = take((size_t)extent(o->m, k_padded, q_stride));
    float *y = numbers(extent(o->m, o->n, stride)), *alone = numbers(o->n);
    kernels->pack_int8(o->k, o->n, o->b, o->row, o->column, packed, column_scales);
    kernels->quantize_rows(o->m, o->k, o->a, o->left.row, 128, q, q_stride, row_scales);
    kernels->product_int8(o->m, o->n, o->k, q, q_stride, row_scales, packed, column_scales, 0,
                          panels / 2, &o->epilogue, y, stride);
    kernels->product_int8(o->m, o->n, o->k, q, q_stride, row_scales, packed, column_scales,
                          panels / 2, panels, &o->epilogue, y, stride);
    for (int64_t i = 0; i < o->m; i++) {
        for (int64_t p = o->k; p < k_padded; p++)
            assert_int_equal((uint8_t)q[i * q_stride + p], 128);
        for (int64_t j = 0; j < o->n; j++)
            assert_near(y[i * stride + j], finished(plain_int8(o, i, j), &o->epilogue, i, j), 3e-6);
        ksk_epilogue epilogue = o->epilogue;
        epilogue.residual += i * epilogue.residual_stride;
        kernels->quantize_rows(1, o->k, o->a + i * o->left.row, o->left.row, 128, q, q_stride,
                               row_scales);
        kernels->product_int8(1, o->n, o->k, q, q_stride, row_scales, packed, column_scales, 0,
                              panels, &epilogue, alone, o->n);
        assert_memory_equal(alone, y + i * stride, (size_t)o->n * sizeof *y);
        kernels->quantize_rows(o->m, o->k, o->a, o->left.row, 128, q, q_stride, row_scales);
    }
    free(packed);
    free(column_scales);
    free(row_scales);
    free(q);
    free(y);
    free(alone);
}

static void test_int8_products(void **state)
{
    const int64_t shapes[][2] = {{53, 37}, {3, 2}, {131, 64}, {290, 71}};
    for (int t = 0; t < table_count; t++)
        for (int h = 0; h < height_count; h++)
            for (int s = 0; s < 4; s++) {
                operands o = make_operands(heights[h], shapes[s][0], shapes[s][1], false,
                                           (ksk_activation)((h + s) % 6));
                check_int8(tables[t], &o);
                free_operands(o);
            }
}

/* The largest sums that there are: nothing saturates. */
static void test_int8_extremes(void **state)
{
    for (int t = 0; t < table_count; t++) {
        operands o = make_operands(7, 35, 70, false, KSK_IDENTITY);
        for (int64_t i = 0; i < extent(7, 70, o.left.row); i++)
            o.a[i] = i % 3 ? 1 : -1;
        for (int64_t i = 0; i < extent(35, 70, o.column); i++)
            o.b[i] = i / 71 % 2 ? 1 : -1;
        memset(o.a + o.left.row, 0, 70 * sizeof *o.a); /* a row of zeros */
        check_int8(tables[t], &o);
        free_operands(o);
    }
}

/* A row with a NaN or an infinity is NaN as a whole, the rows beside it are not. */
static void test_int8_odd_rows(void **state)
{
    for (int t = 0; t < table_count; t++) {
        float a[3 * 9], scales[3];
        int8_t q[3 * 12];
        for (int i = 0; i < 27; i++)
            a[i] = number();
        a[3] = NAN;
        a[9 + 8] = -INFINITY;
        tables[t]->quantize_rows(3, 9, a, 9, 0, q, 12, scales);
        assert_true(isnan(scales[0]) && isnan(scales[1]) && isfinite(scales[2]));
        assert_int_equal(q[0] | q[12], 0);
        for (int i = 0; i < 9; i++)
            a[i] = 1e-40f;
        tables[t]->quantize_rows(1, 9, a, 9, 0, q, 12, scales);
        assert_true(scales[0] == 0 && q[0] == 0);
    }
}

/* --- elements --------------------------------------------------------------------------------- */

static void test_activations(void **state)
{
    enum { count = 4001 };
    float *x = numbers(count), *y = numbers(count);
    for (int i = 0; i < count; i++)
        x[i] = (i & 1 ? 1.f : 20.f) * number();
    x[0] = 0;
    x[1] = 1e-20f;
    x[2] = -100;
    x[3] = 100;
    x[4] = -1e-3f;
    for (int t = 0; t < table_count; t++)
        for (ksk_activation kind = KSK_IDENTITY; kind <= KSK_TANH; kind++) {
            tables[t]->activate(1, count, kind, x, count, y, count);
            for (int i = 0; i < count; i++) {
                const double wanted = plain_activation(kind, (double)x[i]);
                if (fabs((double)y[i] - wanted) > 1e-6 * (fabs(wanted) > 1 ? fabs(wanted) : 1))
                    fail_msg("%s %d(%.9g) = %.9g, not %.9g", tables[t]->isa, kind, (double)x[i],
                             (double)y[i], wanted);
            }
            float odd[3] = {NAN, INFINITY, 2};
            tables[t]->activate(1, 3, kind, odd, 3, odd, 3);
            assert_true(isnan(odd[0]) && isfinite(odd[2]));
            assert_true(kind == KSK_TANH ? odd[1] == 1 : isinf(odd[1]));
        }
    free(x);
    free(y);
}

/* Small arguments keep their relative precision. */
static void test_tanh_near_zero(void **state)
{
    for (int t = 0; t < table_count; t++)
        for (float x = 1; x > 1e-30f; x *= 0.83f) {
            float y;
            tables[t]->activate(1, 1, KSK_TANH, &x, 1, &y, 1);
            assert_true(fabs((double)y / tanh((double)x) - 1) < 4e-7);
        }
}

/* An element's activation is the same bits alone, in a row and at the end of a product. */
static void test_elements_alone(void **state)
{
    enum { n = 37 };
    float *x = numbers(n), *y = numbers(n), alone;
    for (int t = 0; t < table_count; t++)
        for (ksk_activation kind = KSK_IDENTITY; kind <= KSK_TANH; kind++) {
            tables[t]->activate(1, n, kind, x, n, y, n);
            for (int i = 0; i < n; i++) {
                tables[t]->activate(1, 1, kind, x + i, 1, &alone, 1);
                assert_memory_equal(&alone, y + i, sizeof alone);
            }
        }
    free(x);
    free(y);
}

static void test_arithmetic(void **state)
{
    enum { m = 5, n = 37, x_stride = 43, other_stride = 39 };
    for (int t = 0; t < table_count; t++)
        for (int shared = 0; shared < 2; shared++) {
            float *a = numbers(extent(m, n, x_stride));
            float *b = numbers(shared ? n : extent(m, n, other_stride));
            float *y = numbers(extent(m, n, x_stride));
            const int64_t b_stride = shared ? 0 : other_stride;
            tables[t]->add(m, n, a, x_stride, b, b_stride, y, x_stride);
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                    assert_true(y[i * x_stride + j] == a[i * x_stride + j] + b[i * b_stride + j]);
            tables[t]->multiply(m, n, a, x_stride, b, b_stride, y, x_stride);
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                    assert_true(y[i * x_stride + j] == a[i * x_stride + j] * b[i * b_stride + j]);
            float *before = copy_of(a, extent(m, n, x_stride));
            tables[t]->scale(m, n, 1.7f, a, x_stride, a, x_stride);
            for (int i = 0; i < extent(m, n, x_stride); i++)
                assert_true(a[i] == (i % x_stride < n ? before[i] * 1.7f : before[i]));
            free(a);
            free(b);
            free(y);
            free(before);
        }
}

/* --- rows ------------------------------------------------------------------------------------- */

static const int64_t widths[] = {1, 3, 5, 16, 37, 64, 75, 130};
enum { width_count = sizeof widths / sizeof *widths };

static void check_layer_norm(const ksk_kernels *kernels, int64_t n)
{
    const int64_t m = 7, stride = n + 2;
    float *x = numbers(extent(m, n, stride)), *y = numbers(extent(m, n, stride));
    float *gain = numbers(n), *bias = numbers(n), *alone = numbers(n);
    kernels->layer_norm(m, n, x, stride, gain, bias, 1e-5f, y, stride);
    for (int64_t i = 0; i < m; i++) {
        const float *row = x + i * stride;
        double mean = 0, variance = 0;
        for (int64_t j = 0; j < n; j++)
            mean += (double)row[j] / (double)n;
        for (int64_t j = 0; j < n; j++)
            variance += ((double)row[j] - mean) * ((double)row[j] - mean) / (double)n;
        for (int64_t j = 0; j < n; j++)
            assert_near(y[i * stride + j],
                        ((double)row[j] - mean) / sqrt(variance + (double)1e-5f) * (double)gain[j] +
                            (double)bias[j],
                        5e-6);
        kernels->layer_norm(1, n, row, n, gain, bias, 1e-5f, alone, n);
        assert_memory_equal(alone, y + i * stride, (size_t)n * sizeof *y);
    }
    kernels->layer_norm(m, n, x, stride, gain, bias, 1e-5f, x, stride);
    assert_memory_equal(x + (m - 1) * stride, y + (m - 1) * stride, (size_t)n * sizeof *y);
    free(x);
    free(y);
    free(gain);
    free(bias);
    free(alone);
}

static void test_layer_norm(void **state)
{
    for (int t = 0; t < table_count; t++)
        for (int w = 0; w < width_count; w++)
            check_layer_norm(tables[t], widths[w]);
}

static void check_maxima(const ksk_kernels *kernels, int64_t n, const float *x, float *most)
{
    for (int64_t block = 1; block <= 80; block += 26) {
        kernels->maxima(n, block, x, most);
        for (int64_t from = 0; from < n; from += block) {
            const int64_t to = from + block < n ? from + block : n;
            float largest = -INFINITY;
            for (int64_t j = from; j < to; j++)
                largest = fmaxf(largest, x[j]);
            assert_true(most[from / block] == largest);
        }
    }
}

static void check_log_softmax(const ksk_kernels *kernels, int64_t n)
{
    const int64_t m = 6, stride = n + 3;
    float *x = numbers(extent(m, n, stride)), *y = numbers(extent(m, n, stride));
    float *alone = numbers(n);
    for (int64_t i = 0; i < extent(m, n, stride); i++)
        x[i] *= 30;
    if (n > 2)
        x[stride + 1] = x[stride + n - 1] = -INFINITY;
    kernels->log_softmax(m, n, x, stride, y, stride);
    for (int64_t i = 0; i < m; i++) {
        const float *row = x + i * stride;
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n; j++)
            most = fmax(most, (double)row[j]);
        for (int64_t j = 0; j < n; j++)
            sum += exp((double)row[j] - most);
        for (int64_t j = 0; j < n; j++)
            assert_near(y[i * stride + j], (double)row[j] - most - log(sum), 1e-6);
        kernels->log_softmax(1, n, row, n, alone, n);
        assert_memory_equal(alone, y + i * stride, (size_t)n * sizeof *y);
        float largest, log_sum;
        kernels->row_norm(n, row, &largest, &log_sum);
        for (int64_t j = 0; j < n; j++)
            assert_true(row[j] - largest - log_sum == alone[j]);
        check_maxima(kernels, n, row, alone);
    }
    kernels->log_softmax(m, n, x, stride, x, stride);
    assert_memory_equal(x + stride, y + stride, (size_t)n * sizeof *y);
    free(x);
    free(y);
    free(alone);
}

static void test_log_softmax(void **state)
{
    for (int t = 0; t < table_count; t++) {
        for (int w = 0; w < width_count; w++)
            check_log_softmax(tables[t], widths[w]);
        float row[5] = {1, 2, NAN, 4, 5};
        tables[t]->log_softmax(1, 5, row, 5, row, 5);
        assert_true(isnan(row[0]) && isnan(row[4]));
    }
}

/* --- attention -------------------------------------------------------------------------------- */

enum { rows = 9, keys = 23, heads = 3 };

/* Spans of every length, an empty one among them. */
static const int32_t spans[rows][2] = {{0, 1},  {1, 2},  {0, 23}, {5, 0}, {3, 4},
                                       {22, 1}, {2, 17}, {4, 16}, {7, 9}};

static double plain_attention(const float *q, const float *k, const float *v, int64_t stride,
                              int64_t width, double scale, const int32_t *span,
                              const int32_t *index, int64_t column)
{
    double scores[keys], most = -INFINITY, sum = 0, value = 0;
    for (int32_t i = 0; i < span[1]; i++) {
        const int64_t key = index ? index[span[0] + i] : span[0] + i;
        scores[i] = 0;
        for (int64_t c = 0; c < width; c++)
            scores[i] += scale * (double)q[c] * (double)k[key * stride + c];
        most = fmax(most, scores[i]);
    }
    for (int32_t i = 0; i < span[1]; i++) {
        const int64_t key = index ? index[span[0] + i] : span[0] + i;
        const double weight = exp(scores[i] - most);
        sum += weight;
        value += weight * (double)v[key * stride + column];
    }
    return span[1] ? value / sum : 0;
}

static void check_attention(const ksk_kernels *kernels, int64_t width, const int32_t *index)
{
    const int64_t d = heads * width, stride = d + 3, q_stride = d + 1, out = d + 2;
    const float scale = 3 / sqrtf((float)width);
    float *q = numbers(extent(rows, d, q_stride)), *k = numbers(extent(keys, d, stride));
    float *v = numbers(extent(keys, d, stride)), *y = numbers(extent(rows, d, out));
    float *alone = numbers(extent(rows, d, out)), *scores = numbers(keys);
    kernels->attention(0, rows, heads, width, scale, q, q_stride, k, stride, v, stride, spans[0],
                       index, scores, y, out);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) {
            const int64_t head = j / width * width;
            assert_near(y[i * out + j],
                        plain_attention(q + i * q_stride + head, k + head, v + head, stride, width,
                                        (double)scale, spans[i], index, j - head),
                        2e-6);
        }
        kernels->attention(i, i + 1, heads, width, scale, q, q_stride, k, stride, v, stride,
                           spans[0], index, scores, alone, out);
        assert_memory_equal(alone + i * out, y + i * out, (size_t)d * sizeof *y);
    }
    free(q);
    free(k);
    free(v);
    free(y);
    free(alone);
    free(scores);
}

/* A cache whose slots are reached through an index gives the bits of contiguous keys. */
static void test_attention(void **state)
{
    int32_t index[keys];
    for (int i = 0; i < keys; i++)
        index[i] = (i * 7 + 3) % keys;
    const int64_t head_widths[] = {1, 5, 8, 20, 32, 64, 80, 131};
    for (int t = 0; t < table_count; t++)
        for (int w = 0; w < 8; w++) {
            check_attention(tables[t], head_widths[w], NULL);
            check_attention(tables[t], head_widths[w], index);
        }
}

/* A key's weight does not depend on where in the cache it lies. */
static void test_attention_through_index(void **state)
{
    enum { width = 20, d = heads * width };
    int32_t index[keys], identity[keys];
    float *q = numbers(rows * d), *k = numbers(keys * d), *v = numbers(keys * d), scores[keys];
    float *moved_k = numbers(keys * d), *moved_v = numbers(keys * d);
    float *y = numbers(rows * d), *z = numbers(rows * d);
    for (int i = 0; i < keys; i++) {
        index[i] = (i * 5 + 2) % keys;
        identity[i] = i;
        memcpy(moved_k + index[i] * d, k + i * d, d * sizeof *k);
        memcpy(moved_v + index[i] * d, v + i * d, d * sizeof *v);
    }
    for (int t = 0; t < table_count; t++) {
        tables[t]->attention(0, rows, heads, width, 1, q, d, k, d, v, d, spans[0], NULL, scores, y,
                             d);
        tables[t]->attention(0, rows, heads, width, 1, q, d, moved_k, d, moved_v, d, spans[0],
                             index, scores, z, d);
        assert_memory_equal(y, z, rows * d * sizeof *y);
        tables[t]->attention(0, rows, heads, width, 1, q, d, k, d, v, d, spans[0], identity, scores,
                             z, d);
        assert_memory_equal(y, z, rows * d * sizeof *y);
    }
    free(q);
    free(k);
    free(v);
    free(moved_k);
    free(moved_v);
    free(y);
    free(z);
}

/* --- the table itself ------------------------------------------------------------------------- */

static void test_choice(void **state)
{
    assert_null(ksk_kernels_named("abacus"));
    assert_string_equal(ksk_kernels_named("scalar")->isa, "scalar");
    setenv("KASKAD_ISA", "scalar", 1);
    assert_string_equal(ksk_kernels_choose()->isa, "scalar");
    unsetenv("KASKAD_ISA");
    const char *best = "scalar";
    for (int t = 0; t < table_count; t++)
        if (strcmp(tables[t]->isa, "wide") != 0)
            best = tables[t]->isa;
    assert_string_equal(ksk_kernels_choose()->isa, best);
}

int main(void)
{
    find_tables();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_products),
        cmocka_unit_test(test_blocks_of_rows),
        cmocka_unit_test(test_same_bits_on_any_width),
        cmocka_unit_test(test_product_edges),
        cmocka_unit_test(test_int8_products),
        cmocka_unit_test(test_int8_extremes),
        cmocka_unit_test(test_int8_odd_rows),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_tanh_near_zero),
        cmocka_unit_test(test_elements_alone),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_log_softmax),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_through_index),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
