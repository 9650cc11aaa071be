#include "train/inherit.h"

#include <string.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/kaskad.h"
#include "kaskad/memory.h"
#include "train/describe.h"

enum { longest_path = 256 };

/* --- vocabularies -------------------------------------------------------------------------------
 */

static bool digest_vocabulary(const char *directory, ksk_digest *digest, ksk_error *err)
{
    char *path = ksk_path(directory, "vocab.json");
    const bool ok = path ? ksk_digest_file(path, digest, err) : ksk_fail_memory(err);
    ksk_free(path);
    return ok;
}

/* Embeddings of the same shape but of other pieces would be taken for what they are not. */
static bool same_vocabulary(const char *checkpoint, const char *model, ksk_error *err)
{
    ksk_digest theirs, ours;
    return digest_vocabulary(checkpoint, &theirs, err) && digest_vocabulary(model, &ours, err) &&
           (strcmp(theirs.text, ours.text) == 0 ||
            ksk_fail(err, KSK_BAD_ARGUMENT,
                     "init_from %s has another vocabulary than the recipe's tokenizer; leave "
                     "tokenizer out to use init_from's",
                     checkpoint));
}

/* --- tensors ------------------------------------------------------------------------------------
 */

static bool same_shape(const ksk_tensor *a, const ksk_tensor *b)
{
    bool same = ksk_tensor_rank(a) == ksk_tensor_rank(b);
    for (int i = 0; same && i < ksk_tensor_rank(a); i++)
        same = ksk_tensor_size(a, i) == ksk_tensor_size(b, i);
    return same;
}

/* In memory of our own: updates write in place, and the file may then be removed. */
static ksk_tensor *copy(const ksk_tensor *tensor, const char *path, ksk_error *err)
{
    const float *const values = ksk_tensor_f32(tensor);
    if (!values) {
        ksk_fail(err, KSK_UNSUPPORTED, "init_from's tensor %s is not of floating-point numbers",
                 path);
        return NULL;
    }
    ksk_tensor *fresh =
        ksk_tensor_new(KSK_F32, ksk_tensor_rank(tensor), ksk_tensor_shape(tensor), err);
    if (fresh)
        memcpy(ksk_tensor_fill(fresh), values, ksk_tensor_bytes(tensor));
    return fresh;
}

/* The trained leaf of that path and shape, or NULL. */
static const ksk_tensor *find(const ksk_module *donor, const char *path, const ksk_tensor *like)
{
    char name[longest_path];
    for (int i = 0; i < ksk_module_leaves(donor); i++) {
        const ksk_tensor *const leaf = ksk_module_leaf(donor, i);
        if (ksk_module_leaf_trained(donor, i) &&
            ksk_module_leaf_path(donor, i, name, sizeof name) && strcmp(name, path) == 0)
            return same_shape(leaf, like) ? leaf : NULL;
    }
    return NULL;
}

static bool add_name(json_t *report, const char *list, const char *path, ksk_error *err)
{
    return json_array_append_new(json_object_get(report, list), json_string(path)) == 0 ||
           ksk_fail_memory(err);
}

/* One reference a leaf: the donor's where it fits, else the module's own. */
static bool choose(const ksk_module *module, const ksk_module *donor, ksk_tensor **leaves,
                   json_t *report, ksk_error *err)
{
    char path[longest_path];
    for (int i = 0; i < ksk_module_leaves(module); i++) {
        const ksk_tensor *const own = ksk_module_leaf(module, i);
        if (!ksk_module_leaf_path(module, i, path, sizeof path))
            return ksk_fail(err, KSK_UNSUPPORTED, "a tensor's name is longer than %d bytes",
                            longest_path - 1);
        const bool trained = ksk_module_leaf_trained(module, i);
        const ksk_tensor *const found = trained ? find(donor, path, own) : NULL;
        leaves[i] = found ? copy(found, path, err) : ksk_tensor_share(own);
        if (!leaves[i] || (trained && !add_name(report, found ? "taken" : "not_taken", path, err)))
            return false;
    }
    return true;
}

static ksk_module *merge(const ksk_module *module, const ksk_module *donor, json_t *report,
                         ksk_error *err)
{
    const int count = ksk_module_leaves(module);
    ksk_tensor **leaves = ksk_calloc((size_t)count, sizeof *leaves);
    ksk_module *merged = NULL;
    if (!leaves)
        ksk_fail_memory(err);
    else if (choose(module, donor, leaves, report, err))
        merged = ksk_module_unflatten(module, (const ksk_tensor *const *)leaves, err);
    for (int i = 0; leaves && i < count; i++)
        ksk_tensor_release(leaves[i]);
    ksk_free(leaves);
    return merged;
}

static int trained_leaves(const ksk_module *module)
{
    int count = 0;
    for (int i = 0; i < ksk_module_leaves(module); i++)
        count += ksk_module_leaf_trained(module, i);
    return count;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static bool begin_report(const char *checkpoint, json_t **report, ksk_error *err)
{
    ksk_digest weights;
    if (!ksk_describe_weights(checkpoint, &weights, err))
        return false;
    *report = json_pack("{s:s, s:s, s:s, s:[], s:[]}", "event", "init", "checkpoint", checkpoint,
                        "weights", weights.text, "taken", "not_taken");
    return *report || ksk_fail_memory(err);
}

static bool end_report(const ksk_module *donor, json_t *report, ksk_error *err)
{
    const size_t taken = json_array_size(json_object_get(report, "taken"));
    if (taken == 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "no tensor of init_from %s has a name and a shape of this model's; is "
                        "d_model the same?",
                        json_string_value(json_object_get(report, "checkpoint")));
    return json_object_set_new(
               report, "unused",
               json_integer((json_int_t)trained_leaves(donor) - (json_int_t)taken)) == 0 ||
           ksk_fail_memory(err);
}

ksk_module *ksk_inherit(const ksk_module *module, const char *checkpoint, const char *model,
                        json_t **report, ksk_error *err)
{
    const ksk_load_options options = {.weights = KSK_STORAGE_F32};
    *report = NULL;
    ksk_model *donor = ksk_model_load(checkpoint, &options, err);
    ksk_module *merged = NULL;
    if (donor && same_vocabulary(checkpoint, model, err) && begin_report(checkpoint, report, err))
        merged = merge(module, ksk_model_module(donor), *report, err);
    if (merged && !end_report(ksk_model_module(donor), *report, err)) {
        ksk_module_release(merged);
        merged = NULL;
    }
    ksk_model_free(donor);
    return merged;
}

char *ksk_inherit_summary(const json_t *report, ksk_error *err)
{
    const json_t *const left = json_object_get(report, "not_taken");
    const size_t taken = json_array_size(json_object_get(report, "taken")),
                 count = json_array_size(left);
    ksk_string text = {0};
    ksk_string_add(&text, "init_from %s: %zu of %zu tensors taken",
                   json_string_value(json_object_get(report, "checkpoint")), taken, taken + count);
    for (size_t i = 0; i < count; i++)
        ksk_string_add(&text, "%s%s", i ? ", " : "; not ",
                       json_string_value(json_array_get(left, i)));
    const json_int_t unused = json_integer_value(json_object_get(report, "unused"));
    if (unused)
        ksk_string_add(&text, "; %lld of the checkpoint's are not used", (long long)unused);
    char *const note = ksk_string_take(&text);
    if (!note)
        ksk_fail_memory(err);
    return note;
}
