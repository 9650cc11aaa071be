/* The inside of a plan, for running and printing it. */
#ifndef KSK_GRAPH_PLAN_H
#define KSK_GRAPH_PLAN_H

#include "graph/program.h"

/* Where a value's numbers are during a run. */
typedef enum storage_kind {
    STORED_NOWHERE, /* not needed, or left out */
    STORED_INPUT,   /* in the caller's tensor */
    STORED_TENSOR,  /* in the plan's own tensor */
    STORED_CACHE,   /* in the workspace's cache */
    STORED_BUFFER,  /* in a buffer of the workspace's arena */
    STORED_OUTPUT,  /* in the tensor that the run returns */
} storage_kind;

typedef struct storage {
    storage_kind kind;
    int which;      /* input, cache value, buffer or output */
    int32_t root;   /* the value that owns the memory: itself unless a view */
    int64_t column; /* of a view, its first in the root */
} storage;

/* A piece of the arena that values take in turn; its values have the same named size (or none). */
typedef struct buffer {
    int32_t size_name;
    int64_t row_bytes;
} buffer;

struct ksk_plan {
    ksk_program program;
    storage *storages; /* one per value */
    buffer *buffers;
    int buffer_count;
    bool reference;
    const ksk_kernels *kernels;
    size_t weight_bytes; /* of the packed weights */
};

/* Bytes of one row of a value: one element of a vector, and all of it where nothing is named. */
int64_t ksk_value_row_bytes(const program_value *value);

/* What runs may need at most, in bytes. */
typedef struct ksk_plan_room {
    int64_t weights; /* of the plan itself, packed */
    int64_t arena;   /* what is computed on the way */
    int64_t scratch;
    int64_t outputs;
    int64_t caches;
} ksk_plan_room;

/* Room for runs in which no named size is larger than `size` says of it, and no row attends to more
 * than `longest` others. */
ksk_plan_room ksk_plan_measure(const ksk_plan *plan,
                               int64_t (*size)(const void *context, const char *name),
                               const void *context, int64_t longest);

/* Gives every value its place; buffers are shared by values that are never needed together. */
bool ksk_plan_place(ksk_plan *plan, ksk_error *err);

#endif
