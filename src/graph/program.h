/* A program: the part of a graph that its outputs need, as a list of steps that compile may
 * rewrite. Fusing works on it; a finished program is the heart of a plan. */
#ifndef KSK_GRAPH_PROGRAM_H
#define KSK_GRAPH_PROGRAM_H

#include "graph/graph.h"

enum { KSK_MAX_INPUTS = 8 };

typedef struct program_value {
    value_kind kind;
    ksk_dtype dtype;
    ksk_shape shape;
    char *name;         /* of an input, parameter or cache; owned */
    int position;       /* among the inputs of a run */
    int cache;          /* value of kind VALUE_CACHE that this is a later state of, else -1 */
    ksk_tensor *tensor; /* of a parameter or constant; shared */
    int uses;           /* as inputs of steps and as outputs of the program */
    bool output;
} program_value;

typedef struct program_step {
    const ksk_op *op; /* NULL once fused away */
    void *attributes; /* owned */
    int32_t inputs[KSK_MAX_INPUTS];
    int input_count;
    int32_t first_output;
    void *prepared; /* owned, through op->unprepare */
} program_step;

typedef struct ksk_program {
    program_value *values;
    int value_count;
    size_t value_room;
    program_step *steps;
    int step_count;
    char **sizes; /* names of the named sizes; owned */
    int size_count;
    int32_t *outputs;
    int output_count;
    int input_count;
} ksk_program;

/* The steps that the outputs need; leaves of `free` (or NULL) become inputs behind the graph's own.
 * False with `err` filled; free it all the same. */
bool ksk_program_build(ksk_program *program, const ksk_graph *graph, int output_count,
                       const ksk_sym *outputs, const ksk_module *free, ksk_error *err);
void ksk_program_free(ksk_program *program);

/* A new value; -1 when memory runs out. Takes value.tensor and value.name, also then. */
int32_t ksk_program_add(ksk_program *program, program_value value);

/* Merges steps into fewer and larger ones with the same results: products that share an operand
 * (query, key and value), then bias, activation, residual and norm behind a product. */
bool ksk_program_fuse(ksk_program *program, ksk_error *err);

/* Drops the steps that were fused away. */
void ksk_program_compact(ksk_program *program);

#endif
