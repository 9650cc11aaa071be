/* kaskad: extend it. Operations, models, decoders and logit processors are made with these headers
 * and nothing else; the built-in ones are made and registered the same way.
 *
 *     operation   a ksk_op: shape rule, plain kernel, fast kernel, gradient        kaskad/graph.h
 *     model       a ksk_model_type: declares a module, traces its parts            kaskad/model.h
 *     decoder     a ksk_decoder over a scorer                        kaskad/decode.h, search.h
 *     processor   a ksk_processor_type: settings from text, a change of a row's scores    below
 *
 * A plugin is one shared object with one entry point. All of it, for one decoder:
 *
 *     #include <kaskad/extend.h>
 *
 *     static bool decode(…) { … }
 *     static const ksk_decoder mine = {.name = "mine", .citation = "…", .decode = decode};
 *     static const ksk_decoder *const decoders[] = {&mine, NULL};
 *     static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "mine", .decoders = decoders};
 *
 *     const ksk_plugin *kaskad_plugin(void)
 *     {
 *         return &plugin;
 *     }
 *
 * Version 0: free to change until the cascade and a canvas decoder have been built on it. */
#ifndef KASKAD_EXTEND_H
#define KASKAD_EXTEND_H

#include "kaskad/decode.h"
#include "kaskad/error.h"
#include "kaskad/graph.h"
#include "kaskad/kaskad.h"
#include "kaskad/memory.h"
#include "kaskad/model.h"
#include "kaskad/module.h"
#include "kaskad/random.h"
#include "kaskad/search.h"
#include "kaskad/tensor.h"

/* Grows with every change that a plugin compiled before would not survive. */
#define KSK_EXTEND_VERSION 0

#ifdef __cplusplus
extern "C" {
#endif

/* --- processors by name ------------------------------------------------------------------------
 */

/* A logit processor that can be asked for by name, as in `--processor NAME=ARGUMENT`. */
typedef struct ksk_processor_type {
    const char *name;
    const char *citation; /* author, year, title */
    const char *takes;    /* what ARGUMENT may say, for messages; NULL: it has none */

    /* The settings that `argument` describes ("" when none was given) for outputs of `model`.
     * NULL with `err` filled says what is wrong. Several may be open at once. */
    void *(*open)(const char *argument, const ksk_model *model, ksk_error *err);

    /* As ksk_processor.process; may be called from several threads at once. */
    void (*process)(const void *settings, ksk_scores *scores);

    void (*close)(void *settings);
} ksk_processor_type;

/* --- plugins -----------------------------------------------------------------------------------
 */

/* What a plugin brings. Each list ends with NULL, or is NULL; everything stays as it is while the
 * process lives. Names are printable and without spaces; one name is used once for each kind. */
typedef struct ksk_plugin {
    int version; /* KSK_EXTEND_VERSION, as the plugin was compiled */
    const char *name;
    const ksk_decoder *const *decoders;
    const ksk_model_type *const *models;
    const ksk_op *const *operations;
    const ksk_processor_type *const *processors;
} ksk_plugin;

/* What every plugin defines, and the only name that is looked for in it. It may be called more than
 * once and gives the same answer each time. */
KSK_API const ksk_plugin *kaskad_plugin(void);

/* Registers what a program brings itself. Once registered a plugin stays. From then on names find
 * what it brings; any thread may look while another registers. Errors: UNSUPPORTED names both
 * versions; BAD_ARGUMENT what is missing, or who has the name already; then nothing of it is
 * registered. */
KSK_API bool ksk_plugin_register(const ksk_plugin *plugin, ksk_error *err);

/* Loads one shared object and registers its plugin; loaded before, it is given again. A child
 * process loads it first, so that one which crashes, exits or hangs (10 seconds) is refused like
 * any other; a program with threads therefore loads its plugins before it starts them. Nothing in
 * kaskad loads a plugin unasked. NULL on failure; errors: as ksk_plugin_register; BAD_FILE,
 * BAD_FORMAT (no plugin); OUT_OF_MEMORY. The message names the file. */
KSK_API const ksk_plugin *ksk_plugin_load(const char *path, ksk_error *err);

/* Loads every *.so of a directory, in the order of their names. `report` (may be NULL) is told of
 * each: the plugin, or NULL and why it was refused; the others are loaded all the same. Errors:
 * BAD_FILE (the directory), OUT_OF_MEMORY. */
typedef void ksk_plugin_report(void *context, const char *path, const ksk_plugin *plugin,
                               const ksk_error *why);
KSK_API bool ksk_plugins_load(const char *directory, ksk_plugin_report *report, void *context,
                              ksk_error *err);

/* The i-th plugin, or NULL at the end; the first is kaskad itself. */
KSK_API const ksk_plugin *ksk_plugin_at(int index);

/* --- what is registered ------------------------------------------------------------------------
 */

/* The operation or processor of that name, or NULL; and the i-th of all, or NULL at the end.
 * Decoders and models: kaskad/decode.h and model.h. */
KSK_API const ksk_op *ksk_op_find(const char *name);
KSK_API const ksk_op *ksk_op_at(int index);
KSK_API const ksk_processor_type *ksk_processor_find(const char *name);
KSK_API const ksk_processor_type *ksk_processor_at(int index);

#ifdef __cplusplus
}
#endif
#endif
