#include "train/average.h"

#include "io/checkpoint.h"
#include "kaskad/memory.h"

/* --- writing ------------------------------------------------------------------------------------
 */

typedef char leaf_path[256];

static bool write_leaves(const ksk_module *module, const char *path, ksk_error *err)
{
    const int count = ksk_module_leaves(module);
    leaf_path *paths = ksk_calloc((size_t)count, sizeof *paths);
    const char **names = ksk_calloc((size_t)count, sizeof *names);
    const ksk_tensor **tensors = ksk_calloc((size_t)count, sizeof *tensors);
    bool ok = (paths && names && tensors) || ksk_fail_memory(err);
    for (int i = 0; ok && i < count; i++) {
        ok = ksk_module_leaf_path(module, i, paths[i], sizeof *paths) ||
             ksk_fail(err, KSK_UNSUPPORTED, "a tensor's name is longer than 255 bytes");
        names[i] = paths[i];
        tensors[i] = ksk_module_leaf(module, i);
    }
    ok = ok && ksk_safetensors_write(path, count, names, tensors, err);
    ksk_free(paths);
    ksk_free(names);
    ksk_free(tensors);
    return ok;
}

static ksk_tensor *convert(void *context, const char *path, const ksk_tensor *leaf, ksk_error *err)
{
    (void)path;
    return ksk_tensor_convert(leaf, *(const ksk_dtype *)context, err);
}

bool ksk_weights_write(const ksk_module *module, ksk_dtype dtype, const char *path, ksk_error *err)
{
    ksk_module *converted = ksk_module_map(module, convert, &dtype, err);
    const bool ok = converted && write_leaves(converted, path, err);
    ksk_module_release(converted);
    return ok;
}

/* --- averaging ----------------------------------------------------------------------------------
 */

typedef struct files {
    ksk_safetensors **open;
    int count;
} files;

static bool add_tensor(const ksk_safetensors *file, const char *path, double *sum, int64_t count,
                       ksk_error *err)
{
    ksk_tensor *tensor = ksk_safetensors_get(file, path, err);
    const float *values = tensor ? ksk_tensor_f32(tensor) : NULL;
    const bool fits = values && ksk_tensor_count(tensor) == count;
    if (tensor && !fits)
        ksk_fail(err, KSK_BAD_FORMAT, "a checkpoint's %s is not the model's", path);
    for (int64_t i = 0; fits && i < count; i++)
        sum[i] += (double)values[i];
    ksk_tensor_release(tensor);
    return fits;
}

static ksk_tensor *mean(void *context, const char *path, const ksk_tensor *leaf, ksk_error *err)
{
    const files *f = context;
    const int64_t count = ksk_tensor_count(leaf);
    double *sum = ksk_calloc((size_t)count, sizeof *sum);
    ksk_tensor *result =
        ksk_tensor_new(KSK_F32, ksk_tensor_rank(leaf), ksk_tensor_shape(leaf), err);
    bool ok = result && (sum || ksk_fail_memory(err));
    for (int i = 0; ok && i < f->count; i++)
        ok = add_tensor(f->open[i], path, sum, count, err);
    if (ok) {
        float *values = ksk_tensor_fill(result);
        for (int64_t i = 0; i < count; i++)
            values[i] = (float)(sum[i] / f->count);
    } else {
        ksk_tensor_release(result);
        result = NULL;
    }
    ksk_free(sum);
    return result;
}

ksk_module *ksk_weights_average(const ksk_module *like, const char *directory,
                                const char *const *names, int count, ksk_error *err)
{
    files f = {.open = ksk_calloc((size_t)count, sizeof *f.open)};
    bool ok = f.open || ksk_fail_memory(err);
    for (; ok && f.count < count; f.count += ok)
        ok = (f.open[f.count] = ksk_safetensors_open(directory, names[f.count], err));
    ksk_module *average = ok ? ksk_module_map(like, mean, &f, err) : NULL;
    for (int i = 0; i < f.count; i++)
        ksk_safetensors_free(f.open[i]);
    ksk_free(f.open);
    return average;
}
