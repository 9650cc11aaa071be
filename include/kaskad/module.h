/* Modules: constant trees of settings, named children and named parameters (after Parallax and
 * JAX).
 *
 * A tree is first *declared* (shapes and initialisers, no values), then initialised by a key or
 * bound to a checkpoint's tensors; both give a new tree. Nothing changes a tree afterwards, so it
 * may be shared freely. A gradient, or an optimiser's state, is a tree of the same shape. */
#ifndef KASKAD_MODULE_H
#define KASKAD_MODULE_H

#include "kaskad/random.h"
#include "kaskad/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_module ksk_module;

/* How a declared parameter gets its first value. */
typedef struct ksk_initializer {
    enum { KSK_INIT_ZEROS, KSK_INIT_ONES, KSK_INIT_NORMAL, KSK_INIT_UNIFORM } kind;
    float scale; /* standard deviation, or half the width of the interval around 0 */
} ksk_initializer;

/* Declaring. A new module belongs to the caller until it is given to a parent or released; after
 * that nothing may be added to it. Names have no dots. Errors (out of memory, a name used twice, a
 * NULL child) stick to the tree and surface in `ksk_module_init` and `ksk_module_bind`, so that
 * declarations stay plain. Buffers are not trained and start as zeros. */
KSK_API ksk_module *ksk_module_new(const char *type);
KSK_API void ksk_module_param(ksk_module *module, const char *name, int rank, const int64_t *shape,
                              ksk_initializer initializer);
KSK_API void ksk_module_buffer(ksk_module *module, const char *name, int rank,
                               const int64_t *shape);
KSK_API void ksk_module_setting(ksk_module *module, const char *name, double value);
KSK_API void ksk_module_child(ksk_module *module, const char *name, ksk_module *child); /* takes */

/* One more reference (NULL gives NULL), and one fewer. */
KSK_API ksk_module *ksk_module_share(const ksk_module *module);
KSK_API void ksk_module_release(const ksk_module *module);

/* A new tree whose parameters are drawn from `key`: each from a key split by the parameter's path,
 * so adding one does not change the others. F32. Caller releases. NULL on failure. Errors:
 * OUT_OF_MEMORY. */
KSK_API ksk_module *ksk_module_init(const ksk_module *declared, ksk_key key, ksk_error *err);

/* A new tree whose tensors are those `lookup` returns for each path ("model.encoder.layers.0…").
 * `lookup` returns a reference that the tree takes, or NULL with `err` filled. Shapes are checked
 * against the declaration. Caller releases. NULL on failure. Errors: BAD_FORMAT names the tensor
 * and both shapes; those of `lookup`; OUT_OF_MEMORY. */
typedef ksk_tensor *(*ksk_lookup)(void *context, const char *path, ksk_error *err);
KSK_API ksk_module *ksk_module_bind(const ksk_module *declared, ksk_lookup lookup, void *context,
                                    ksk_error *err);

/* Reading. Names are looked up among direct children and parameters; NULL if absent. */
KSK_API const char *ksk_module_type(const ksk_module *module);
KSK_API const ksk_module *ksk_module_get(const ksk_module *module, const char *child);
KSK_API const ksk_module *ksk_module_at(const ksk_module *module, const char *child, int index);
KSK_API const ksk_tensor *ksk_module_tensor(const ksk_module *module, const char *name);
KSK_API double ksk_module_number(const ksk_module *module, const char *setting); /* NAN if absent */
KSK_API int ksk_module_children(const ksk_module *module);
KSK_API const ksk_module *ksk_module_child_at(const ksk_module *module, int index);

/* Trees as flat lists, depth first: a module's parameters, its buffers, then its children's leaves,
 * each in order of declaration. A leaf of a tree that is only declared is NULL. */
KSK_API int ksk_module_leaves(const ksk_module *module);
KSK_API const ksk_tensor *ksk_module_leaf(const ksk_module *module, int index);
KSK_API bool ksk_module_leaf_path(const ksk_module *module, int index, char *path, size_t size);
KSK_API bool ksk_module_leaf_trained(const ksk_module *module, int index); /* false for buffers */
KSK_API int64_t ksk_module_parameters(const ksk_module *module); /* trained numbers in all */

/* The tree of `like` with its leaves replaced by `leaves` (shared, one per leaf, any shape). Caller
 * releases. NULL on failure. Errors: BAD_ARGUMENT (a leaf that is NULL), OUT_OF_MEMORY. */
KSK_API ksk_module *ksk_module_unflatten(const ksk_module *like, const ksk_tensor *const *leaves,
                                         ksk_error *err);

/* A tree of `function(path, leaf)` and of `function(path, leaf of a, leaf of b)`; `function`
 * returns a reference that the tree takes, or NULL with `err` filled. Zip needs equal structure.
 * Caller releases. NULL on failure. Errors: those of `function`, BAD_ARGUMENT (structures that
 * differ), OUT_OF_MEMORY. */
typedef ksk_tensor *(*ksk_map_function)(void *context, const char *path, const ksk_tensor *leaf,
                                        ksk_error *err);
typedef ksk_tensor *(*ksk_zip_function)(void *context, const char *path, const ksk_tensor *a,
                                        const ksk_tensor *b, ksk_error *err);
KSK_API ksk_module *ksk_module_map(const ksk_module *module, ksk_map_function function,
                                   void *context, ksk_error *err);
KSK_API ksk_module *ksk_module_zip(const ksk_module *a, const ksk_module *b,
                                   ksk_zip_function function, void *context, ksk_error *err);

/* Same types, settings, names, shapes and values. */
KSK_API bool ksk_module_equal(const ksk_module *a, const ksk_module *b);

/* The tree as Parallax prints it, one line a module or tensor, indented. Caller frees with
 * ksk_free; NULL when memory runs out. */
KSK_API char *ksk_module_print(const ksk_module *module);

#ifdef __cplusplus
}
#endif
#endif
