/* Graphs: `forward` records symbols; `ksk_compile` turns a graph into a plan; a plan runs.
 *
 * A symbol is not a tensor: it has a type and a shape of *sizes*, some fixed ("256"), the first
 * perhaps named ("rows"), and no numbers. Batches are packed rows without padding, so most symbols
 * are [rows, width]; which rows belong together is said by spans (see ksk_attention).
 *
 * While tracing, errors stick to the graph: every call on a failed graph returns a symbol of that
 * graph and does nothing, and `ksk_compile` reports the first error. Model code needs no checks. */
#ifndef KASKAD_GRAPH_H
#define KASKAD_GRAPH_H

#include "kaskad/module.h"
#include "kaskad/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_graph ksk_graph;

/* A size: fixed when `name` is 0, else the graph's named size of that number. */
typedef struct ksk_size {
    int64_t fixed;
    int32_t name;
} ksk_size;

typedef struct ksk_shape {
    int rank;
    ksk_size size[KSK_MAX_RANK];
} ksk_shape;

/* A value that the graph will have at run time. Passed by value; valid while the graph lives. */
typedef struct ksk_sym {
    ksk_graph *graph;
    int32_t value;
} ksk_sym;

/* --- tracing ------------------------------------------------------------------------------- */

/* An empty graph; caller frees. NULL when memory runs out. */
KSK_API ksk_graph *ksk_graph_new(void);
KSK_API void ksk_graph_free(ksk_graph *graph);

/* The first error, or NULL while all is well; and a way for model code to add its own. */
KSK_API const ksk_error *ksk_graph_error(const ksk_graph *graph);
KSK_API ksk_sym ksk_graph_fail(ksk_graph *graph, ksk_status status, const char *format, ...)
    KSK_PRINTF(3, 4);

/* Sizes and shapes. The same name gives the same size. */
KSK_API ksk_size ksk_fixed(int64_t size);
KSK_API ksk_size ksk_named(ksk_graph *graph, const char *name);
KSK_API ksk_shape ksk_shape1(ksk_size a);
KSK_API ksk_shape ksk_shape2(ksk_size a, ksk_size b);

/* The sources of values: an input of each run (in order of declaration), a parameter of a module, a
 * constant (shared), a cache. */
KSK_API ksk_sym ksk_input(ksk_graph *graph, const char *name, ksk_dtype dtype, ksk_shape shape);
KSK_API ksk_sym ksk_param(ksk_graph *graph, const ksk_module *module, const char *name);
KSK_API ksk_sym ksk_leaf(ksk_graph *graph, const ksk_module *tree, int leaf); /* a parameter */
KSK_API ksk_sym ksk_constant(ksk_graph *graph, const ksk_tensor *tensor);

/* A cache is a growing table of rows [slots, width] that outlives a run; it belongs to the
 * workspace, under its name, and changes only through ksk_append. Caches that name the same `slots`
 * have as many. */
KSK_API ksk_sym ksk_cache(ksk_graph *graph, const char *name, const char *slots, int64_t width);

KSK_API ksk_dtype ksk_sym_dtype(ksk_sym sym);
KSK_API ksk_shape ksk_sym_shape(ksk_sym sym);
KSK_API bool ksk_sym_same(ksk_sym a, ksk_sym b);
KSK_API ksk_sym ksk_none(ksk_graph *graph); /* stands for an operand left out */
KSK_API bool ksk_is_none(ksk_sym sym);

/* --- operations that models are made of ------------------------------------------------------ */

typedef enum ksk_activation {
    KSK_IDENTITY,
    KSK_RELU,
    KSK_GELU,     /* x/2 (1 + erf(x/sqrt 2)) */
    KSK_GELU_NEW, /* the tanh form of GPT-2 */
    KSK_SILU,     /* x sigmoid(x), also called swish */
    KSK_TANH,
} ksk_activation;

/* Rows of table [n, width] by ids i32 [rows] → [rows, width]: an embedding, or a choice of rows */
KSK_API ksk_sym ksk_rows(ksk_sym table, ksk_sym ids);
/* x [rows, in], weight [out, in], bias [out] or none → x·weightᵀ + bias [rows, out] */
KSK_API ksk_sym ksk_linear(ksk_sym x, ksk_sym weight, ksk_sym bias);
KSK_API ksk_sym ksk_activate(ksk_sym x, ksk_activation kind);
KSK_API ksk_sym ksk_add(ksk_sym a, ksk_sym b);      /* the same shape, or b [width] for every row */
KSK_API ksk_sym ksk_multiply(ksk_sym a, ksk_sym b); /* likewise */
KSK_API ksk_sym ksk_scale(ksk_sym x, float factor);
/* x [rows, width], gain and bias [width]; biased variance, as Ba et al. 2016 */
KSK_API ksk_sym ksk_layer_norm(ksk_sym x, ksk_sym gain, ksk_sym bias, float epsilon);
/* Columns [first, first + count) of x [rows, width]; no copy. */
KSK_API ksk_sym ksk_columns(ksk_sym x, int64_t first, int64_t count);
/* Scaled dot-product attention (Vaswani et al. 2017) over packed rows: q [rows, d], k and v
 * [keys, d], heads side by side in d. Row i attends the keys spans[i][0] … + spans[i][1] - 1; with
 * `index` (i32 [entries], or none) those number entries of index, which name the key rows. So full,
 * causal, cross and cached attention are one operation; spans i32 [rows, 2]. A row with an empty
 * span gives zeros. */
