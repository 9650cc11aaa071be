#include "kaskad/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *c_allocate(void *context, size_t size)
{
    (void)context;
    const size_t rounded = (size + 63) / 64 * 64; /* aligned_alloc wants a multiple */
    return rounded < size ? NULL : aligned_alloc(64, rounded);
}

static void c_release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const ksk_allocator c_allocator = {c_allocate, c_release, NULL};
static ksk_allocator current = {c_allocate, c_release, NULL};

void ksk_allocator_set(const ksk_allocator *allocator)
{
    current = allocator ? *allocator : c_allocator;
}

void *ksk_malloc(size_t size)
{
    return current.allocate(current.context, size ? size : 1);
}

void *ksk_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *memory = ksk_malloc(count * size);
    return memory ? memset(memory, 0, count * size) : NULL;
}

bool ksk_grow(void *array, size_t *capacity, size_t needed, size_t element)
{
    if (needed <= *capacity)
        return true;
    size_t grown = *capacity < 8 ? 8 : *capacity + *capacity / 2;
    if (grown < needed)
        grown = needed;
    if (grown > SIZE_MAX / element)
        return false;
    void **slot = array;
    void *moved = ksk_malloc(grown * element);
    if (!moved)
        return false;
    if (*slot)
        memcpy(moved, *slot, *capacity * element);
    ksk_free(*slot);
    *slot = moved;
    *capacity = grown;
    return true;
}

char *ksk_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = ksk_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void ksk_free(void *memory)
{
    if (memory)
        current.release(current.context, memory);
}
