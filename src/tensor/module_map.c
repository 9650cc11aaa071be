/* Trees from trees: initialising, binding, mapping, zipping; and comparing them. */
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "kaskad/memory.h"
#include "tensor/module.h"

/* --- rebuilding ------------------------------------------------------------------------------ */

/* Makes the leaf of the new tree from the old one's; NULL with `err` filled to give up. */
typedef ksk_tensor *(*make_leaf)(void *context, const char *path,
                                 const ksk_module_leaf_entry *declared, const ksk_tensor *tensor,
                                 ksk_error *err);

typedef struct rebuilding {
    make_leaf make;
    void *context;
    ksk_string path; /* of the module at hand, then of its leaf */
    ksk_error *err;
} rebuilding;

/* A module of the same declaration with room for tensors and children, all NULL. */
static ksk_module *empty_copy(const ksk_module *module, ksk_error *err)
{
    ksk_declaration *declaration = module->declaration;
    ksk_module *copy = ksk_calloc(1, sizeof *copy);
    if (!copy) {
        ksk_fail_memory(err);
        return NULL;
    }
    atomic_init(&copy->references, 1);
    atomic_init(&copy->misused, false);
    copy->leaves = module->leaves;
    copy->modules = module->modules;
    copy->depth = module->depth;
    copy->child_room = declaration->child_count;
    copy->declaration = declaration;
    atomic_fetch_add_explicit(&declaration->references, 1, memory_order_relaxed);
    atomic_store(&declaration->sealed, true);
    copy->tensors = ksk_calloc(declaration->leaf_count, sizeof *copy->tensors);
    copy->children = ksk_calloc(declaration->child_count, sizeof *copy->children);
    if (copy->tensors && copy->children)
        return copy;
    ksk_fail_memory(err);
    ksk_module_release(copy);
    return NULL;
}

/* Lengthens the path by a step; gives its length before. */
static size_t enter(rebuilding *work, const char *name)
{
    const size_t before = work->path.length;
    ksk_string_add(&work->path, "%s%s", before ? "." : "", name);
    return before;
}

static bool rebuild_leaf(rebuilding *work, const ksk_module *module, size_t leaf, ksk_module *copy)
{
    const ksk_module_leaf_entry *declared = &module->declaration->leaves[leaf];
    const size_t before = enter(work, declared->name);
    if (work->path.failed)
        return ksk_fail_memory(work->err);
    copy->tensors[leaf] = work->make(work->context, work->path.data, declared,
                                     ksk_module_own(module, leaf), work->err);
    ksk_string_cut(&work->path, before);
    return copy->tensors[leaf] != NULL;
}

static ksk_module *rebuild(rebuilding *work, const ksk_module *module)
{
    const ksk_declaration *declaration = module->declaration;
    ksk_module *copy = empty_copy(module, work->err);
    bool well = copy != NULL;
    for (size_t i = 0; well && i < declaration->leaf_count; i++)
        well = rebuild_leaf(work, module, i, copy);
    for (size_t i = 0; well && i < declaration->child_count; i++) {
        const size_t before = enter(work, declaration->names[i]);
        copy->children[i] = rebuild(work, module->children[i]);
        ksk_string_cut(&work->path, before);
        well = copy->children[i] != NULL;
    }
    if (well)
        return copy;
    ksk_module_release(copy);
    return NULL;
}

static ksk_module *rebuild_tree(const ksk_module *module, make_leaf make, void *context,
                                ksk_error *err)
{
    if (!ksk_module_sound(module, err))
        return NULL;
    rebuilding work = {.make = make, .context = context, .err = err};
    ksk_module *tree = rebuild(&work, module);
    ksk_free(work.path.data);
    return tree;
}

/* --- initialising ---------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t value = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)text[i]) * 0x100000001B3u;
    return value;
}

/* One split a step of the path, so that a subtree's keys come from the subtree's key. */
static ksk_key key_of_path(ksk_key key, const char *path)
{
    for (;;) {
        const size_t step = strcspn(path, ".");
        key = ksk_key_split(key, hash(path, step));
        if (path[step] == '\0')
            return key;
        path += step + 1;
    }
}