KSK_API ksk_sym ksk_attention(ksk_sym q, ksk_sym k, ksk_sym v, ksk_sym spans, ksk_sym index,
                              int heads);
/* Writes rows [rows, width] to the cache's slots i32 [rows]; gives the cache as it is afterwards.
 */
KSK_API ksk_sym ksk_append(ksk_sym cache, ksk_sym rows, ksk_sym slots);
KSK_API ksk_sym ksk_log_softmax(ksk_sym logits); /* along the columns of [rows, width] */
/* x [rows, width], ids i32 [rows] → x[i][ids[i]], [rows] */
KSK_API ksk_sym ksk_pick(ksk_sym x, ksk_sym ids);

/* --- operations for training ------------------------------------------------------------------ */

/* a [m, k] · b [k, n]; with transpose_a a is [k, m], with transpose_b b is [n, k] */
KSK_API ksk_sym ksk_matmul(ksk_sym a, ksk_sym b, bool transpose_a, bool transpose_b);
KSK_API ksk_sym ksk_column_sum(ksk_sym x); /* [rows, width] → [width] */
KSK_API ksk_sym ksk_sum(ksk_sym x);        /* [rows] → [1] */
/* Zeroes elements with probability `rate` and divides the others by 1 - rate (Srivastava et al.
 * 2014). key i32 [2] are the words of a ksk_key; different streams of one key are independent. */
KSK_API ksk_sym ksk_dropout(ksk_sym x, ksk_sym key, float rate, uint32_t stream);
/* logits [rows, width], targets i32 [rows] → [rows]: (1 - smoothing) · -log p(target) + smoothing ·
 * the mean of -log p over the vocabulary (label smoothing, Szegedy et al. 2016). */
KSK_API ksk_sym ksk_cross_entropy(ksk_sym logits, ksk_sym targets, float smoothing);

/* Reverse mode: appends to the graph the gradients of `loss` [1] with respect to each of `wrt`;
 * none where the loss does not depend on it. Errors stick to the graph. */
KSK_API void ksk_grad(ksk_sym loss, int count, const ksk_sym *wrt, ksk_sym *grads);

/* --- how to compile ----------------------------------------------------------------------------
 */

typedef enum ksk_precision {
    KSK_PRECISION_F32,
    KSK_PRECISION_BF16,
    KSK_PRECISION_INT8,
    /* Where a model is loaded (kaskad.h); compiling takes either for f32. */
    KSK_PRECISION_AUTO, /* chosen for the processor and the checkpoint */
    KSK_PRECISION_FULL, /* the most that the checkpoint has: f32, or its own if it is quantised */
} ksk_precision;

typedef struct ksk_compile_options {
    ksk_precision precision; /* of products with the module's weights */
    bool reference;          /* plain kernels and no fusion: what the fast path is tested against */
    const ksk_module *free;  /* a tree whose leaves change from run to run (training): ksk_run takes
                                them, one per leaf, behind the graph's inputs. NULL: none */
} ksk_compile_options;

/* --- operations themselves ------------------------------------------------------------------- */

typedef struct ksk_kernels ksk_kernels;
typedef struct ksk_pool ksk_pool;

/* An operand at run time: a matrix view of a value. Rank 1 is rows × 1. */
typedef struct ksk_operand {
    void *data; /* inputs are read only, but for a cache that the operation appends to */
    ksk_dtype dtype;
    int64_t rows, columns;
    int64_t stride; /* elements from one row to the next, at least columns */
} ksk_operand;

/* What an operation's kernel is given. Operands left out have data NULL. */
typedef struct ksk_call {
    const void *attributes;
    const ksk_operand *inputs;
    const ksk_operand *outputs;
    int input_count, output_count;
    const void *prepared;       /* what `prepare` returned, or NULL */
    void *scratch;              /* scratch bytes, aligned to 64 */
    const ksk_kernels *kernels; /* of this processor */
    ksk_pool *pool;
} ksk_call;

