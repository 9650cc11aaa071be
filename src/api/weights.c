/* A checkpoint's tensors, plain or packed.
 *
 * A quantised file says so in its metadata: {"kaskad.packing": "int8, panel 16, steps 63, layout
 * 1"}. Its matrices are stored as their panels (tensor/packing.h), the scales of NAME as
 * NAME_scale. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "tensor/module.h"
#include "tensor/packing.h"

static const char note_key[] = "kaskad.packing";

/* --- the note -----------------------------------------------------------------------------------
 */

/* Takes a label and up to four digits off the text. */
static bool take_number(const char **text, const char *label, int *number)
{
    const size_t length = strlen(label);
    if (strncmp(*text, label, length) != 0)
        return false;
    const char *const digits = *text + length;
    const size_t count = strspn(digits, "0123456789");
    if (count < 1 || count > 4)
        return false;
    *number = (int)strtol(digits, NULL, 10);
    *text = digits + count;
    return true;
}

static bool read_note(const char *directory, const char *note, ksk_quantised *stored,
                      ksk_error *err)
{
    char printable[60];
    int layout = 0;
    *stored = (ksk_quantised){.precision = KSK_PRECISION_F32};
    if (!note)
        return true;
    if (strncmp(note, "int8", 4) == 0)
        stored->precision = KSK_PRECISION_INT8;
    else if (strncmp(note, "bf16", 4) == 0)
        stored->precision = KSK_PRECISION_BF16;
    const bool named = stored->precision != KSK_PRECISION_F32;
    const char *rest = note + (named ? 4 : 0);
    if (named && take_number(&rest, ", panel ", &stored->panel) &&
        take_number(&rest, ", steps ", &stored->steps) &&
        take_number(&rest, ", layout ", &layout) && !*rest && layout == KSK_PACKING_VERSION &&
        stored->panel > 1 && stored->panel <= KSK_MOST_PANEL && stored->panel % 2 == 0 &&
        (stored->steps == KSK_TABLE_STEPS || stored->steps == KSK_ONEDNN_STEPS))
        return true;
    return ksk_fail(err, KSK_UNSUPPORTED,
                    "%s/model.safetensors: the matrices are packed as \"%s\", which this version "
                    "does not read; quantise the original checkpoint anew",
                    directory, ksk_printable(note, printable, sizeof printable));
}

/* --- loading ------------------------------------------------------------------------------------
 */

typedef struct finder {
    const ksk_safetensors *file;
    const ksk_model *model;
    const ksk_module *declared;
    int vocabulary;
    ksk_storage weights;
} finder;

/* The tensor under its own name, one of the type's aliases, or either without its first part, as a
 * file saved from the bare model has it. */
static const char *find_name(const finder *f, const char *path)
{
    if (ksk_safetensors_has(f->file, path))
        return path;
    for (const ksk_alias *alias = f->model->type->aliases; alias && alias->path; alias++)
        if (strcmp(alias->path, path) == 0 && ksk_safetensors_has(f->file, alias->other))
            return alias->other;
    const char *dot = strchr(path, '.');
    return dot && ksk_safetensors_has(f->file, dot + 1) ? dot + 1 : NULL;
}

static ksk_tensor *zeros(int64_t columns, ksk_error *err)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){1, columns}, err);
    if (tensor)
        memset(ksk_tensor_fill(tensor), 0, ksk_tensor_bytes(tensor));
    return tensor;
}

static ksk_tensor *get_scales(const finder *f, const char *name, ksk_error *err)
{
    ksk_string scale_name = {0};
    ksk_tensor *scales = NULL;
    if (ksk_string_add(&scale_name, "%s_scale", name))
        scales = ksk_safetensors_get(f->file, scale_name.data, err);
    else
        ksk_fail_memory(err);
    ksk_free(scale_name.data);
    return scales;
}

/* The matrix [n, k] that the panels hold. */
static ksk_tensor *wrap_panels(const finder *f, const ksk_tensor *panels, const char *name,
                               const int64_t *shape, ksk_error *err)
{
    const ksk_quantised *stored = &f->model->stored;
    const bool int8 = stored->precision == KSK_PRECISION_INT8;
    if (ksk_tensor_dtype(panels) != (int8 ? KSK_I8 : KSK_BF16)) {
        ksk_fail(err, KSK_BAD_FORMAT, "the panels are not of type %s", int8 ? "I8" : "BF16");
        return NULL;
    }
    ksk_tensor *scales = int8 ? get_scales(f, name, err) : NULL;
    ksk_tensor *matrix = scales || !int8 ? ksk_packing_wrap(panels, scales, stored->panel,
                                                            stored->steps, shape[0], shape[1], err)
                                         : NULL;
    ksk_tensor_release(scales);
    return matrix;
}

/* What is stored, as the model needs it: panels are declared as matrices. */
static ksk_tensor *interpret(const finder *f, ksk_tensor *stored, const char *path,
                             const char *name, ksk_error *err)
{
    const ksk_module_leaf_entry *declared = ksk_module_declared(f->declared, path);
    if (f->model->stored.precision == KSK_PRECISION_F32 || ksk_tensor_rank(stored) < 3 ||
        !declared || declared->rank != 2)
        return stored;
    ksk_error problem = {0};
    ksk_tensor *matrix = wrap_panels(f, stored, name, declared->shape, &problem);
    ksk_tensor_release(stored);
    if (!matrix && problem.status == KSK_OUT_OF_MEMORY)
        ksk_fail_memory(err);
    else if (!matrix)
        ksk_fail(err, KSK_BAD_FORMAT, "%s/model.safetensors: tensor \"%s\": %s",
                 f->model->directory, path, problem.message);
    return matrix;
}