static void draw(ksk_initializer initializer, ksk_key key, int64_t count, float *values)
{
    const float scale = initializer.scale;
    for (int64_t i = 0; i < count; i++) {
        switch (initializer.kind) {
        case KSK_INIT_ZEROS:
            values[i] = 0;
            break;
        case KSK_INIT_ONES:
            values[i] = 1;
            break;
        case KSK_INIT_NORMAL:
            values[i] = scale * ksk_random_normal(key, (uint64_t)i);
            break;
        case KSK_INIT_UNIFORM:
            values[i] = scale * (2 * ksk_random_uniform(key, (uint64_t)i) - 1);
            break;
        }
    }
}

static ksk_tensor *init_leaf(void *context, const char *path, const ksk_module_leaf_entry *declared,
                             const ksk_tensor *tensor, ksk_error *err)
{
    (void)tensor;
    const ksk_key *key = context;
    ksk_tensor *fresh = ksk_tensor_new(KSK_F32, declared->rank, declared->shape, err);
    if (fresh)
        draw(declared->initializer, key_of_path(*key, path), ksk_tensor_count(fresh),
             ksk_tensor_fill(fresh));
    return fresh;
}

ksk_module *ksk_module_init(const ksk_module *declared, ksk_key key, ksk_error *err)
{
    return rebuild_tree(declared, init_leaf, &key, err);
}

/* --- binding --------------------------------------------------------------------------------- */

typedef struct binding {
    ksk_lookup lookup;
    void *context;
} binding;

/* "[3, 5]" into text [size]. */
static const char *shape_text(int rank, const int64_t *shape, char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, i ? ", %lld" : "%lld",
                                   (long long)shape[i]);
    if (length < size)
        snprintf(text + length, size - length, "]");
    return text;
}

static ksk_tensor *bind_leaf(void *context, const char *path, const ksk_module_leaf_entry *declared,
                             const ksk_tensor *tensor, ksk_error *err)
{
    (void)tensor;
    const binding *self = context;
    ksk_tensor *found = self->lookup(self->context, path, err);
    if (!found)
        return NULL;
    const int rank = ksk_tensor_rank(found);
    if (rank == declared->rank && memcmp(ksk_tensor_shape(found), declared->shape,
                                         (size_t)rank * sizeof *declared->shape) == 0)
        return found;
    char there[100], wanted[100];
    ksk_fail(err, KSK_BAD_FORMAT, "tensor \"%s\" has the shape %s, but the model needs %s", path,
             shape_text(rank, ksk_tensor_shape(found), there, sizeof there),
             shape_text(declared->rank, declared->shape, wanted, sizeof wanted));
    ksk_tensor_release(found);
    return NULL;
}

ksk_module *ksk_module_bind(const ksk_module *declared, ksk_lookup lookup, void *context,
                            ksk_error *err)
{
    binding self = {lookup, context};
    return rebuild_tree(declared, bind_leaf, &self, err);
}

/* --- unflattening, mapping, zipping ---------------------------------------------------------- */

static ksk_tensor *next_leaf(void *context, const char *path, const ksk_module_leaf_entry *declared,
                             const ksk_tensor *tensor, ksk_error *err)
{
    (void)declared;
    (void)tensor;
    const ksk_tensor *const **next = context;
    const ksk_tensor *leaf = *(*next)++;
    if (!leaf)
        ksk_fail(err, KSK_BAD_ARGUMENT, "the leaf for \"%s\" is NULL", path);
    return ksk_tensor_share(leaf);
}

ksk_module *ksk_module_unflatten(const ksk_module *like, const ksk_tensor *const *leaves,
                                 ksk_error *err)
{
    return rebuild_tree(like, next_leaf, &leaves, err);
}

/* False for the leaf of a tree that is only declared. */
static bool has_value(const ksk_tensor *tensor, const char *path, ksk_error *err)
{
    return tensor || ksk_fail(err, KSK_BAD_ARGUMENT,
                              "\"%s\" has no value yet; initialise or bind the module first", path);
}

typedef struct mapping {
    ksk_map_function function;
    void *context;
} mapping;

static ksk_tensor *map_leaf(void *context, const char *path, const ksk_module_leaf_entry *declared,
                            const ksk_tensor *tensor, ksk_error *err)
{
    (void)declared;
    const mapping *self = context;
    return has_value(tensor, path, err) ? self->function(self->context, path, tensor, err) : NULL;
}

