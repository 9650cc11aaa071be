/* Reading safetensors: a mapped file, or several that an index spreads the tensors over. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/string.h"
#include "io/checkpoint.h"
#include "io/header.h"
#include "io/json.h"
#include "kaskad/memory.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "tensors are used as the file has them, which is little-endian");

enum { length_bytes = 8 };

/* A file in memory; every tensor over it holds a reference. */
typedef struct mapping {
    atomic_int references;
    const char *bytes;
    size_t size;
    size_t data; /* where the header ends */
} mapping;

typedef struct shard {
    char *name;
    mapping *map;
} shard;

struct ksk_safetensors {
    char *file; /* what was opened, for messages */
    shard *shards;
    size_t count, capacity;
    ksk_header header;
};

/* --- mappings -------------------------------------------------------------------------------- */

static void release_mapping(void *owner)
{
    mapping *map = owner;
    if (atomic_fetch_sub_explicit(&map->references, 1, memory_order_acq_rel) > 1)
        return;
    munmap((void *)map->bytes, map->size);
    ksk_free(map);
}

static mapping *map_descriptor(int fd, const char *file, ksk_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        ksk_fail(err, KSK_BAD_FILE, "cannot read %s: %s", file, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || status.st_size < length_bytes) {
        ksk_fail(err, KSK_BAD_FORMAT,
                 "%s: not a safetensors file: it is too short for a header's length", file);
        return NULL;
    }
    mapping *map = ksk_malloc(sizeof *map);
    if (!map) {
        ksk_fail_memory(err);
        return NULL;
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        ksk_fail(err, KSK_BAD_FILE, "cannot map %s: %s", file, strerror(errno));
        ksk_free(map);
        return NULL;
    }
    atomic_init(&map->references, 1);
    map->bytes = bytes;
    map->size = (size_t)status.st_size;
    return map;
}

static mapping *map_file(const char *file, ksk_error *err)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe does not stop us */
    if (fd < 0) {
        ksk_fail(err, KSK_BAD_FILE, "cannot open %s: %s", file, strerror(errno));
        return NULL;
    }
    mapping *map = map_descriptor(fd, file, err);
    close(fd);
    return map;
}

/* Finds where the header ends. */
static bool measure_header(mapping *map, const char *file, ksk_error *err)
{
    uint64_t length;
    memcpy(&length, map->bytes, length_bytes);
    if (length > KSK_HEADER_MAX)
        return ksk_fail(err, KSK_BAD_FORMAT,
                        "%s: the header's length says %llu bytes, over the limit of %d; is it a "
                        "safetensors file?",
                        file, (unsigned long long)length, KSK_HEADER_MAX);
    if (length > map->size - length_bytes)
        return ksk_fail(err, KSK_BAD_FORMAT,
                        "%s: the header's length says %llu bytes, but %zu follow; the file is cut",
                        file, (unsigned long long)length, map->size - length_bytes);
    map->data = length_bytes + (size_t)length;
    return true;
}

/* --- opening --------------------------------------------------------------------------------- */

/* Reads the header of the shard that was added last. */
static bool read_header(ksk_safetensors *self, const char *file, ksk_error *err)
{
    mapping *map = self->shards[self->count - 1].map;
    return measure_header(map, file, err) &&
           ksk_header_read(&self->header, file, map->bytes + length_bytes, map->data - length_bytes,
                           map->size - map->data, (int)self->count - 1, err);
}

static bool add_shard(ksk_safetensors *self, const char *directory, const char *name,
                      ksk_error *err)
{
    char *file = ksk_path(directory, name), *copy = ksk_strdup(name);
    const bool room =
        file && copy &&
        ksk_grow(&self->shards, &self->capacity, self->count + 1, sizeof *self->shards);
    mapping *map = room ? map_file(file, err) : NULL;
    if (!room)
        ksk_fail_memory(err);
    if (map)
        self->shards[self->count++] = (shard){copy, map};
    else
        ksk_free(copy);
    const bool well = map && read_header(self, file, err);
    ksk_free(file);
    return well;
}

static int find_shard(const ksk_safetensors *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->shards[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool open_shards(ksk_safetensors *self, const char *directory, const json_t *weight_map,
                        ksk_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)weight_map, key, value)
    {
        char tensor[120];
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/'))
            return ksk_fail(err, KSK_BAD_FORMAT,
                            "%s: tensor \"%s\": the name of a file in the same directory expected",
                            self->file, ksk_printable(key, tensor, sizeof tensor));
        if (find_shard(self, name) < 0 && !add_shard(self, directory, name, err))
            return false;
    }
    return true;
}

/* Every tensor must be where the index says. */
static bool check_index(const ksk_safetensors *self, const json_t *weight_map, ksk_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)weight_map, key, value)
    {
        char tensor[120];
        const ksk_entry *entry = ksk_header_find(&self->header, key);
        if (!entry || entry->shard != find_shard(self, json_string_value(value)))
            return ksk_fail(err, KSK_BAD_FORMAT, "%s: tensor \"%s\" is not in %s", self->file,
                            ksk_printable(key, tensor, sizeof tensor), json_string_value(value));
    }
    return true;
}

