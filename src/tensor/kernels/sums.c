#include "tensor/kernels/vector.h"

/* Four rows at a time: a fourth of the traffic to y. */
void KERNEL(column_sum)(int64_t m, int64_t n, const float *x, int64_t x_stride, float *y)
{
    int64_t i = 0;
    for (; i + 4 <= m; i += 4, x += 4 * x_stride)
        for (int64_t j = 0; j < n; j += LANES) {
            const float *at = x + j;
            const vfloat a = load_upto(at, n - j), b = load_upto(at + x_stride, n - j);
            const vfloat c = load_upto(at + 2 * x_stride, n - j);
            const vfloat d = load_upto(at + 3 * x_stride, n - j);
            store_upto(y + j, load_upto(y + j, n - j) + ((a + b) + (c + d)), n - j);
        }
    for (; i < m; i++, x += x_stride)
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(y + j, load_upto(y + j, n - j) + load_upto(x + j, n - j), n - j);
}

void KERNEL(add_rows)(int64_t m, int64_t n, const float *x, int64_t x_stride, const int32_t *ids,
                      float *y, int64_t y_stride)
{
    for (int64_t i = 0; i < m; i++, x += x_stride) {
        float *to = y + ids[i] * y_stride;
        for (int64_t j = 0; j < n; j += LANES)
            store_upto(to + j, load_upto(to + j, n - j) + load_upto(x + j, n - j), n - j);
    }
}