ksk_module *ksk_module_map(const ksk_module *module, ksk_map_function function, void *context,
                           ksk_error *err)
{
    mapping self = {function, context};
    return rebuild_tree(module, map_leaf, &self, err);
}

typedef struct zipping {
    ksk_zip_function function;
    void *context;
    const ksk_module *other;
    int index; /* of the leaf in the flat list */
} zipping;

static ksk_tensor *zip_leaf(void *context, const char *path, const ksk_module_leaf_entry *declared,
                            const ksk_tensor *tensor, ksk_error *err)
{
    (void)declared;
    zipping *self = context;
    const ksk_tensor *other = ksk_module_leaf(self->other, self->index++);
    if (!has_value(tensor, path, err) || !has_value(other, path, err))
        return NULL;
    return self->function(self->context, path, tensor, other, err);
}

/* --- comparing ------------------------------------------------------------------------------- */

/* The same bits, so that a setting that is not a number equals itself. */
static bool same_number(double a, double b)
{
    uint64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

static bool same_settings(const ksk_declaration *a, const ksk_declaration *b)
{
    bool same = a->setting_count == b->setting_count;
    for (size_t i = 0; same && i < a->setting_count; i++)
        same = strcmp(a->settings[i].name, b->settings[i].name) == 0 &&
               same_number(a->settings[i].value, b->settings[i].value);
    return same;
}

static bool same_declaration(const ksk_declaration *a, const ksk_declaration *b)
{
    if (a == b)
        return true;
    bool same = strcmp(a->type, b->type) == 0 && same_settings(a, b) &&
                a->leaf_count == b->leaf_count && a->parameter_count == b->parameter_count &&
                a->child_count == b->child_count;
    for (size_t i = 0; same && i < a->leaf_count; i++)
        same = strcmp(a->leaves[i].name, b->leaves[i].name) == 0;
    for (size_t i = 0; same && i < a->child_count; i++)
        same = strcmp(a->names[i], b->names[i]) == 0;
    return same;
}

/* The first pair of modules that differ; false when the trees have the same structure. */
static bool find_difference(const ksk_module **a, const ksk_module **b)
{
    const ksk_module *left = *a, *right = *b;
    if (!same_declaration(left->declaration, right->declaration))
        return true;
    for (size_t i = 0; i < left->declaration->child_count; i++) {
        *a = left->children[i];
        *b = right->children[i];
        if (find_difference(a, b))
            return true;
    }
    return false;
}

ksk_module *ksk_module_zip(const ksk_module *a, const ksk_module *b, ksk_zip_function function,
                           void *context, ksk_error *err)
{
    if (!ksk_module_sound(a, err) || !ksk_module_sound(b, err))
        return NULL;
    const ksk_module *left = a, *right = b;
    if (find_difference(&left, &right)) {
        ksk_fail(err, KSK_BAD_ARGUMENT,
                 "trees of different structure: a module %s of one and %s of the other differ in "
                 "settings or names",
                 ksk_module_type(left), ksk_module_type(right));
        return NULL;
    }
    zipping self = {function, context, b, 0};
    return rebuild_tree(a, zip_leaf, &self, err);
}

static bool same_leaf(const ksk_module *a, const ksk_module *b, size_t leaf)
{
    const ksk_tensor *left = ksk_module_own(a, leaf), *right = ksk_module_own(b, leaf);
    if (left && right)
        return left == right || ksk_tensor_equal(left, right);
    const ksk_module_leaf_entry *first = &a->declaration->leaves[leaf];
    const ksk_module_leaf_entry *second = &b->declaration->leaves[leaf];
    return !left && !right && first->rank == second->rank &&
           memcmp(first->shape, second->shape, sizeof first->shape) == 0;
}

bool ksk_module_equal(const ksk_module *a, const ksk_module *b)
{
    if (a == b)
        return true;
    bool same = a && b && same_declaration(a->declaration, b->declaration);
    for (size_t i = 0; same && i < a->declaration->leaf_count; i++)
        same = same_leaf(a, b, i);
    for (size_t i = 0; same && i < a->declaration->child_count; i++)
        same = ksk_module_equal(a->children[i], b->children[i]);
    return same;
}
