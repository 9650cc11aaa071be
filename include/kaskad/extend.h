/* kaskad: extend it. Whatever has a name is made with these headers and nothing else; the built-in
 * ones are made and registered the same way.
 *
 *     operation   a ksk_op: shape rule, plain kernel, fast kernel, gradient        kaskad/graph.h
 *     model       a ksk_model_type: declares a module, traces its parts     kaskad/model.h, nn.h
 *     decoder     a ksk_decoder over a scorer                          kaskad/decode.h, search.h
 *     processor   a ksk_processor_type: settings from text, a change of a row's scores     below
 *     loss        a ksk_loss: traces what training makes small                             below
 *     optimiser   an ksk_optimiser_type: the next parameters from gradients                below
 *     metric      a ksk_metric: sums over lines, and a score of the sums                   below
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
 * Free to change, each time under another number, until kaskad 1.0. */
#ifndef KASKAD_EXTEND_H
#define KASKAD_EXTEND_H

#include "kaskad/decode.h"
#include "kaskad/error.h"
#include "kaskad/graph.h"
#include "kaskad/kaskad.h"
#include "kaskad/memory.h"
#include "kaskad/model.h"
#include "kaskad/module.h"
#include "kaskad/nn.h"
#include "kaskad/random.h"
#include "kaskad/search.h"
#include "kaskad/tensor.h"

/* Grows with every change that a plugin compiled before would not survive. */
#define KSK_EXTEND_VERSION 2

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

/* --- losses ------------------------------------------------------------------------------------
 */

/* What a loss is traced from: a batch of pairs, packed, a row for every target token. */
typedef struct ksk_loss_input ksk_loss_input;
struct ksk_loss_input {
    /* Traces the model over the batch → logits f32 [rows, vocabulary]. Every call is a pass of its
     * own, with a dropout of its own. */
    ksk_sym (*logits)(ksk_loss_input *input);
    void *context; /* of `logits` */

    ksk_sym targets; /* i32 [rows]: the tokens to predict */
    ksk_sym ids;     /* i32 [rows]: the tokens that the decoder is fed; row i's target is often row
                        i + 1's id */
    ksk_sym spans;   /* i32 [rows, 2]: the rows that row i's decoder attends, itself the last, as
                        (first, count): those of its sentence so far */
    float smoothing; /* the recipe's label_smoothing */
    const char *argument; /* of NAME=ARGUMENT, "" when none was given */
};

/* What training makes small, by name: a recipe's `loss: NAME` or `loss: NAME=ARGUMENT`. */
typedef struct ksk_loss {
    const char *name;
    const char *citation; /* author, year, title */
    const char *takes;    /* what ARGUMENT may say, for messages; NULL: it has none */

    /* Traces the loss → f32 [1], summed over target tokens (an update takes the mean). What it is
     * made of needs gradients. Errors go to the graph (ksk_graph_fail), a bad argument's too. */
    ksk_sym (*trace)(ksk_loss_input *input);
} ksk_loss;

/* --- optimisers --------------------------------------------------------------------------------
 */

/* A tensor of parameters about to be updated. All arrays are [count]; `next` ones may be the same
 * memory as the present ones. */
typedef struct ksk_leaf_update {
    int rank;
    const int64_t *shape;
    int64_t count;
    const float *gradients; /* sums over the batch: multiply by `scale` */
    float scale;            /* 1 / target tokens, times what clipping leaves */
    const float *parameters;
    const float *moments[2]; /* zeros before update 1; NULL: the optimiser has fewer */
    float *next_parameters;
    float *next_moments[2];
    double learning_rate;                       /* by the recipe's schedule */
    double beta1, beta2, epsilon, weight_decay; /* the recipe's */
    int64_t update;                             /* 1, 2, … */
} ksk_leaf_update;

enum { KSK_LEAF_NUMBERS = 8 };

/* What turns gradients into the next parameters, by name: a recipe's `optimiser: NAME`. */
typedef struct ksk_optimiser_type {
    const char *name;
    const char *citation; /* author, year, title */
    int moments;          /* arrays of a parameter's size that are kept: 0, 1 or 2 */

    /* Computes what all elements of a leaf share (corrected rates, norms of the whole). May be
     * NULL; the numbers are then zeros. */
    void (*prepare)(const ksk_leaf_update *leaf, float numbers[KSK_LEAF_NUMBERS]);

    /* Writes next_parameters and all next_moments of the elements [begin, end) and no others.
     * Several threads do so at once; where a leaf is cut depends on its size alone. */
    void (*update)(const ksk_leaf_update *leaf, const float numbers[KSK_LEAF_NUMBERS],
                   int64_t begin, int64_t end);
} ksk_optimiser_type;

/* --- metrics -----------------------------------------------------------------------------------
 */

/* How near lines are to their references, by name: `kaskad metric NAME`. A metric is sums of whole
 * numbers over lines and a score of the sums, so that paired bootstrap resampling
 * (ksk_metric_compare) costs no more than additions. */
typedef struct ksk_metric {
    const char *name;
    const char *citation; /* author, year, title */
    int numbers;          /* sums that a line adds to, 1 or more */

    /* False with `err` filled when the options make no sense. May be NULL. */
    bool (*check)(const ksk_metric_options *options, ksk_error *err);

    /* Space that one line after another uses; NULL when memory runs out. Both may be NULL: `add`
     * then gets NULL. */
    void *(*open)(void);
    void (*close)(void *space);

    /* Adds a line's statistics to `sums` [numbers]; references [reference_count] are its own. False
     * when memory runs out. */
    bool (*add)(void *space, const char *hypothesis, int reference_count,
                const char *const *references, const ksk_metric_options *options, int64_t *sums);

    /* Fills the score, and what else of the result it knows; all is zero before. */
    void (*score)(const int64_t *sums, const ksk_metric_options *options,
                  ksk_metric_result *result);

    /* Writes the signature: all that must be known to compute the score again. NULL: the number of
     * references and kaskad's version. */
    void (*sign)(const ksk_metric_options *options, int reference_count, char *text, size_t size);
} ksk_metric;

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
    const ksk_loss *const *losses;
    const ksk_optimiser_type *const *optimisers;
    const ksk_metric *const *metrics;
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

/* What that name stands for, or NULL; and the i-th of all, or NULL at the end. Decoders and models:
 * kaskad/decode.h and model.h. */
KSK_API const ksk_op *ksk_op_find(const char *name);
KSK_API const ksk_op *ksk_op_at(int index);
KSK_API const ksk_processor_type *ksk_processor_find(const char *name);
KSK_API const ksk_processor_type *ksk_processor_at(int index);
KSK_API const ksk_loss *ksk_loss_find(const char *name);
KSK_API const ksk_loss *ksk_loss_at(int index);
KSK_API const ksk_optimiser_type *ksk_optimiser_find(const char *name);
KSK_API const ksk_optimiser_type *ksk_optimiser_at(int index);
KSK_API const ksk_metric *ksk_metric_find(const char *name);
KSK_API const ksk_metric *ksk_metric_at(int index);

/* Something that a plugin brings, as lists show it. */
typedef struct ksk_item {
    const char *kind; /* "decoder", "model", … */
    const char *name;
    const char *citation; /* NULL: it has none */
} ksk_item;

/* The i-th thing of any kind that the plugin brings; false at the end. */
KSK_API bool ksk_plugin_item(const ksk_plugin *plugin, int index, ksk_item *item);

#ifdef __cplusplus
}
#endif
#endif
