/* What the files of this folder share: shape checks, slicing over rows, and the rule tables that
 * compile looks for by name. */
#ifndef KSK_GRAPH_OPS_OPS_H
#define KSK_GRAPH_OPS_OPS_H

#include "graph/graph.h"

extern const ksk_op ksk_op_activate, ksk_op_add, ksk_op_append, ksk_op_attention, ksk_op_columns,
    ksk_op_layer_norm, ksk_op_linear, ksk_op_log_softmax, ksk_op_multiply, ksk_op_pick, ksk_op_rows,
    ksk_op_scale, ksk_op_matmul, ksk_op_sum, ksk_op_column_sum, ksk_op_dropout,
    ksk_op_cross_entropy;

extern const ksk_op *const ksk_built_in_operations[]; /* all of them; ends with NULL */

/* Attributes that fusing reads and writes. */
typedef struct linear_attributes {
    ksk_activation activation;
    float epsilon; /* of the norm that follows; 0: none */
} linear_attributes;

/* The operands of a linear; those after the weight may be left out. */
enum {
    LINEAR_X,
    LINEAR_WEIGHT,
    LINEAR_BIAS,
    LINEAR_RESIDUAL,
    LINEAR_GAIN,
    LINEAR_SHIFT,
    LINEAR_INPUTS
};

typedef struct activate_attributes {
    ksk_activation kind;
} activate_attributes;

typedef struct layer_norm_attributes {
    float epsilon;
} layer_norm_attributes;

typedef struct columns_attributes {
    int64_t first, count;
} columns_attributes;

/* --- shape rules ------------------------------------------------------------------------------ */

/* Checks input `i` and fails the graph with what was expected; true when all is well. The columns
 * of a matrix are its last size. */
bool ksk_expect_matrix(ksk_shaping *shaping, int i, const char *what);
bool ksk_expect_floats(ksk_shaping *shaping, int i, const char *what); /* a matrix or a vector */
bool ksk_expect_vector(ksk_shaping *shaping, int i, ksk_size size, const char *what);
bool ksk_expect_ids(ksk_shaping *shaping, int i, const char *what);
bool ksk_expect_same_rows(ksk_shaping *shaping, int i, int j, const char *what);

int64_t ksk_shaping_columns(const ksk_shaping *shaping, int i);

/* Output 0 is like input 0. */
void ksk_shape_like_first(ksk_shaping *shaping);

/* --- kernels ---------------------------------------------------------------------------------- */

/* Runs work(call, first, last) over all rows in [0, rows), in slices on the plan's threads when
 * `row_cost` (operations a row, roughly) makes that worth while. */
void ksk_over_rows(const ksk_call *call, int64_t rows, int64_t row_cost,
                   void (*work)(const ksk_call *call, int64_t first, int64_t last));

/* Sums over rows: work(call, first, last, sums) adds those of rows [first, last) to the `width`
 * floats of `sums`, which start as zeros. The slices depend on the sizes alone, and their sums are
 * added in order. All happens in call->scratch, of ksk_sum_scratch bytes, where the result lies. */
size_t ksk_sum_scratch(int64_t rows, int64_t width);
const float *ksk_sum_over_rows(const ksk_call *call, int64_t rows, int64_t width,
                               void (*work)(const ksk_call *call, int64_t first, int64_t last,
                                            float *sums));

/* Row `i` of an operand of floats. */
static inline float *ksk_row(const ksk_operand *operand, int64_t i)
{
    return (float *)operand->data + i * operand->stride;
}

#endif
