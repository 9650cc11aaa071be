/* A checkpoint of the test's own: a copy of another whose files may be changed.
 *
 *     checkpoint_copy(KSK_FIXTURES "/marian/opus");
 *     checkpoint_set("d_model", "25");
 *     ksk_model_load(checkpoint_directory, …);
 *
 * checkpoint_make and checkpoint_remove are a cmocka group's setup and teardown. */
#ifndef KSK_TESTS_CHECKPOINT_H
#define KSK_TESTS_CHECKPOINT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "io/checkpoint.h"
#include "kaskad/memory.h"

static char checkpoint_directory[] = "/tmp/kaskad-checkpoint-XXXXXX";

static inline char *checkpoint_read(const char *directory, const char *name, size_t *size)
{
    char *path = ksk_path(directory, name);
    char *bytes = ksk_file_read(path, (size_t)1 << 28, size, NULL);
    if (!bytes)
        fail_msg("%s cannot be read", path);
    ksk_free(path);
    return bytes;
}

static inline void checkpoint_delete(const char *name)
{
    char *path = ksk_path(checkpoint_directory, name);
    unlink(path);
    ksk_free(path);
}

/* A new file takes the place of one that may be mapped somewhere. */
static inline void checkpoint_write(const char *name, const void *bytes, size_t size)
{
    checkpoint_delete(name);
    char *path = ksk_path(checkpoint_directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    ksk_free(path);
}

static inline void checkpoint_empty(void)
{
    DIR *listing = opendir(checkpoint_directory);
    for (const struct dirent *entry; listing && (entry = readdir(listing));)
        checkpoint_delete(entry->d_name);
    if (listing)
        closedir(listing);
}

/* The files of `from` and no others. */
static inline void checkpoint_copy(const char *from)
{
    checkpoint_empty();
    DIR *listing = opendir(from);
    assert_non_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "expected.json") == 0)
            continue;
        size_t size;
        char *bytes = checkpoint_read(from, entry->d_name, &size);
        checkpoint_write(entry->d_name, bytes, size);
        ksk_free(bytes);
    }
    closedir(listing);
}

/* Sets a key of a JSON file to what `value` spells; NULL removes it. */
static inline void checkpoint_set_in(const char *name, const char *key, const char *value)
{
    char *path = ksk_path(checkpoint_directory, name);
    json_t *object = json_load_file(path, 0, NULL);
    assert_non_null(object);
    if (value)
        assert_int_equal(json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL)),
                         0);
    else
        json_object_del(object, key);
    assert_int_equal(json_dump_file(object, path, 0), 0);
    json_decref(object);
    ksk_free(path);
}

static inline void checkpoint_set(const char *key, const char *value)
{
    checkpoint_set_in("config.json", key, value);
}

enum { checkpoint_most_tensors = 400 };

/* Writes model.safetensors again without the tensor `name`, or, with a shape, with that tensor's
 * numbers in that shape (no more than there are). */
static inline void checkpoint_reshape(const char *name, int rank, const int64_t *shape)
{
    ksk_safetensors *file = ksk_safetensors_open(checkpoint_directory, "model.safetensors", NULL);
    assert_non_null(file);
    const char *names[checkpoint_most_tensors];
    const ksk_tensor *tensors[checkpoint_most_tensors];
    int count = 0, changed = 0;
    assert_true(ksk_safetensors_count(file) <= checkpoint_most_tensors);
    for (int i = 0; i < ksk_safetensors_count(file); i++) {
        ksk_tensor *tensor = ksk_safetensors_get(file, ksk_safetensors_name(file, i), NULL);
        assert_non_null(tensor);
        if (strcmp(ksk_safetensors_name(file, i), name) == 0) {
            ksk_tensor *other =
                shape ? ksk_tensor_new(ksk_tensor_dtype(tensor), rank, shape, NULL) : NULL;
            if (other)
                memcpy(ksk_tensor_fill(other), ksk_tensor_data(tensor), ksk_tensor_bytes(other));
            ksk_tensor_release(tensor);
            tensor = other;
            changed++;
        }
        names[count] = ksk_safetensors_name(file, i);
        tensors[count] = tensor;
        count += tensor != NULL;
    }
    assert_int_equal(changed, 1);
    checkpoint_delete("model.safetensors"); /* which stays mapped until the end */
    char *path = ksk_path(checkpoint_directory, "model.safetensors");
    assert_true(ksk_safetensors_write(path, count, names, tensors, NULL));
    for (int i = 0; i < count; i++)
        ksk_tensor_release(tensors[i]);
    ksk_safetensors_free(file);
    ksk_free(path);
}

static inline int checkpoint_make(void **state)
{
    return mkdtemp(checkpoint_directory) ? 0 : -1;
}

static inline int checkpoint_remove(void **state)
{
    checkpoint_empty();
    return rmdir(checkpoint_directory);
}

#endif