static bool follow_index(ksk_safetensors *self, const char *directory, const char *name,
                         ksk_error *err)
{
    json_t *index = ksk_json_read(directory, name, &self->file, err);
    if (!index)
        return false;
    const json_t *weight_map = json_object_get(index, "weight_map");
    const bool well =
        json_is_object(weight_map)
            ? open_shards(self, directory, weight_map, err) && check_index(self, weight_map, err)
            : ksk_fail(err, KSK_BAD_FORMAT, "%s: no object weight_map", self->file);
    json_decref(index);
    return well;
}

/* Opens the file, or the index beside where it would be. */
static bool open_either(ksk_safetensors *self, const char *directory, const char *name,
                        ksk_error *err)
{
    ksk_string index = {0};
    if (!ksk_string_add(&index, "%s.index.json", name))
        return ksk_fail_memory(err);
    char *file = ksk_path(directory, name), *index_file = ksk_path(directory, index.data);
    bool well = false;
    if (!file || !index_file)
        ksk_fail_memory(err);
    else if (access(file, F_OK) != 0 && access(index_file, F_OK) == 0)
        well = follow_index(self, directory, index.data, err);
    else
        well = add_shard(self, directory, name, err);
    if (!self->file)
        self->file = file;
    else
        ksk_free(file);
    ksk_free(index_file);
    ksk_free(index.data);
    return well;
}

ksk_safetensors *ksk_safetensors_open(const char *directory, const char *name, ksk_error *err)
{
    ksk_safetensors *self = ksk_calloc(1, sizeof *self);
    if (!self) {
        ksk_fail_memory(err);
        return NULL;
    }
    if (open_either(self, directory, name, err))
        return self;
    ksk_safetensors_free(self);
    return NULL;
}

void ksk_safetensors_free(ksk_safetensors *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->count; i++) {
        release_mapping(file->shards[i].map);
        ksk_free(file->shards[i].name);
    }
    ksk_free(file->shards);
    ksk_free(file->file);
    ksk_header_free(&file->header);
    ksk_free(file);
}

/* --- tensors --------------------------------------------------------------------------------- */

int ksk_safetensors_count(const ksk_safetensors *file)
{
    return (int)file->header.count;
}

const char *ksk_safetensors_name(const ksk_safetensors *file, int index)
{
    return file->header.entries[index].name;
}

bool ksk_safetensors_has(const ksk_safetensors *file, const char *name)
{
    return ksk_header_find(&file->header, name) != NULL;
}

const char *ksk_safetensors_note(const ksk_safetensors *file, const char *key)
{
    return ksk_header_note(&file->header, key);
}

static ksk_tensor *copy_tensor(const ksk_entry *entry, const char *data, ksk_error *err)
{
    ksk_tensor *tensor =
        ksk_tensor_new((ksk_dtype)entry->type->dtype, entry->rank, entry->shape, err);
    if (tensor && entry->end > entry->begin)
        memcpy(ksk_tensor_fill(tensor), data, (size_t)(entry->end - entry->begin));
    return tensor;
}

static ksk_tensor *wrap_tensor(const ksk_entry *entry, const char *data, mapping *map,
                               ksk_error *err)
{
    atomic_fetch_add_explicit(&map->references, 1, memory_order_relaxed);
    ksk_tensor *tensor = ksk_tensor_wrap((ksk_dtype)entry->type->dtype, entry->rank, entry->shape,
                                         data, release_mapping, map, err);
    if (!tensor)
        release_mapping(map);
    return tensor;
}

ksk_tensor *ksk_safetensors_get(const ksk_safetensors *file, const char *name, ksk_error *err)
{
    char printable[120];
    ksk_printable(name, printable, sizeof printable);
    const ksk_entry *entry = ksk_header_find(&file->header, name);
    if (!entry) {
        ksk_fail(err, KSK_BAD_FORMAT, "%s: there is no tensor \"%s\"", file->file, printable);
        return NULL;
    }
    if (entry->type->dtype < 0 || entry->rank > KSK_MAX_RANK) {
        ksk_fail(err, KSK_UNSUPPORTED,
                 "%s: tensor \"%s\" has the type %s and %d dimensions; F32, BF16, F16, I32, I8 and "
                 "U8 with up to %d are read",
                 file->file, printable, entry->type->name, entry->rank, KSK_MAX_RANK);
        return NULL;
    }
    mapping *map = file->shards[entry->shard].map;
    const char *data = map->bytes + map->data + entry->begin;
    const size_t element = ksk_dtype_size((ksk_dtype)entry->type->dtype);
    return (uintptr_t)data % element == 0 ? wrap_tensor(entry, data, map, err)
                                          : copy_tensor(entry, data, err);
}
