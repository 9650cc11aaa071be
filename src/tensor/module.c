#include "tensor/module.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kaskad/memory.h"

/* Trees are walked by recursion, so their depth is bounded; and a module that many parents share is
 * walked once a parent, so the number of walks is bounded too. */
enum { max_depth = 64, max_modules = 1 << 20 };

/* --- declaring ------------------------------------------------------------------------------- */

static void free_declaration(ksk_declaration *declaration)
{
    for (size_t i = 0; i < declaration->setting_count; i++)
        ksk_free(declaration->settings[i].name);
    for (size_t i = 0; i < declaration->leaf_count; i++)
        ksk_free(declaration->leaves[i].name);
    for (size_t i = 0; i < declaration->child_count; i++)
        ksk_free(declaration->names[i]);
    ksk_free(declaration->settings);
    ksk_free(declaration->leaves);
    ksk_free(declaration->names);
    ksk_free(declaration->type);
    ksk_free(declaration);
}

ksk_module *ksk_module_new(const char *type)
{
    ksk_module *module = ksk_calloc(1, sizeof *module);
    ksk_declaration *declaration = ksk_calloc(1, sizeof *declaration);
    char *name = ksk_strdup(type);
    if (!module || !declaration || !name) {
        ksk_free(module);
        ksk_free(declaration);
        ksk_free(name);
        return NULL;
    }
    declaration->type = name;
    atomic_init(&declaration->references, 1);
    atomic_init(&declaration->sealed, false);
    module->declaration = declaration;
    module->modules = module->depth = 1;
    atomic_init(&module->references, 1);
    atomic_init(&module->misused, false);
    return module;
}

/* True when the module may be added to: it exists, is in no tree yet, and has not failed. */
static bool open_to_more(ksk_module *module)
{
    if (!module)
        return false;
    if (atomic_load(&module->declaration->sealed)) {
        atomic_store(&module->misused, true);
        return false;
    }
    return module->declaration->error.status == KSK_OK;
}

static const ksk_module_leaf_entry *find_leaf(const ksk_declaration *declaration, const char *name)
{
    for (size_t i = 0; i < declaration->leaf_count; i++)
        if (strcmp(declaration->leaves[i].name, name) == 0)
            return &declaration->leaves[i];
    return NULL;
}

static const ksk_module_setting_entry *find_setting(const ksk_declaration *declaration,
                                                    const char *name)
{
    for (size_t i = 0; i < declaration->setting_count; i++)
        if (strcmp(declaration->settings[i].name, name) == 0)
            return &declaration->settings[i];
    return NULL;
}

/* A leaf and a child share one space of names, since both are steps of a path. */
static bool name_is_new(ksk_module *module, const char *name)
{
    ksk_declaration *declaration = module->declaration;
    if (name[0] == '\0' || strchr(name, '.'))
        return ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                        "module %s: the name \"%s\" is empty or has a dot; nest modules instead",
                        declaration->type, name);
    if (find_leaf(declaration, name) || ksk_module_get(module, name))
        return ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                        "module %s: the name \"%s\" is used twice", declaration->type, name);
    return true;
}

static bool shape_is_sound(ksk_declaration *declaration, const char *name, int rank,
                           const int64_t *shape)
{
    int64_t count = 1;
    bool sound = rank >= 0 && rank <= KSK_MAX_RANK;
    for (int i = 0; sound && i < rank; i++)
        sound = shape[i] >= 0 && !__builtin_mul_overflow(count, shape[i], &count);
    return sound || ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                             "module %s: \"%s\" has a negative or too large shape, or more than %d "
                             "dimensions",
                             declaration->type, name, KSK_MAX_RANK);
}

/* Parameters stand before buffers, whatever the order of their declaration. */
static void insert_leaf(ksk_declaration *declaration, ksk_module_leaf_entry leaf)
{
    const size_t at = leaf.trained ? declaration->parameter_count++ : declaration->leaf_count;
    memmove(&declaration->leaves[at + 1], &declaration->leaves[at],
            (declaration->leaf_count - at) * sizeof leaf);
    declaration->leaves[at] = leaf;
    declaration->leaf_count++;
}

static void declare_leaf(ksk_module *module, const char *name, int rank, const int64_t *shape,
                         bool trained, ksk_initializer initializer)
{
    if (!open_to_more(module) || !name_is_new(module, name))
        return;
    ksk_declaration *declaration = module->declaration;
    if (!shape_is_sound(declaration, name, rank, shape))
        return;
    ksk_module_leaf_entry leaf = {
        .name = ksk_strdup(name), .trained = trained, .rank = rank, .initializer = initializer};
    if (!leaf.name || !ksk_grow(&declaration->leaves, &declaration->leaf_room,
                                declaration->leaf_count + 1, sizeof leaf)) {
        ksk_free(leaf.name);
        ksk_fail_memory(&declaration->error);
        return;
    }
    for (int i = 0; i < rank; i++)
        leaf.shape[i] = shape[i];
    insert_leaf(declaration, leaf);
    module->leaves++;
}

