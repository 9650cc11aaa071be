/* Compute kernels, one table per instruction set, chosen once at run time.
 *
 * Each kernel's source (kernels/NAME.c) is written once over vectors of `lanes` floats and compiled
 * for every instruction set. All matrices are row-major with a stride, in elements, from one row to
 * the next. A row of a result is the same bits whatever other rows, slices or threads there are:
 * every sum runs over its terms in one fixed order. */
#ifndef KSK_TENSOR_KERNELS_H
#define KSK_TENSOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/graph.h"

/* What happens to a product before it is stored: (+ bias) → activation → (+ residual). */
typedef struct ksk_epilogue {
    const float *bias; /* [columns] or NULL */
    ksk_activation activation;
    const float *residual; /* [rows, columns] or NULL */
    int64_t residual_stride;
} ksk_epilogue;

/* The left operand of a product: element (i, p) at data[i * row + p * column]. */
typedef struct ksk_left {
    const float *data;
    int64_t row, column;
} ksk_left;

/* What the gradient of attention reads and writes. */
typedef struct ksk_attention_matrices {
    const float *q, *k, *v, *dy;
    int64_t q_stride, k_stride, v_stride, dy_stride;
    float *dq, *dk, *dv;
    int64_t dq_stride, dk_stride, dv_stride;
    const int32_t *spans, *index;
} ksk_attention_matrices;

struct ksk_kernels {
    const char *isa; /* "scalar", "avx2", "avx512" */
    int panel;       /* columns of a panel of packed weights */

    /* --- products: y [m, n] = a [m, k] · b [k, n] ---------------------------------------------
     * b is packed in panels of `panel` columns, the last padded with zeros; within a panel, row p
     * of b is `panel` consecutive elements. A call covers panels [first, last). */