/* Runs `job(context, i)` for i in [0, slices) on the plan's threads. */
KSK_API void ksk_parallel(const ksk_call *call, int slices, void (*job)(void *context, int slice),
                          void *context);

/* The shape rule's view of a node: read the inputs, declare the outputs. */
typedef struct ksk_shaping {
    ksk_graph *graph;
    const void *attributes;
    const ksk_sym *inputs;
    int input_count;
    ksk_dtype output_dtype[4];
    ksk_shape output_shape[4];
} ksk_shaping;

/* An operation: one file, ending in its rule table. */
typedef struct ksk_op {
    const char *name;
    int min_inputs, max_inputs; /* operands left out count */
    int outputs;
    size_t attribute_size; /* bytes copied into the graph */

    /* Checks the inputs (ksk_graph_fail with what is expected and what came) and fills the outputs'
     * types and shapes. */
    void (*shape)(ksk_shaping *shaping);

    /* The plain kernel: slow, obviously right, one thread. */
    void (*reference)(const ksk_call *call);

    /* The fast kernel; NULL means that the plain one is used. */
    void (*fast)(const ksk_call *call);

    /* Looks at operands whose numbers could lead out of bounds (ids, spans, slots) before a kernel
     * runs; NULL means that any numbers do. */
    bool (*check)(const ksk_call *call, ksk_error *err);

    /* Turns inputs that never change (constants[i], f32, NULL where input i changes) into whatever
     * `fast` likes best, once, when a plan is compiled. NULL without an error means: nothing to
     * prepare. `unprepare` frees it. Both NULL when the operation has no such need. */
    void *(*prepare)(const void *attributes, const ksk_tensor *const *constants,
                     const ksk_compile_options *options, ksk_error *err);
    void (*unprepare)(void *prepared);

    /* Scratch bytes that `fast` needs for these operands; NULL means none. */
    size_t (*scratch)(const ksk_call *call);

    /* Reverse mode: from the symbols of the node and the gradients of its outputs (none where
     * nothing flows) append the gradients of its inputs. NULL means not differentiable. */
    void (*grad)(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads);

    /* The input whose memory output 0 may take over when nobody else needs it, plus one; 0: none.
     * Its size must be the output's. */
    int in_place;

    /* True when output 0 is the cache that input 0 is, changed. */
    bool appends;

    /* The input that output 0 is a view of, plus one, with the first column; 0: a real value. */
    int view_of;
    int64_t (*view_column)(const void *attributes);
} ksk_op;

/* Appends a node and gives its output 0 (`ksk_output` gives the others). */
KSK_API ksk_sym ksk_apply(const ksk_op *op, const void *attributes, int count,
                          const ksk_sym *inputs);
KSK_API ksk_sym ksk_output(ksk_sym first, int output);

/* --- plans ----------------------------------------------------------------------------------- */

typedef struct ksk_plan ksk_plan;
typedef struct ksk_workspace ksk_workspace;

/* A plan that computes `outputs` (a cache among them is brought up to date and gives no tensor)
 * from the graph's inputs; parameters are those of the modules that were traced. The plan is
 * immutable and needs neither the graph nor the modules: any number of threads may run it, each
 * with a workspace of its own. `options` may be NULL. Caller frees. Errors: the graph's own;
 * OUT_OF_MEMORY; UNSUPPORTED names an operation or type. */
KSK_API ksk_plan *ksk_compile(const ksk_graph *graph, int output_count, const ksk_sym *outputs,
                              const ksk_compile_options *options, ksk_error *err);
KSK_API void ksk_plan_free(ksk_plan *plan);

/* The fused and ordered steps, one a line. Caller frees with ksk_free. */
KSK_API char *ksk_plan_print(const ksk_plan *plan);

/* The mutable half of a computation: memory for values between operations, caches, threads. May
 * serve several plans, one run at a time. Caller frees. Errors: BAD_ARGUMENT (threads outside 1 to
 * 1024), OUT_OF_MEMORY (threads that the system refuses, too). */
KSK_API ksk_workspace *ksk_workspace_new(int threads, ksk_error *err);
KSK_API void ksk_workspace_free(ksk_workspace *workspace);

/* Runs the plan. `inputs` in order of declaration, then the leaves of the free tree, if any (one
 * that the graph does not read may be NULL). `outputs[i]` is NULL on entry, and then a fresh tensor
 * the caller releases, or a tensor of an earlier run that is given back to be filled again (used
 * when nobody else holds it and the type and count fit, released otherwise). What comes back never
 * aliases the workspace. On failure all outputs are NULL. Errors: BAD_ARGUMENT names the input
 * whose type or size does not fit; OUT_OF_MEMORY. */
KSK_API bool ksk_run(const ksk_plan *plan, ksk_workspace *workspace,
                     const ksk_tensor *const *inputs, ksk_tensor **outputs, ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