void ksk_module_param(ksk_module *module, const char *name, int rank, const int64_t *shape,
                      ksk_initializer initializer)
{
    declare_leaf(module, name, rank, shape, true, initializer);
}

void ksk_module_buffer(ksk_module *module, const char *name, int rank, const int64_t *shape)
{
    declare_leaf(module, name, rank, shape, false, (ksk_initializer){KSK_INIT_ZEROS, 0});
}

void ksk_module_setting(ksk_module *module, const char *name, double value)
{
    if (!open_to_more(module))
        return;
    ksk_declaration *declaration = module->declaration;
    if (find_setting(declaration, name)) {
        ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                 "module %s: the setting \"%s\" is used twice", declaration->type, name);
        return;
    }
    char *copy = ksk_strdup(name);
    if (!copy || !ksk_grow(&declaration->settings, &declaration->setting_room,
                           declaration->setting_count + 1, sizeof *declaration->settings)) {
        ksk_free(copy);
        ksk_fail_memory(&declaration->error);
        return;
    }
    declaration->settings[declaration->setting_count++] = (ksk_module_setting_entry){copy, value};
}

static bool child_fits(ksk_module *module, const char *name, const ksk_module *child)
{
    ksk_declaration *declaration = module->declaration;
    if (!child)
        return ksk_fail(&declaration->error, KSK_OUT_OF_MEMORY,
                        "module %s: there was no memory for its child \"%s\"", declaration->type,
                        name);
    if (child == module)
        return ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                        "module %s: it cannot be its own child \"%s\"", declaration->type, name);
    if (child->depth >= max_depth || child->modules >= max_modules - module->modules ||
        child->leaves > INT_MAX / 2 - module->leaves)
        return ksk_fail(&declaration->error, KSK_BAD_ARGUMENT,
                        "module %s: with its child \"%s\" the tree is deeper than %d or has more "
                        "than %d modules",
                        declaration->type, name, max_depth, max_modules);
    return name_is_new(module, name);
}

/* Takes `child` when it succeeds. */
static bool add_child(ksk_module *module, const char *name, ksk_module *child)
{
    if (!child_fits(module, name, child))
        return false;
    ksk_declaration *declaration = module->declaration;
    const size_t count = declaration->child_count;
    char *copy = ksk_strdup(name);
    if (!copy || !ksk_grow(&declaration->names, &declaration->name_room, count + 1, sizeof copy) ||
        !ksk_grow(&module->children, &module->child_room, count + 1, sizeof child)) {
        ksk_free(copy);
        return ksk_fail_memory(&declaration->error);
    }
    declaration->names[count] = copy;
    module->children[count] = child;
    declaration->child_count++;
    atomic_store(&child->declaration->sealed, true);
    module->leaves += child->leaves;
    module->modules += child->modules;
    if (module->depth <= child->depth)
        module->depth = child->depth + 1;
    return true;
}

void ksk_module_child(ksk_module *module, const char *name, ksk_module *child)
{
    if (!open_to_more(module) || !add_child(module, name, child))
        ksk_module_release(child);
}

bool ksk_module_sound(const ksk_module *module, ksk_error *err)
{
    if (!module)
        return ksk_fail(err, KSK_OUT_OF_MEMORY, "there was no memory for the module");
    const ksk_declaration *declaration = module->declaration;
    if (atomic_load(&module->misused))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "module %s was added to after it had become part of a tree",
                        declaration->type);
    if (declaration->error.status != KSK_OK) {
        if (err)
            *err = declaration->error;
        return false;
    }
    for (size_t i = 0; i < declaration->child_count; i++)
        if (!ksk_module_sound(module->children[i], err))
            return false;
    return true;
}

/* --- references ------------------------------------------------------------------------------ */