static ksk_tensor *look_up(void *context, const char *path, ksk_error *err)
{
    const finder *f = context;
    const char *name = find_name(f, path);
    if (!name && strcmp(path, "final_logits_bias") == 0)
        return zeros(f->vocabulary, err); /* older files leave it out */
    ksk_tensor *stored = ksk_safetensors_get(f->file, name ? name : path, err);
    if (!stored || f->weights == KSK_STORAGE_AS_IS)
        return stored ? interpret(f, stored, path, name ? name : path, err) : NULL;
    ksk_tensor *converted =
        ksk_tensor_convert(stored, f->weights == KSK_STORAGE_F32 ? KSK_F32 : KSK_BF16, err);
    ksk_tensor_release(stored);
    return converted;
}

/* config.json says what type the weights have, under the key of its transformers release. */
static void note_weights(ksk_config *config, ksk_storage weights)
{
    if (weights != KSK_STORAGE_AS_IS)
        ksk_config_set_string(config,
                              ksk_config_has(config, "torch_dtype") ? "torch_dtype" : "dtype",
                              weights == KSK_STORAGE_F32 ? "float32" : "bfloat16");
}

static bool can_convert(const ksk_model *model, ksk_storage weights, ksk_error *err)
{
    return weights == KSK_STORAGE_AS_IS || model->stored.precision == KSK_PRECISION_F32 ||
           ksk_fail(err, KSK_UNSUPPORTED,
                    "%s is quantised, its weights are no longer there; use the checkpoint that it "
                    "was made from",
                    model->directory);
}

ksk_module *ksk_weights_load(ksk_model *model, const ksk_module *declared, ksk_storage weights,
                             ksk_error *err)
{
    ksk_safetensors *file = ksk_safetensors_open(model->directory, "model.safetensors", err);
    ksk_module *module = NULL;
    if (file &&
        read_note(model->directory, ksk_safetensors_note(file, note_key), &model->stored, err) &&
        can_convert(model, weights, err)) {
        finder f = {file, model, declared,
                    ksk_config_int(model->config, "decoder_vocab_size",
                                   ksk_config_int(model->config, "vocab_size", 58101, 1, 1 << 22),
                                   1, 1 << 22),
                    weights};
        note_weights(model->config, weights);
        module = ksk_module_bind(declared, look_up, &f, err);
    }
    ksk_safetensors_free(file);
    return module;
}

/* --- saving -------------------------------------------------------------------------------------
 */

enum { name_room = 264 };

/* What goes into the file: a name and a tensor each. */
typedef struct listing {
    char (*paths)[name_room];
    const char **names;
    const ksk_tensor **tensors;
    int count;
    char note[60]; /* "" when nothing is packed */
} listing;

static void list(listing *l, const ksk_tensor *tensor)
{
    l->names[l->count] = l->paths[l->count];
    l->tensors[l->count++] = tensor;
}

static void list_leaf(listing *l, const ksk_tensor *leaf)
{
    const ksk_packing *packing = leaf->packing;
    if (!packing) {
        list(l, leaf);
        return;
    }
    if (packing->scales)
        strcat(memcpy(l->paths[l->count + 1], l->paths[l->count], name_room), "_scale");
    list(l, packing->stored);
    if (packing->scales)
        list(l, packing->scales);
    snprintf(l->note, sizeof l->note, "%s, panel %d, steps %d, layout %d",
             leaf->dtype == KSK_I8 ? "int8" : "bf16", packing->panel, packing->steps,
             KSK_PACKING_VERSION);
}

static bool list_leaves(listing *l, const ksk_module *module, ksk_error *err)
{
    for (int i = 0; i < ksk_module_leaves(module); i++) {
        if (!ksk_module_leaf_path(module, i, l->paths[l->count], 256))
            return ksk_fail(err, KSK_UNSUPPORTED, "a tensor's name is longer than 255 bytes");
        list_leaf(l, ksk_module_leaf(module, i));
    }
    return true;
}

bool ksk_weights_save(const ksk_module *module, const char *directory, ksk_error *err)
{
    const size_t most = 2 * (size_t)ksk_module_leaves(module);
    listing l = {.paths = ksk_calloc(most, sizeof *l.paths),
                 .names = ksk_calloc(most, sizeof *l.names),
                 .tensors = ksk_calloc(most, sizeof *l.tensors)};
    char *file = ksk_path(directory, "model.safetensors");
    bool ok = (l.paths && l.names && l.tensors && file) || ksk_fail_memory(err);
    ok = ok && list_leaves(&l, module, err) &&
         ksk_safetensors_write_noted(file, l.note[0] ? note_key : NULL, l.note, l.count, l.names,
                                     l.tensors, err);
    ksk_free(l.paths);
    ksk_free(l.names);
    ksk_free(l.tensors);
    ksk_free(file);
    return ok;
}
