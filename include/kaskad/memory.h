/* The one allocator that all of libkaskad's own memory comes through. */
#ifndef KASKAD_MEMORY_H
#define KASKAD_MEMORY_H

#include <stddef.h>

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `allocate` returns `size` bytes aligned to 64, or NULL; `size` is never 0. `release` takes what
 * `allocate` gave. Both may be called from several threads at once. */
typedef struct ksk_allocator {
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *memory);
    void *context;
} ksk_allocator;

/* Installs `allocator` (copied) for the whole process; NULL restores the C library's. Call it
 * before anything else of kaskad's: memory is released through the allocator installed then. */
KSK_API void ksk_allocator_set(const ksk_allocator *allocator);

/* `size` bytes aligned to 64 with undefined content, or NULL. A size of 0 gives one byte. */
KSK_API void *ksk_malloc(size_t size);

/* `count * size` zeroed bytes, or NULL (also when the product overflows). */
KSK_API void *ksk_calloc(size_t count, size_t size);

/* Grows `*array` (elements of `element` bytes, `*capacity` of them) so that it holds at least
 * `needed`; keeps the content. False, with everything as before, when memory runs out. */
KSK_API bool ksk_grow(void *array, size_t *capacity, size_t needed, size_t element);

/* A copy of `text`, or NULL. */
KSK_API char *ksk_strdup(const char *text);

/* Releases memory from the functions above; NULL is fine. */
KSK_API void ksk_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
