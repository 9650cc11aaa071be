/* The inside of a graph, for tracing, grad and compile. */
#ifndef KSK_GRAPH_GRAPH_H
#define KSK_GRAPH_GRAPH_H

#include "kaskad/graph.h"

typedef enum value_kind {
    VALUE_NONE, /* an operand left out */
    VALUE_INPUT,
    VALUE_PARAM,
    VALUE_CONSTANT,
    VALUE_CACHE,  /* as the run finds it */
    VALUE_RESULT, /* of a node; an appended cache too */
} value_kind;

typedef struct graph_value {
    value_kind kind;
    ksk_dtype dtype;
    ksk_shape shape;
    char *name;               /* of an input, cache or parameter; owned */
    int position;             /* among the inputs; or among the node's outputs */
    int node;                 /* of a result */
    int cache;                /* the VALUE_CACHE that an appended cache goes back to, else -1 */
    const ksk_module *module; /* that a parameter belongs to; shared */
    ksk_tensor *constant;     /* shared */
} graph_value;

typedef struct graph_node {
    const ksk_op *op;
    void *attributes; /* owned copy */
    int32_t *inputs;  /* values; owned */
    int input_count;
    int32_t first_output; /* outputs are consecutive values */
} graph_node;

struct ksk_graph {
    graph_value *values; /* value 0 is VALUE_NONE */
    size_t value_count, value_room;
    graph_node *nodes;
    size_t node_count, node_room;
    char **sizes; /* names of named sizes; number i + 1 is sizes[i] */
    size_t size_count, size_room;
    int inputs; /* declared so far */
    ksk_error error;
};

/* "f32 [rows, 256]" into `text`. */
void ksk_graph_describe(const ksk_graph *graph, ksk_dtype dtype, ksk_shape shape, char *text,
                        size_t size);
bool ksk_size_equal(ksk_size a, ksk_size b);

#endif
