/* The inside of a module, for the files that walk trees. */
#ifndef KSK_TENSOR_MODULE_H
#define KSK_TENSOR_MODULE_H

#include <stdatomic.h>

#include "kaskad/module.h"

typedef struct ksk_module_setting_entry {
    char *name;
    double value;
} ksk_module_setting_entry;

/* A declared parameter or buffer. */
typedef struct ksk_module_leaf_entry {
    char *name;
    bool trained; /* a parameter, not a buffer */
    int rank;
    int64_t shape[KSK_MAX_RANK];
    ksk_initializer initializer;
} ksk_module_leaf_entry;

/* What a module is, without its values: shared by every tree that was made from it. Nothing but the
 * count of references and `sealed` changes once it is sealed. */
typedef struct ksk_declaration {
    atomic_int references;
    atomic_bool sealed; /* part of a tree; it can no longer be added to */
    ksk_error error;    /* the first one of declaring */
    char *type;
    ksk_module_setting_entry *settings;
    ksk_module_leaf_entry *leaves; /* parameters, then buffers */
    char **names;                  /* of the children */
    size_t setting_count, setting_room;
    size_t leaf_count, leaf_room, parameter_count;
    size_t child_count, name_room;
} ksk_declaration;

struct ksk_module {
    atomic_int references;
    atomic_bool misused; /* someone tried to add to it after it was sealed */
    ksk_declaration *declaration;
    const ksk_tensor **tensors; /* [leaf_count]; NULL while only declared */
    ksk_module **children;      /* [child_count] */
    size_t child_room;
    int leaves, modules, depth; /* of the whole tree, this module included */
};

/* The first error of declaring in the tree, put into `err`; true when there is none. A NULL tree is
 * one that memory ran out for. */
bool ksk_module_sound(const ksk_module *module, ksk_error *err);

/* The module that holds leaf `*index` of the tree; `*index` becomes its number among that module's
 * own leaves. NULL when out of range. */
const ksk_module *ksk_module_owner(const ksk_module *module, int *index);

/* The name of a module's own leaf. */
const char *ksk_module_own_name(const ksk_module *module, int leaf);

/* The number, in the whole tree, of the leaf `name` that module `owner` of the tree holds; -1 if
 * there is none. */
int ksk_module_leaf_of(const ksk_module *tree, const ksk_module *owner, const char *name);

/* The declaration of the leaf at a path ("model.shared.weight"), or NULL. */
const ksk_module_leaf_entry *ksk_module_declared(const ksk_module *tree, const char *path);

/* The tensor of a module's own leaf, or NULL while only declared. */
const ksk_tensor *ksk_module_own(const ksk_module *module, size_t leaf);

#endif
