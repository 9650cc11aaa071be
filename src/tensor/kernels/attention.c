#include "tensor/kernels/attention.h"

void KERNEL(attention)(int64_t first, int64_t last, int heads, int64_t width, float scale,
                       const float *q, int64_t q_stride, const float *k, int64_t k_stride,
                       const float *v, int64_t v_stride, const int32_t *spans, const int32_t *index,
                       float *scores, float *y, int64_t y_stride)
{
    for (int64_t i = first; i < last; i++) {
        const span keys = {spans[2 * i], spans[2 * i + 1], index};
        for (int64_t c = 0; c < heads * width; c += width) {
            float *out = y + i * y_stride + c;
            if (keys.count == 0) {
                memset(out, 0, (size_t)width * sizeof *out);
                continue;
            }
            score(keys, width, scale, q + i * q_stride + c, k + c, k_stride, scores);
            const float factor = exponentiate(keys.count, scores);
            weigh(keys, width, scores, factor, v + c, v_stride, out);
        }
    }
}