ksk_module *ksk_module_share(const ksk_module *module)
{
    ksk_module *shared = (ksk_module *)module;
    if (shared)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

static bool last_reference(atomic_int *references)
{
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

void ksk_module_release(const ksk_module *module)
{
    ksk_module *dying = (ksk_module *)module;
    if (!dying || !last_reference(&dying->references))
        return;
    ksk_declaration *declaration = dying->declaration;
    for (size_t i = 0; dying->tensors && i < declaration->leaf_count; i++)
        ksk_tensor_release(dying->tensors[i]);
    for (size_t i = 0; dying->children && i < declaration->child_count; i++)
        ksk_module_release(dying->children[i]);
    ksk_free(dying->tensors);
    ksk_free(dying->children);
    ksk_free(dying);
    if (last_reference(&declaration->references))
        free_declaration(declaration);
}

/* --- reading --------------------------------------------------------------------------------- */

const char *ksk_module_type(const ksk_module *module)
{
    return module->declaration->type;
}

const ksk_module *ksk_module_get(const ksk_module *module, const char *child)
{
    if (!module)
        return NULL;
    for (size_t i = 0; i < module->declaration->child_count; i++)
        if (strcmp(module->declaration->names[i], child) == 0)
            return module->children[i];
    return NULL;
}

const ksk_module *ksk_module_at(const ksk_module *module, const char *child, int index)
{
    char number[16];
    snprintf(number, sizeof number, "%d", index);
    return ksk_module_get(ksk_module_get(module, child), number);
}

const ksk_tensor *ksk_module_own(const ksk_module *module, size_t leaf)
{
    return module->tensors ? module->tensors[leaf] : NULL;
}

const ksk_tensor *ksk_module_tensor(const ksk_module *module, const char *name)
{
    const ksk_module_leaf_entry *leaf = module ? find_leaf(module->declaration, name) : NULL;
    return leaf ? ksk_module_own(module, (size_t)(leaf - module->declaration->leaves)) : NULL;
}

double ksk_module_number(const ksk_module *module, const char *setting)
{
    const ksk_module_setting_entry *entry =
        module ? find_setting(module->declaration, setting) : NULL;
    return entry ? entry->value : NAN;
}

int ksk_module_children(const ksk_module *module)
{
    return (int)module->declaration->child_count;
}

const ksk_module *ksk_module_child_at(const ksk_module *module, int index)
{
    return index < 0 || index >= ksk_module_children(module) ? NULL : module->children[index];
}

/* --- trees as flat lists --------------------------------------------------------------------- */

int ksk_module_leaves(const ksk_module *module)
{
    return module->leaves;
}

/* The child that holds leaf `*index`, made relative to it; the index is not an own leaf's. */
static size_t child_with_leaf(const ksk_module *module, int *index)
{
    *index -= (int)module->declaration->leaf_count;
    size_t child = 0;
    while (*index >= module->children[child]->leaves)
        *index -= module->children[child++]->leaves;
    return child;
}

const ksk_module *ksk_module_owner(const ksk_module *module, int *index)
{
    if (!module || *index < 0 || *index >= module->leaves)
        return NULL;
    while (*index >= (int)module->declaration->leaf_count)
        module = module->children[child_with_leaf(module, index)];
    return module;
}

const ksk_tensor *ksk_module_leaf(const ksk_module *module, int index)
{
    const ksk_module *owner = ksk_module_owner(module, &index);
    return owner ? ksk_module_own(owner, (size_t)index) : NULL;
}

bool ksk_module_leaf_trained(const ksk_module *module, int index)
{
    const ksk_module *owner = ksk_module_owner(module, &index);
    return owner && owner->declaration->leaves[index].trained;
}

/* Appends `name` at `*length` of path [size]; false when it does not fit. */
static bool append_step(char *path, size_t size, size_t *length, const char *name)
{
    const char *dot = *length ? "." : "";
    const int added = snprintf(path + *length, size - *length, "%s%s", dot, name);
    *length += (size_t)added;
    return *length < size;
}

bool ksk_module_leaf_path(const ksk_module *module, int index, char *path, size_t size)
{
    if (!module || index < 0 || index >= module->leaves || size == 0)
        return false;
    size_t length = 0;
    while (index >= (int)module->declaration->leaf_count) {
        const size_t child = child_with_leaf(module, &index);
        if (!append_step(path, size, &length, module->declaration->names[child]))
            return false;
        module = module->children[child];
    }
    return append_step(path, size, &length, module->declaration->leaves[index].name);
}

static int64_t leaf_elements(const ksk_module *module, size_t leaf)
{
    if (module->tensors)
        return ksk_tensor_count(module->tensors[leaf]);
    int64_t count = 1;
    const ksk_module_leaf_entry *entry = &module->declaration->leaves[leaf];
    for (int i = 0; i < entry->rank; i++)
        count *= entry->shape[i];
    return count;
}

int64_t ksk_module_parameters(const ksk_module *module)
{
    int64_t count = 0;
    for (size_t i = 0; i < module->declaration->parameter_count; i++)
        count += leaf_elements(module, i);
    for (size_t i = 0; i < module->declaration->child_count; i++)
        count += ksk_module_parameters(module->children[i]);
    return count;
}

const char *ksk_module_own_name(const ksk_module *module, int leaf)
{
    return module->declaration->leaves[leaf].name;
}

int ksk_module_leaf_of(const ksk_module *tree, const ksk_module *owner, const char *name)
{
    for (int i = 0; i < ksk_module_leaves(tree); i++) {
        int own = i;
        if (ksk_module_owner(tree, &own) == owner &&
            strcmp(ksk_module_own_name(owner, own), name) == 0)
            return i;
    }
    return -1;
}

static const ksk_module *child_of(const ksk_module *module, const char *name, size_t length)
{
    const ksk_declaration *declaration = module->declaration;
    for (size_t i = 0; i < declaration->child_count; i++)
        if (strncmp(declaration->names[i], name, length) == 0 && !declaration->names[i][length])
            return module->children[i];
    return NULL;
}

const ksk_module_leaf_entry *ksk_module_declared(const ksk_module *tree, const char *path)
{
    for (const char *dot; tree && (dot = strchr(path, '.')); path = dot + 1)
        tree = child_of(tree, path, (size_t)(dot - path));
    return tree ? find_leaf(tree->declaration, path) : NULL;
}
