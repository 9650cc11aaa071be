/* The kernels of training, of every table that this processor runs, against plain loops in double
 * precision. */
#include "kaskad/random.h"
#include "numbers.h"
#include "tables.h"

static const int64_t widths[] = {1, 3, 5, 16, 37, 64, 75, 130, 1003};
enum { width_count = sizeof widths / sizeof *widths };

static void each_table(void (*check)(const ksk_kernels *kernels, int64_t n))
{
    for (int t = 0; t < table_count; t++)
        for (int w = 0; w < width_count; w++)
            check(tables[t], widths[w]);
}

/* --- losses ----------------------------------------------------------------------------------- */

static double log_sum(int64_t n, const float *x, double *mean)
{
    double most = -INFINITY, sum = 0;
    *mean = 0;
    for (int64_t j = 0; j < n; j++) {
        most = fmax(most, (double)x[j]);
        *mean += (double)x[j] / (double)n;
    }
    for (int64_t j = 0; j < n; j++)
        sum += exp((double)x[j] - most);
    return most + log(sum);
}

static void check_cross_entropy(const ksk_kernels *kernels, int64_t n)
{
    enum { m = 7 };
    const int64_t stride = n + 2, other = n + 3;
    const double smoothing = (double)0.1f;
    float *x = numbers(extent(m, n, stride)), *dx = numbers(extent(m, n, other));
    float loss[m], norm[m], dy[m], alone[2];
    int32_t targets[m];
    for (int i = 0; i < m; i++) {
        targets[i] = (int32_t)((i * 31 + 2) % n);
        dy[i] = number();
    }
    for (int64_t i = 0; i < extent(m, n, stride); i++)
        x[i] *= 20;
    kernels->cross_entropy(m, n, x, stride, targets, 0.1f, loss, norm);
    kernels->cross_entropy_grad(m, n, x, stride, targets, norm, dy, 0.1f, dx, other);
    for (int i = 0; i < m; i++) {
        const float *row = x + i * stride;
        double mean;
        const double wanted = log_sum(n, row, &mean);
        assert_near(norm[i], wanted, 1e-6);
        assert_near(loss[i],
                    (1 - smoothing) * (wanted - (double)row[targets[i]]) +
                        smoothing * (wanted - mean),
                    3e-6);
        for (int64_t j = 0; j < n; j++)
            assert_near(dx[i * other + j],
                        (double)dy[i] * (exp((double)row[j] - wanted) - smoothing / (double)n -
                                         (j == targets[i] ? 1 - smoothing : 0)),
                        4e-6);
        kernels->cross_entropy(1, n, row, n, targets + i, 0.1f, alone, alone + 1);
        assert_true(alone[0] == loss[i] && alone[1] == norm[i]);
    }
    kernels->cross_entropy_grad(m, n, x, stride, targets, norm, dy, 0.1f, x, stride);
    for (int i = 0; i < m; i++)
        assert_memory_equal(x + i * stride, dx + i * other, (size_t)n * sizeof *x);
    free(x);
    free(dx);
}

static void test_cross_entropy(void **state)
{
    each_table(check_cross_entropy);
}

/* A lost number is not hidden. */
static void test_cross_entropy_of_nan(void **state)
{
    for (int t = 0; t < table_count; t++) {
        float row[19] = {0}, loss, norm;
        row[17] = NAN;
        tables[t]->cross_entropy(1, 19, row, 19, (const int32_t[]){3}, 0, &loss, &norm);
        assert_true(isnan(loss) && isnan(norm));
    }
}

static void check_log_softmax_grad(const ksk_kernels *kernels, int64_t n)
{
    const int64_t m = 5, stride = n + 1, other = n + 4;
    float *y = numbers(extent(m, n, stride)), *dy = numbers(extent(m, n, other));
    float *dx = numbers(extent(m, n, stride));
    kernels->log_softmax(m, n, y, stride, y, stride);
    kernels->log_softmax_grad(m, n, y, stride, dy, other, dx, stride);
    for (int64_t i = 0; i < m; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += (double)dy[i * other + j];
        for (int64_t j = 0; j < n; j++)
            assert_near(dx[i * stride + j],
                        (double)dy[i * other + j] - exp((double)y[i * stride + j]) * sum, 2e-6);
    }
    kernels->log_softmax_grad(m, n, y, stride, dy, other, dy, other);
    for (int64_t i = 0; i < m; i++)
        assert_memory_equal(dy + i * other, dx + i * stride, (size_t)n * sizeof *dx);
    free(y);
    free(dy);
    free(dx);
}

