/* Where the time goes: for each kind of operation its calls, its time, and for products how near
 * they came to what the processor can do.
 *
 *     ksk_profile *profile = ksk_profile_start(&err);
 *     ksk_translate(…);
 *     ksk_profile_stop(profile);
 *     char *table = ksk_profile_print(profile, &err);
 *
 * Taking a profile changes no result. While none is taken it costs nothing that could be measured.
 */
#ifndef KASKAD_PROFILE_H
#define KASKAD_PROFILE_H

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ksk_profile ksk_profile;

/* Starts one; all threads that the calling thread puts to work take part. One at a time in a
 * process. Caller frees. Errors: BAD_ARGUMENT (another is being taken), OUT_OF_MEMORY. */
KSK_API ksk_profile *ksk_profile_start(ksk_error *err);

/* Stops it: by the thread that started it, when no other is at work in the library. */
KSK_API void ksk_profile_stop(ksk_profile *profile);

/* The tables as text, after it was stopped. Limits are measured now, so this takes about a tenth of
 * a second. Caller frees with ksk_free. NULL when memory runs out, now or while it was taken. */
KSK_API char *ksk_profile_print(const ksk_profile *profile, ksk_error *err);

/* Stops it if need be. NULL is fine. */
KSK_API void ksk_profile_free(ksk_profile *profile);

#ifdef __cplusplus
}
#endif
#endif
