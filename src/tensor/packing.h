/* Matrices packed for products before any plan is compiled, as a quantised checkpoint stores them.
 *
 * A packed tensor has its matrix's shape [n, k] and the type I8 or BF16, but its memory is in
 * panels of `panel` rows, the last padded with zeros, as the kernels of that panel width
 * (kernels.h) multiply them:
 *
 *     I8      [panels, 1 + padded / 4, panel, 4], where padded is k rounded up to a multiple of 4;
 *             element (j, p) stands for that integer times scales[j]; the first [panel, 4] of a
 *             panel are 32-bit numbers, -128 times the sum of each row
 *     BF16    [panels, k, panel], where rows j and j + panel / 2 of a panel lie side by side */
#ifndef KSK_TENSOR_PACKING_H
#define KSK_TENSOR_PACKING_H

#include "tensor/kernels.h"
#include "tensor/tensor.h"

/* Of the two layouts; a file that says another is refused. */
enum { KSK_PACKING_VERSION = 1, KSK_MOST_PANEL = 256 };

/* Steps each way that int8 weights have: as many as the tables' kernels can multiply, or as many as
 * there are, where oneDNN multiplies (which takes fewer too). */
enum { KSK_TABLE_STEPS = 63, KSK_ONEDNN_STEPS = 127 };
int ksk_packing_steps(const ksk_kernels *kernels);

/* What makes a tensor a packed one. */
typedef struct ksk_packing {
    int panel;
    int steps;          /* int8: no integer is larger */
    ksk_tensor *stored; /* the panels, as a tensor of the shape above; NULL for a stack */
    ksk_tensor *scales; /* F32 [n], of I8; NULL for a stack */
    size_t bytes;       /* of panels and scales, all parts */
    int count;          /* a stack's parts: packed tensors, one matrix below the other */
    ksk_tensor *parts[];
} ksk_packing;

void ksk_packing_free(ksk_packing *packing);

/* The panels' shape for a matrix [n, k]; gives the rank. 0 when the sizes are not positive or
 * multiply to too much. */
int ksk_packing_shape(ksk_dtype dtype, int panel, int64_t n, int64_t k, int64_t shape[4]);

/* The matrix [n, k] that `stored` and `scales` (both shared) hold. Errors: BAD_ARGUMENT (type or
 * shape are not those of the layout; a scale is negative or not finite), OUT_OF_MEMORY. */
ksk_tensor *ksk_packing_wrap(const ksk_tensor *stored, const ksk_tensor *scales, int panel,
                             int steps, int64_t n, int64_t k, ksk_error *err);

/* A matrix, of floats or packed in any way, packed for kernels with such panels: bf16, or int8 with
 * one scale a row and `steps` each way. Integers that were packed before in no more steps stay what
 * they are, with their scales. Errors: UNSUPPORTED (no matrix of floats), OUT_OF_MEMORY. */
ksk_tensor *ksk_pack(const ksk_kernels *kernels, ksk_precision precision, int steps,
                     const ksk_tensor *matrix, ksk_error *err);

/* The same for rows of floats, `stride` elements apart. */
ksk_tensor *ksk_pack_floats(const ksk_kernels *kernels, ksk_precision precision, int steps,
                            int64_t n, int64_t k, const float *matrix, int64_t stride,
                            ksk_error *err);

/* Packed matrices of one type, panel and k, one below the other; nothing is copied. Errors:
 * OUT_OF_MEMORY. */
ksk_tensor *ksk_packing_stack(int count, ksk_tensor *const *parts, ksk_error *err);
bool ksk_packing_alike(const ksk_tensor *a, const ksk_tensor *b); /* may be stacked */

/* Row `row` of a packed tensor as floats, y [k]. */
void ksk_packing_row(const ksk_tensor *packed, int64_t row, float *y);

/* The tree with its matrices packed: the weights of linear layers and embeddings (src/nn), on
 * `threads` threads. What is packed so already is shared. Errors: OUT_OF_MEMORY. */
ksk_module *ksk_module_pack(const ksk_module *module, const ksk_kernels *kernels,
                            ksk_precision precision, int threads, ksk_error *err);

#endif