static void test_log_softmax_grad(void **state)
{
    each_table(check_log_softmax_grad);
}

/* --- norms ------------------------------------------------------------------------------------ */

typedef struct statistics {
    double mean, scale, g, gn;
} statistics;

static statistics measure(int64_t n, const float *x, const float *gain, const float *dy)
{
    statistics s = {0, 0, 0, 0};
    double variance = 0;
    for (int64_t j = 0; j < n; j++)
        s.mean += (double)x[j] / (double)n;
    for (int64_t j = 0; j < n; j++)
        variance += ((double)x[j] - s.mean) * ((double)x[j] - s.mean) / (double)n;
    s.scale = 1 / sqrt(variance + 1e-2);
    for (int64_t j = 0; j < n; j++) {
        const double g = (double)dy[j] * (double)gain[j] / (double)n;
        s.g += g;
        s.gn += g * ((double)x[j] - s.mean) * s.scale;
    }
    return s;
}

static void check_layer_norm_grad(const ksk_kernels *kernels, int64_t n)
{
    const int64_t m = 6, stride = n + 2, other = n + 5;
    const size_t row = (size_t)n * sizeof(float);
    float *x = numbers(extent(m, n, stride)), *dy = numbers(extent(m, n, other));
    float *dx = numbers(extent(m, n, other)), *gain = numbers(n);
    float *dgain = numbers(n), *dbias = numbers(n);
    double *wanted_gain = take(2 * (size_t)n * sizeof *wanted_gain), *wanted_bias = wanted_gain + n;
    for (int64_t j = 0; j < n; j++) {
        wanted_gain[j] = (double)dgain[j];
        wanted_bias[j] = (double)dbias[j];
    }
    kernels->layer_norm_grad(m, n, x, stride, gain, 1e-2f, dy, other, dx, other, dgain, dbias);
    for (int64_t i = 0; i < m; i++) {
        const float *at = x + i * stride, *d = dy + i * other;
        const statistics s = measure(n, at, gain, d);
        for (int64_t j = 0; j < n; j++) {
            const double normal = ((double)at[j] - s.mean) * s.scale;
            wanted_gain[j] += (double)d[j] * normal;
            wanted_bias[j] += (double)d[j];
            assert_near(dx[i * other + j],
                        ((double)d[j] * (double)gain[j] - s.g - normal * s.gn) * s.scale, 1e-5);
        }
    }
    for (int64_t j = 0; j < n; j++) {
        assert_near(dgain[j], wanted_gain[j], 1e-5);
        assert_near(dbias[j], wanted_bias[j], 1e-5);
    }
    float *same = copy_of(x, extent(m, n, stride));
    kernels->layer_norm_grad(m, n, same, stride, gain, 1e-2f, dy, other, same, stride, dgain,
                             dbias);
    kernels->layer_norm_grad(m, n, x, stride, gain, 1e-2f, dy, other, dy, other, dgain, dbias);
    for (int64_t i = 0; i < m; i++) {
        assert_memory_equal(same + i * stride, dx + i * other, row);
        assert_memory_equal(dy + i * other, dx + i * other, row);
    }
    free(x);
    free(dy);
    free(dx);
    free(gain);
    free(dgain);
    free(dbias);
    free(wanted_gain);
    free(same);
}

static void test_layer_norm_grad(void **state)
{
    each_table(check_layer_norm_grad);
}

/* --- elements --------------------------------------------------------------------------------- */

static double plain_slope(ksk_activation kind, double x)
{
    switch (kind) {
    case KSK_RELU:
        return x > 0;
    case KSK_GELU:
        return erfc(-x / sqrt(2)) / 2 + x * 0.39894228040143268 * exp(-x * x / 2);
    case KSK_GELU_NEW: {
        const double t = tanh(0.79788456080286536 * (x + 0.044715 * x * x * x));
        return (1 + t) / 2 + x / 2 * (1 - t * t) * 0.79788456080286536 * (1 + 0.134145 * x * x);
    }
    case KSK_SILU: {
        const double s = 1 / (1 + exp(-x));
        return s * (1 + x * (1 - s));
    }
    case KSK_TANH:
        return 1 - tanh(x) * tanh(x);
    case KSK_IDENTITY:
        break;
    }
    return 1;
}

