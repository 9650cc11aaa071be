#include "tensor/kernels/attention.h"

/* For each key i of the row: dk += ds[i] * q and dv += weights[i] * dy. */
static void spread(span keys, int64_t width, const float *ds, const float *q, float *dk,
                   int64_t dk_stride, const float *weights, const float *dy, float *dv,
                   int64_t dv_stride)
{
    for (int64_t i = 0; i < keys.count; i++) {
        const int64_t key = key_of(keys, i);
        float *to_k = dk + key * dk_stride, *to_v = dv + key * dv_stride;
        const vfloat s = splat(ds[i]), w = splat(weights[i]);
        for (int64_t c = 0; c < width; c += LANES) {
            const int64_t left = width - c;
            store_upto(to_k + c, fused(s, load_upto(q + c, left), load_upto(to_k + c, left)), left);
            store_upto(to_v + c, fused(w, load_upto(dy + c, left), load_upto(to_v + c, left)),
                       left);
        }
    }
}

/* Weights become the softmax's, and dp, the gradients of the weights, those of the scores before
 * scaling: scale * weight * (dp - sum of weight * dp). */
static void through_softmax(int64_t count, float scale, float *weights, float *dp)
{
    const float factor = exponentiate(count, weights);
    vfloat sum = {0};
    for (int64_t i = 0; i < count; i += LANES) {
        const vfloat w = load_upto(weights + i, count - i) * factor;
        store_upto(weights + i, w, count - i);
        sum = fused(w, load_upto(dp + i, count - i), sum);
    }
    const float mean = sum_of(sum);
    for (int64_t i = 0; i < count; i += LANES) {
        const vfloat w = load_upto(weights + i, count - i);
        store_upto(dp + i, w * scale * (load_upto(dp + i, count - i) - mean), count - i);
    }
}

void KERNEL(attention_grad)(int64_t first, int64_t last, int64_t column, int64_t width, float scale,
                            const ksk_attention_matrices *m, float *scratch)
{
    const float *k = m->k + column, *v = m->v + column;
    for (int64_t i = first; i < last; i++) {
        const span keys = {m->spans[2 * i], m->spans[2 * i + 1], m->index};
        const float *q = m->q + i * m->q_stride + column;
        const float *dy = m->dy + i * m->dy_stride + column;
        float *dq = m->dq + i * m->dq_stride + column;
        float *weights = scratch, *ds = scratch + keys.count;
        if (keys.count == 0) {
            memset(dq, 0, (size_t)width * sizeof *dq);
            continue;
        }
        score(keys, width, scale, q, k, m->k_stride, weights);
        score(keys, width, 1, dy, v, m->v_stride, ds);
        through_softmax(keys.count, scale, weights, ds);
        weigh(keys, width, ds, 1, k, m->k_stride, dq);
        spread(keys, width, ds, q, m->dk + column, m->dk_stride, weights, dy, m->dv + column,
               m->dv_stride);
    }
}
