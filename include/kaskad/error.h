/* Errors are values: a call that can fail takes a `ksk_error *` last and says what failed, where,
 * and what to do about it.
 *
 *     ksk_error err = {0};
 *     ksk_model *model = ksk_model_load("models/tatoeba-deu-eng", NULL, &err);
 *     if (!model) fprintf(stderr, "%s\n", err.message);
 *
 * Every function accepts a NULL `ksk_error *` where the caller does not want the text. The library
 * itself never prints and never exits. */
#ifndef KASKAD_ERROR_H
#define KASKAD_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KSK_API               __attribute__((visibility("default")))
#define KSK_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define KSK_API
#define KSK_PRINTF(at, first)
#endif

typedef enum ksk_status {
    KSK_OK = 0,
    KSK_OUT_OF_MEMORY, /* the allocator returned NULL, or a stated memory limit would be passed */
    KSK_BAD_ARGUMENT,  /* the caller's mistake: an option out of range, two that exclude each other
                        */
    KSK_BAD_FILE,      /* a file cannot be opened, read, written or renamed */
    KSK_BAD_FORMAT,    /* a file was read, but what it says cannot be true */
    KSK_UNSUPPORTED,   /* understood, but not something this library does */
    KSK_INTERRUPTED,   /* a callback asked to stop */
} ksk_status;

typedef struct ksk_error {
    ksk_status status;
    char message[500]; /* one line, NUL-terminated, without a trailing full stop or newline */
} ksk_error;

/* Fills `err` (may be NULL) from a printf format and returns false, so that a function can
 * `return ksk_fail(err, KSK_BAD_FILE, ...)`. A message that is too long is cut. */
KSK_API bool ksk_fail(ksk_error *err, ksk_status status, const char *format, ...) KSK_PRINTF(3, 4);

/* The same for an allocation that failed; the text is fixed, so nothing is allocated. */
KSK_API bool ksk_fail_memory(ksk_error *err);

#ifdef __cplusplus
}
#endif
#endif