static void check_slopes(const ksk_kernels *kernels, ksk_activation kind)
{
    enum { m = 3, n = 1001, stride = 1003 };
    static const float far[] = {1e4f, -1e4f, 1e18f, -1e18f, 0, -90, 90, 17};
    float *x = numbers(extent(m, n, stride)), *dy = numbers(extent(m, n, stride));
    float *dx = numbers(extent(m, n, stride));
    for (int64_t i = 0; i < extent(m, n, stride); i++)
        x[i] *= i % 2 ? 30 : 3;
    memcpy(x, far, sizeof far);
    kernels->activate_grad(m, n, kind, x, stride, dy, stride, dx, stride);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = i * stride + j;
            assert_near(dx[at], (double)dy[at] * plain_slope(kind, (double)x[at]), 2e-6);
        }
    kernels->activate_grad(m, n, kind, x, stride, dy, stride, x, stride);
    for (int64_t i = 0; i < m; i++)
        assert_memory_equal(x + i * stride, dx + i * stride, n * sizeof *x);
    free(x);
    free(dy);
    free(dx);
}

static void test_slopes(void **state)
{
    for (int t = 0; t < table_count; t++)
        for (ksk_activation kind = KSK_IDENTITY; kind <= KSK_TANH; kind++)
            check_slopes(tables[t], kind);
}

/* Just the elements whose numbers say so, wherever among the blocks of four a row starts. */
static void check_dropout(const ksk_kernels *kernels, int64_t n)
{
    const int64_t m = 5, stride = n + 3;
    const ksk_key key = ksk_key_from_seed((uint64_t)n);
    const uint32_t kept = 0xb0000000u;
    float *x = numbers(extent(m, n, stride)), *y = numbers(extent(m, n, stride));
    for (uint64_t first = 0; first < 8; first++) {
        const uint64_t start = first < 4 ? first : (1ull << 34) - first; /* over 2^32 blocks */
        kernels->dropout(m, n, key.word, start, kept, 1.7f, x, stride, y, stride);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                const uint32_t bits = ksk_random_bits(key, start + (uint64_t)(i * n + j));
                assert_true(y[i * stride + j] == (bits <= kept ? x[i * stride + j] * 1.7f : 0));
            }
    }
    kernels->dropout(m, n, key.word, (1ull << 34) - 7, kept, 1.7f, x, stride, x, stride);
    for (int64_t i = 0; i < m; i++)
        assert_memory_equal(x + i * stride, y + i * stride, (size_t)n * sizeof *x);
    free(x);
    free(y);
}

static void test_dropout(void **state)
{
    each_table(check_dropout);
}

/* --- sums ------------------------------------------------------------------------------------- */

static void check_sums(const ksk_kernels *kernels, int64_t n)
{
    enum { m = 11, table = 4 };
    static const int32_t ids[m] = {3, 0, 0, 3, 1, 3, 0, 1, 1, 3, 3}; /* 2 gets nothing */
    const int64_t stride = n + 2, other = n + 1;
    float *x = numbers(extent(m, n, stride)), *sums = numbers(n), *y = numbers(n);
    float *rows = numbers(extent(table, n, other)),
          *before = copy_of(rows, extent(table, n, other));
    memcpy(y, sums, (size_t)n * sizeof *y);
    kernels->column_sum(m, n, x, stride, y);
    kernels->add_rows(m, n, x, stride, ids, rows, other);
    for (int64_t j = 0; j < n; j++) {
        double sum = (double)sums[j];
        for (int64_t i = 0; i < m; i++) {
            sum += (double)x[i * stride + j];
            before[ids[i] * other + j] += x[i * stride + j];
        }
        assert_near(y[j], sum, 2e-6);
    }
    assert_memory_equal(rows, before, (size_t)extent(table, n, other) * sizeof *rows);
    free(x);
    free(sums);
    free(y);
    free(rows);
    free(before);
}

static void test_sums(void **state)
{
    each_table(check_sums);
}

/* --- attention -------------------------------------------------------------------------------- */

enum { queries = 9, keys = 23, heads = 3 };

/* Spans of every length, an empty one among them. */
static const int32_t spans[queries][2] = {{0, 1},  {1, 2},  {0, 23}, {5, 0}, {3, 4},
                                          {22, 1}, {2, 17}, {4, 16}, {7, 9}};

