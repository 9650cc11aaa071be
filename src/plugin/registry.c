/* The one registry: plugins in the order they came, kaskad's own first. It only grows, and a plugin
 * is written before it is counted, so readers take no lock. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/string.h"
#include "decode/decoders.h"
#include "graph/ops/ops.h"
#include "kaskad/extend.h"
#include "metrics/metric.h"
#include "models/models.h"
#include "train/losses.h"
#include "train/optimiser.h"

enum { MOST_PLUGINS = 256 };

static const ksk_plugin built_in = {
    .version = KSK_EXTEND_VERSION,
    .name = "kaskad",
    .decoders = ksk_built_in_decoders,
    .models = ksk_built_in_models,
    .operations = ksk_built_in_operations,
    .losses = ksk_built_in_losses,
    .optimisers = ksk_built_in_optimisers,
    .metrics = ksk_built_in_metrics,
};

static const ksk_plugin *plugins[MOST_PLUGINS] = {&built_in};
static atomic_int plugin_count = 1;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

const ksk_plugin *ksk_plugin_at(int index)
{
    return index < 0 || index >= atomic_load(&plugin_count) ? NULL : plugins[index];
}

/* --- one view of all kinds ----------------------------------------------------------------------
 */

/* What all kinds of items begin with; operations have no citation. */
typedef struct named {
    const char *name, *citation;
} named;

#define BEGINS_AS_NAMED(type)                                                                      \
    (offsetof(type, name) == offsetof(named, name) &&                                              \
     offsetof(type, citation) == offsetof(named, citation))
_Static_assert(BEGINS_AS_NAMED(ksk_decoder) && BEGINS_AS_NAMED(ksk_model_type) &&
                   BEGINS_AS_NAMED(ksk_processor_type) && BEGINS_AS_NAMED(ksk_loss) &&
                   BEGINS_AS_NAMED(ksk_optimiser_type) && BEGINS_AS_NAMED(ksk_metric) &&
                   offsetof(ksk_op, name) == offsetof(named, name),
               "an item begins with its name");

/* In the order of lists. */
typedef enum kind {
    MODELS,
    DECODERS,
    PROCESSORS,
    LOSSES,
    OPTIMISERS,
    METRICS,
    OPERATIONS,
    KINDS
} kind;

static const char *const kind_names[KINDS] = {"model",     "decoder", "processor", "loss",
                                              "optimiser", "metric",  "operation"};

static const void *item_of(const ksk_plugin *p, kind k, int i)
{
    switch (k) {
    case MODELS:
        return p->models ? p->models[i] : NULL;
    case DECODERS:
        return p->decoders ? p->decoders[i] : NULL;
    case PROCESSORS:
        return p->processors ? p->processors[i] : NULL;
    case LOSSES:
        return p->losses ? p->losses[i] : NULL;
    case OPTIMISERS:
        return p->optimisers ? p->optimisers[i] : NULL;
    case METRICS:
        return p->metrics ? p->metrics[i] : NULL;
    default:
        return p->operations ? p->operations[i] : NULL;
    }
}

bool ksk_plugin_item(const ksk_plugin *plugin, int index, ksk_item *item)
{
    for (kind k = 0; index >= 0 && k < KINDS; k++) {
        const named *found;
        for (int i = 0; (found = item_of(plugin, k, i)); i++)
            if (index-- == 0) {
                *item = (ksk_item){kind_names[k], found->name,
                                   k == OPERATIONS ? NULL : found->citation};
                return true;
            }
    }
    return false;
}

static const void *at(kind k, int index)
{
    const ksk_plugin *p;
    for (int i = 0; index >= 0 && (p = ksk_plugin_at(i)); i++) {
        const void *item;
        for (int j = 0; (item = item_of(p, k, j)); j++)
            if (index-- == 0)
                return item;
    }
    return NULL;
}

static const void *find_in(const ksk_plugin *p, kind k, const char *name)
{
    const named *item;
    for (int i = 0; (item = item_of(p, k, i)); i++)
        if (strcmp(item->name, name) == 0)
            return item;
    return NULL;
}

/* `owner` (may be NULL) gets whose it is. */
static const void *find(kind k, const char *name, const ksk_plugin **owner)
{
    const ksk_plugin *p;
    for (int i = 0; (p = ksk_plugin_at(i)); i++) {
        const void *item = find_in(p, k, name);
        if (item && owner)
            *owner = p;
        if (item)
            return item;
    }
    return NULL;
}

const ksk_decoder *ksk_decoder_at(int index)
{
    return at(DECODERS, index);
}

const ksk_decoder *ksk_decoder_find(const char *name)
{
    return find(DECODERS, name, NULL);
}

const ksk_model_type *ksk_model_type_at(int index)
{
    return at(MODELS, index);
}

const ksk_model_type *ksk_model_type_find(const char *name)
{
    return find(MODELS, name, NULL);
}

const ksk_op *ksk_op_at(int index)
{
    return at(OPERATIONS, index);
}