    /* Packs b (element (p, j) at b[p * row + j * column]) into packed [panels, k, panel]. */
    void (*pack_f32)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                     int64_t first, int64_t last, float *packed);
    void (*pack_bf16)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                      int64_t first, int64_t last, uint16_t *packed);
    void (*product_f32)(int64_t m, int64_t n, int64_t k, ksk_left a, const float *packed,
                        int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                        int64_t y_stride);
    /* Weights in bf16, widened as they are read; activations and sums in f32. */
    void (*product_bf16)(int64_t m, int64_t n, int64_t k, ksk_left a, const uint16_t *packed,
                         int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                         int64_t y_stride);

    /* int8: weights with one scale per column (63 steps each way), activations with one per row
     * (127 steps each way). Sums in 32-bit integers, exact. `packed` is opaque: pack_int8_size
     * bytes. k_padded is k rounded up to a multiple of 4. quantize_rows adds `offset`, 0 or 128,
     * to every byte, padding included; product_int8 wants 128. */
    size_t (*pack_int8_size)(int64_t k, int64_t n);
    void (*pack_int8)(int64_t k, int64_t n, const float *b, int64_t row, int64_t column,
                      void *packed, float *column_scales);
    void (*quantize_rows)(int64_t m, int64_t k, const float *a, int64_t a_stride, int offset,
                          int8_t *q, int64_t q_stride, float *row_scales);
    /* The same for weights, with `steps` each way and no offset. */
    void (*quantize_weights)(int64_t n, int64_t k, const float *b, int64_t b_stride, int steps,
                             int8_t *q, int64_t q_stride, float *column_scales);
    void (*product_int8)(int64_t m, int64_t n, int64_t k, const int8_t *q, int64_t q_stride,
                         const float *row_scales, const void *packed, const float *column_scales,
                         int64_t first, int64_t last, const ksk_epilogue *epilogue, float *y,
                         int64_t y_stride);

    /* The two ends of a product that another library multiplies: rows of x rounded to bf16 (to
     * nearest even; NaN stays NaN), and sums [m, n] turned into y. The integers of an int8 product
     * become sums * (row scale * column scale) first, as in product_int8. */
    void (*round_rows)(int64_t m, int64_t k, const float *x, int64_t x_stride, uint16_t *rounded,
                       int64_t rounded_stride);
    void (*finish_f32)(int64_t m, int64_t n, const float *sums, int64_t sums_stride,
                       const ksk_epilogue *epilogue, float *y, int64_t y_stride);
    void (*finish_int8)(int64_t m, int64_t n, const int32_t *sums, int64_t sums_stride,
                        const float *row_scales, const float *column_scales,
                        const ksk_epilogue *epilogue, float *y, int64_t y_stride);

    /* --- rows ---------------------------------------------------------------------------------
     * x and y may be the same memory. */
    void (*layer_norm)(int64_t m, int64_t n, const float *x, int64_t x_stride, const float *gain,
                       const float *bias, float epsilon, float *y, int64_t y_stride);
    void (*log_softmax)(int64_t m, int64_t n, const float *x, int64_t x_stride, float *y,
                        int64_t y_stride);
    /* What log_softmax takes off a row, one after the other: its largest number and the logarithm
     * of the sum of e^(x - largest). */
    void (*row_norm)(int64_t n, const float *x, float *largest, float *log_sum);
    /* The largest number of each block of `block` elements of a row; NaN never. */
    void (*maxima)(int64_t n, int64_t block, const float *x, float *most);
    void (*activate)(int64_t m, int64_t n, ksk_activation kind, const float *x, int64_t x_stride,
                     float *y, int64_t y_stride);
    /* b_stride 0 repeats one row of b. */
    void (*add)(int64_t m, int64_t n, const float *a, int64_t a_stride, const float *b,
                int64_t b_stride, float *y, int64_t y_stride);
    void (*multiply)(int64_t m, int64_t n, const float *a, int64_t a_stride, const float *b,
                     int64_t b_stride, float *y, int64_t y_stride);
    void (*scale)(int64_t m, int64_t n, float factor, const float *x, int64_t x_stride, float *y,
                  int64_t y_stride);

    /* --- attention ----------------------------------------------------------------------------
     * Rows [first, last) of q; spans [rows][2] and index as ksk_attention says. `scores` has room
     * for the longest span. Head h is columns [h * width, (h + 1) * width). */
    void (*attention)(int64_t first, int64_t last, int heads, int64_t width, float scale,
                      const float *q, int64_t q_stride, const float *k, int64_t k_stride,
                      const float *v, int64_t v_stride, const int32_t *spans, const int32_t *index,
                      float *scores, float *y, int64_t y_stride);

    /* --- training -----------------------------------------------------------------------------
     * With norm = log of the sum of e^x over a row:
     * loss = (1 - smoothing) (norm - x[target]) + smoothing (norm - mean of x). */
    void (*cross_entropy)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                          const int32_t *targets, float smoothing, float *loss, float *norm);
    /* dx, which may be x, from the norms of the rows and the gradient dy of each row's loss. */
    void (*cross_entropy_grad)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                               const int32_t *targets, const float *norm, const float *dy,
                               float smoothing, float *dx, int64_t dx_stride);
    /* y = log_softmax(x) and dy → dx, which may be dy. */
    void (*log_softmax_grad)(int64_t m, int64_t n, const float *y, int64_t y_stride,
                             const float *dy, int64_t dy_stride, float *dx, int64_t dx_stride);
    /* dx may be x or dy. The sums over rows are added to dgain and dbias. */
    void (*layer_norm_grad)(int64_t m, int64_t n, const float *x, int64_t x_stride,
                            const float *gain, float epsilon, const float *dy, int64_t dy_stride,
                            float *dx, int64_t dx_stride, float *dgain, float *dbias);
    /* dx may be x or dy. */
    void (*activate_grad)(int64_t m, int64_t n, ksk_activation kind, const float *x,
                          int64_t x_stride, const float *dy, int64_t dy_stride, float *dx,
                          int64_t dx_stride);
    /* Rows [first, last) of the head in columns [column, column + width): dq is written, dk and dv
     * are added to, a row after the other. `scratch` has room for twice the longest span. */
    void (*attention_grad)(int64_t first, int64_t last, int64_t column, int64_t width, float scale,
                           const ksk_attention_matrices *matrices, float *scratch);
    /* y = x * scale where the element's random number is at most `kept`, else 0. Element j of row
     * i has number `first` + i * n + j of `key` (kaskad/random.h). */
    void (*dropout)(int64_t m, int64_t n, uint64_t key, uint64_t first, uint32_t kept, float scale,
                    const float *x, int64_t x_stride, float *y, int64_t y_stride);
    /* The columns' sums over rows are added to y. */
    void (*column_sum)(int64_t m, int64_t n, const float *x, int64_t x_stride, float *y);
    /* Row i of x is added to row ids[i] of y, in order. */
    void (*add_rows)(int64_t m, int64_t n, const float *x, int64_t x_stride, const int32_t *ids,
                     float *y, int64_t y_stride);
};

/* The best table for this processor, or a lower one that KASKAD_ISA names. */
const ksk_kernels *ksk_kernels_best(void);
/* The same, looking anew. */
const ksk_kernels *ksk_kernels_choose(void);
/* A table by name ("scalar", "avx2", "avx512"); NULL if unknown or the processor cannot run it. */
const ksk_kernels *ksk_kernels_named(const char *isa);

#endif
