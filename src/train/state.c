/* The state of a training run as a safetensors file: "parameters.PATH", and "first.PATH" and
 * "second.PATH" where the optimiser has such moments, for each leaf; and "updates", i32 [3]: the
 * mark of the optimiser, then the low and high words of the count of updates. */
#include <stdio.h>
#include <string.h>

#include "io/checkpoint.h"
#include "kaskad/memory.h"
#include "tensor/tensor.h"
#include "train/trainer.h"

enum { longest_name = 300 };

static const char updates_name[] = "updates";

/* Tells optimisers apart: the number of a built-in one, or bits of the name (FNV-1a). */
static uint32_t mark_of(const ksk_optimiser_type *type)
{
    uint32_t mark = 2166136261U;
    for (uint32_t i = 0; ksk_built_in_optimisers[i]; i++)
        if (ksk_built_in_optimisers[i] == type)
            return i;
    for (const char *at = type->name; *at; at++)
        mark = (mark ^ (uint8_t)*at) * 16777619U;
    return mark | 1U << 31;
}

/* --- saving -------------------------------------------------------------------------------------
 */

typedef struct listing {
    char (*texts)[longest_name];
    const char **names;
    const ksk_tensor **tensors;
    int count;
} listing;

static bool list_tree(listing *l, const char *prefix, const ksk_module *tree, ksk_error *err)
{
    for (int i = 0; tree && i < ksk_module_leaves(tree); i++, l->count++) {
        char *text = l->texts[l->count];
        const int length = snprintf(text, longest_name, "%s.", prefix);
        if (!ksk_module_leaf_path(tree, i, text + length, (size_t)(longest_name - length)))
            return ksk_fail(err, KSK_UNSUPPORTED, "a tensor's name is longer than %d bytes",
                            longest_name - length - 1);
        l->names[l->count] = text;
        l->tensors[l->count] = ksk_module_leaf(tree, i);
    }
    return true;
}

static bool write_listing(listing *l, const ksk_trainer *trainer, const char *path, ksk_error *err)
{
    const uint64_t updates = (uint64_t)trainer->state.updates;
    const uint32_t words[3] = {mark_of(trainer->options.optimiser.type), (uint32_t)updates,
                               (uint32_t)(updates >> 32)};
    const ksk_tensor counts = ksk_tensor_borrow(KSK_I32, 1, (const int64_t[]){3}, words);
    if (!list_tree(l, "parameters", trainer->module, err) ||
        !list_tree(l, "first", trainer->state.first, err) ||
        !list_tree(l, "second", trainer->state.second, err))
        return false;
    l->names[l->count] = updates_name;
    l->tensors[l->count++] = &counts;
    return ksk_safetensors_write(path, l->count, l->names, l->tensors, err);
}

bool ksk_trainer_save(const ksk_trainer *trainer, const char *path, ksk_error *err)
{
    const size_t room = 3 * (size_t)trainer->leaves + 1;
    listing l = {.texts = ksk_calloc(room, sizeof *l.texts),
                 .names = ksk_calloc(room, sizeof *l.names),
                 .tensors = ksk_calloc(room, sizeof *l.tensors)};
    const bool ok = (l.texts && l.names && l.tensors) ? write_listing(&l, trainer, path, err)
                                                      : ksk_fail_memory(err);
    ksk_free(l.texts);
    ksk_free(l.names);
    ksk_free(l.tensors);
    return ok;
}

/* --- restoring ----------------------------------------------------------------------------------
 */

typedef struct finder {
    const ksk_safetensors *file;
    const char *prefix;
} finder;

/* A copy in memory of our own: the file may then be removed, and an update writes in place. */
static ksk_tensor *copy(const ksk_tensor *tensor, ksk_error *err)
{
    ksk_tensor *fresh = ksk_tensor_new(tensor->dtype, tensor->rank, tensor->shape, err);
    if (fresh)
        memcpy(ksk_tensor_fill(fresh), tensor->data, ksk_tensor_bytes(tensor));
    return fresh;
}

static ksk_tensor *look_up(void *context, const char *path, ksk_error *err)
{
    const finder *f = context;
    char name[longest_name];
    ksk_tensor *fresh = NULL;
    snprintf(name, sizeof name, "%s.%s", f->prefix, path);
    ksk_tensor *found = ksk_safetensors_get(f->file, name, err);
    if (found && found->dtype == KSK_F32)
        fresh = copy(found, err);
    else if (found)
        ksk_fail(err, KSK_BAD_FORMAT, "tensor \"%s\" is %s; a training state is F32", name,
                 ksk_dtype_name(found->dtype));
    ksk_tensor_release(found);
    return fresh;
}

static ksk_module *read_tree(const ksk_safetensors *file, const char *prefix,
                             const ksk_module *like, ksk_error *err)
{
    finder f = {file, prefix};
    return ksk_module_bind(like, look_up, &f, err);
}

static bool read_updates(const ksk_safetensors *file, const ksk_trainer *trainer, int64_t *updates,
                         ksk_error *err)
{
    uint32_t words[3] = {0, 0, 0};
    ksk_tensor *tensor = ksk_safetensors_get(file, updates_name, err);
    if (!tensor)
        return false;
    const bool fits = tensor->dtype == KSK_I32 && tensor->count == 3;
    if (fits)
        memcpy(words, tensor->data, sizeof words);
    ksk_tensor_release(tensor);
    *updates = (int64_t)((uint64_t)words[2] << 32 | words[1]);
    if (!fits || *updates < 0)
        return ksk_fail(err, KSK_BAD_FORMAT, "tensor \"updates\" is not a count of updates");
    return words[0] == mark_of(trainer->options.optimiser.type) ||
           ksk_fail(err, KSK_BAD_FORMAT, "the training state was made by another optimiser");
}

static bool read_state(const ksk_safetensors *file, const ksk_trainer *trainer, ksk_module **module,
                       ksk_optimiser_state *state, ksk_error *err)
{
    const int moments = trainer->options.optimiser.type->moments;
    return read_updates(file, trainer, &state->updates, err) &&
           (*module = read_tree(file, "parameters", trainer->module, err)) &&
           (moments < 1 || (state->first = read_tree(file, "first", trainer->module, err))) &&
           (moments < 2 || (state->second = read_tree(file, "second", trainer->module, err)));
}

/* Buffers are constants of the plans: a state with others belongs to another model. */
static bool same_buffers(const ksk_trainer *trainer, const ksk_module *module, ksk_error *err)
{
    for (int i = 0; i < trainer->leaves; i++)
        if (!ksk_module_leaf_trained(module, i) &&
            !ksk_tensor_equal(ksk_module_leaf(module, i), ksk_module_leaf(trainer->module, i)))
            return ksk_fail(err, KSK_BAD_FORMAT, "the training state is of another model");
    return true;
}

bool ksk_trainer_restore(ksk_trainer *trainer, const char *directory, const char *name,
                         ksk_error *err)
{
    ksk_module *module = NULL;
    ksk_optimiser_state state = {.first = NULL};
    ksk_safetensors *file = ksk_safetensors_open(directory, name, err);
    if (!file)
        return false;
    const bool ok =
        read_state(file, trainer, &module, &state, err) && same_buffers(trainer, module, err);
    ksk_safetensors_free(file);
    if (!ok) {
        ksk_module_release(module);
        ksk_optimiser_clear(&state);
        return false;
    }
    ksk_module_release(trainer->module);
    ksk_optimiser_clear(&trainer->state);
    trainer->module = module;
    trainer->state = state;
    ksk_trainer_drop(trainer);
    return true;
}