const ksk_op *ksk_op_find(const char *name)
{
    return find(OPERATIONS, name, NULL);
}

const ksk_processor_type *ksk_processor_at(int index)
{
    return at(PROCESSORS, index);
}

const ksk_processor_type *ksk_processor_find(const char *name)
{
    return find(PROCESSORS, name, NULL);
}

const ksk_loss *ksk_loss_at(int index)
{
    return at(LOSSES, index);
}

const ksk_loss *ksk_loss_find(const char *name)
{
    return find(LOSSES, name, NULL);
}

const ksk_optimiser_type *ksk_optimiser_at(int index)
{
    return at(OPTIMISERS, index);
}

const ksk_optimiser_type *ksk_optimiser_find(const char *name)
{
    return find(OPTIMISERS, name, NULL);
}

const ksk_metric *ksk_metric_at(int index)
{
    return at(METRICS, index);
}

const ksk_metric *ksk_metric_find(const char *name)
{
    return find(METRICS, name, NULL);
}

/* --- registering --- */

static bool good_name(const char *name)
{
    if (!name || !*name)
        return false;
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || *name == '=')
            return false;
    return true;
}

static const char *missing_in_metric(const ksk_metric *metric)
{
    return metric->numbers < 1              ? "numbers"
           : !metric->add                   ? "add"
           : !metric->score                 ? "score"
           : metric->open && !metric->close ? "close"
           : !metric->open && metric->close ? "open"
                                            : NULL;
}

static const char *missing_in_optimiser(const ksk_optimiser_type *optimiser)
{
    const bool counts = optimiser->moments >= 0 && optimiser->moments <= 2;
    return !optimiser->update ? "update" : !counts ? "moments" : NULL;
}

static const char *missing_in_processor(const ksk_processor_type *processor)
{
    return !processor->open      ? "open"
           : !processor->process ? "process"
           : !processor->close   ? "close"
                                 : NULL;
}

/* What an item of that kind cannot do without, when it lacks it; NULL when it is whole. */
static const char *missing_part(kind k, const void *item)
{
    const ksk_decoder *const decoder = item;
    const ksk_model_type *const model = item;
    const ksk_op *const op = item;
    switch (k) {
    case MODELS:
        return !model->declare ? "declare" : !model->seq2seq ? "seq2seq" : NULL;
    case DECODERS:
        return decoder->decode || decoder->decode_markov ? NULL : "decode";
    case PROCESSORS:
        return missing_in_processor(item);
    case LOSSES:
        return ((const ksk_loss *)item)->trace ? NULL : "trace";
    case OPTIMISERS:
        return missing_in_optimiser(item);
    case METRICS:
        return missing_in_metric(item);
    default:
        return !op->shape ? "shape" : !op->reference ? "reference" : NULL;
    }
}

static bool check_item(const ksk_plugin *plugin, kind k, int i, ksk_error *err)
{
    const named *const item = item_of(plugin, k, i);
    const ksk_plugin *owner = NULL;
    if (!good_name(item->name))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "%s %d has no name of printable characters without spaces and '='",
                        kind_names[k], i + 1);
    const char *const missing = missing_part(k, item);
    if (missing)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s '%s' lacks its `%s`", kind_names[k], item->name,
                        missing);
    if (find(k, item->name, &owner))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s '%s' is already there, from %s", kind_names[k],
                        item->name, owner->name);
    if (find_in(plugin, k, item->name) != item)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s '%s' is listed twice", kind_names[k],
                        item->name);
    return true;
}

static bool check(const ksk_plugin *plugin, ksk_error *err)
{
    if (plugin->version != KSK_EXTEND_VERSION)
        return ksk_fail(err, KSK_UNSUPPORTED,
                        "made for version %d of the plugin interface, but kaskad %s has version "
                        "%d; compile it again",
                        plugin->version, ksk_version(), KSK_EXTEND_VERSION);
    if (!good_name(plugin->name))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "the plugin has no name of printable characters without spaces and '='");
    for (int i = 0; ksk_plugin_at(i); i++)
        if (strcmp(ksk_plugin_at(i)->name, plugin->name) == 0)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "a plugin '%s' is already there", plugin->name);
    for (kind k = 0; k < KINDS; k++)
        for (int i = 0; item_of(plugin, k, i); i++)
            if (!check_item(plugin, k, i, err))
                return false;
    return true;
}

static bool add(const ksk_plugin *plugin, ksk_error *err)
{
    const int count = atomic_load(&plugin_count);
    if (!check(plugin, err))
        return false;
    if (count == MOST_PLUGINS)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%d plugins are there already, and no more fit",
                        count - 1);
    plugins[count] = plugin;
    atomic_store(&plugin_count, count + 1);
    return true;
}

bool ksk_plugin_register(const ksk_plugin *plugin, ksk_error *err)
{
    pthread_mutex_lock(&writing);
    const bool ok = add(plugin, err);
    pthread_mutex_unlock(&writing);
    return ok;
}
