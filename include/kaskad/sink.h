/* What the library has to say that is no error: it goes to the program's sink, or nowhere.
 *
 *     static void show(void *context, ksk_level level, const char *message)
 *     {
 *         fprintf(stderr, "%s: %s\n", level == KSK_WARNING ? "warning" : "note", message);
 *     }
 *     …
 *     ksk_sink_set(&(ksk_sink){show, NULL}); */
#ifndef KASKAD_SINK_H
#define KASKAD_SINK_H

#include "kaskad/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ksk_level {
    KSK_WARNING, /* the result may not be what was wanted */
    KSK_INFO,    /* what was done: a model loaded, plans compiled */
} ksk_level;

/* `write` gets one line without a newline, valid during the call, and calls nothing of kaskad's. It
 * may be called from several threads at once. */
typedef struct ksk_sink {
    void (*write)(void *context, ksk_level level, const char *message);
    void *context;
} ksk_sink;

/* Installs `sink` (copied) for the whole process; NULL takes it away. Call it while no other thread
 * is at work in the library. Never fails. */
KSK_API void ksk_sink_set(const ksk_sink *sink);

/* Tells the sink, if there is one; plugins may. A message over 499 bytes is cut. */
KSK_API void ksk_say(ksk_level level, const char *format, ...) KSK_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