/* dq, dk and dv of one row and head, added to matrices of doubles with q's, k's and v's strides. */
static void plain_attention_grad(const ksk_attention_matrices *m, int64_t row, int64_t column,
                                 int64_t width, double scale, double *dq, double *dk, double *dv)
{
    const int32_t *span = m->spans + 2 * row;
    const float *q = m->q + row * m->q_stride + column, *dy = m->dy + row * m->dy_stride + column;
    double weights[keys], dp[keys] = {0}, norm = 0, mean = 0;
    for (int32_t i = 0; i < span[1]; i++) {
        const int64_t key = m->index ? m->index[span[0] + i] : span[0] + i;
        double sum = 0;
        for (int64_t c = 0; c < width; c++) {
            sum += (double)q[c] * (double)m->k[key * m->k_stride + column + c];
            dp[i] += (double)dy[c] * (double)m->v[key * m->v_stride + column + c];
        }
        weights[i] = exp(sum * scale);
        norm += weights[i];
        mean += weights[i] * dp[i];
    }
    for (int32_t i = 0; i < span[1]; i++) {
        const int64_t key = m->index ? m->index[span[0] + i] : span[0] + i;
        const double weight = weights[i] / norm, ds = weight * (dp[i] - mean / norm) * scale;
        for (int64_t c = column; c < column + width; c++) {
            dq[row * m->q_stride + c] += ds * (double)m->k[key * m->k_stride + c];
            dk[key * m->k_stride + c] += ds * (double)q[c - column];
            dv[key * m->v_stride + c] += weight * (double)dy[c - column];
        }
    }
}

static void assert_rows_near(int64_t m, int64_t n, int64_t stride, const float *found,
                             const double *wanted)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            assert_near(found[i * stride + j], wanted[i * stride + j], 5e-6);
}

static double *zeros(int64_t count)
{
    double *data = take((size_t)count * sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = 0;
    return data;
}

static void check_attention_grad(const ksk_kernels *kernels, int64_t width, const int32_t *index)
{
    const int64_t d = heads * width, sq = d + 1, sk = d + 3, sv = d + 2, sy = d + 4;
    const float scale = 1 / sqrtf((float)width);
    float *q = numbers(extent(queries, d, sq)), *k = numbers(extent(keys, d, sk));
    float *v = numbers(extent(keys, d, sv)), *dy = numbers(extent(queries, d, sy));
    float *dq = numbers(extent(queries, d, sq)), *dk = numbers(extent(keys, d, sk));
    float *dv = numbers(extent(keys, d, sv)), *scratch = numbers(2 * keys);
    const ksk_attention_matrices m = {q,  k,  v,  dy, sq, sk, sv,       sy,
                                      dq, dk, dv, sq, sk, sv, spans[0], index};
    double *wanted_q = zeros(extent(queries, d, sq)), *wanted_k = zeros(extent(keys, d, sk)),
           *wanted_v = zeros(extent(keys, d, sv));
    memset(dk, 0, (size_t)extent(keys, d, sk) * sizeof *dk);
    memset(dv, 0, (size_t)extent(keys, d, sv) * sizeof *dv);
    for (int64_t c = d - width; c >= 0; c -= width) {
        kernels->attention_grad(0, 4, c, width, scale, &m, scratch);
        kernels->attention_grad(4, queries, c, width, scale, &m, scratch);
        for (int64_t i = 0; i < queries; i++)
            plain_attention_grad(&m, i, c, width, (double)scale, wanted_q, wanted_k, wanted_v);
    }
    assert_rows_near(queries, d, sq, dq, wanted_q);
    assert_rows_near(keys, d, sk, dk, wanted_k);
    assert_rows_near(keys, d, sv, dv, wanted_v);
    free(q);
    free(k);
    free(v);
    free(dy);
    free(dq);
    free(dk);
    free(dv);
    free(scratch);
    free(wanted_q);
    free(wanted_k);
    free(wanted_v);
}

static void test_attention_grad(void **state)
{
    static const int64_t head_widths[] = {1, 5, 8, 20, 32, 64, 80, 131};
    int32_t index[keys];
    for (int i = 0; i < keys; i++)
        index[i] = i * 7 % 13; /* some keys twice, some never */
    for (int t = 0; t < table_count; t++)
        for (int w = 0; w < 8; w++) {
            check_attention_grad(tables[t], head_widths[w], NULL);
            check_attention_grad(tables[t], head_widths[w], index);
        }
}

int main(void)
{
    find_tables();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_of_nan),
        cmocka_unit_test(test_log_softmax_grad),
        cmocka_unit_test(test_layer_norm_grad),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_attention_grad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
