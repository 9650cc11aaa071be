/* NAME: `--processor NAME=ID` never lets the token ID be chosen. Change `process`.
 *
 * Author year, "Title". */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

typedef struct settings {
    int id;
} settings;

static void process(const void *state, ksk_scores *scores)
{
    const settings *const s = state;
    if (s->id < scores->vocabulary)
        scores->values[s->id] = -INFINITY;
}

static void *open_settings(const char *argument, const ksk_model *model, ksk_error *err)
{
    (void)model; /* ksk_model_encode(model, …) gives the ids of a text */
    settings given;
    if (sscanf(argument, "%d", &given.id) != 1 || given.id < 0) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "NAME takes a token's id, not '%s'", argument);
        return NULL;
    }
    settings *const s = ksk_malloc(sizeof *s);
    if (s)
        *s = given;
    else
        ksk_fail_memory(err);
    return s;
}

static void close_settings(void *state)
{
    ksk_free(state);
}

static const ksk_processor_type NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .takes = "ID",
    .open = open_settings,
    .process = process,
    .close = close_settings,
};
static const ksk_processor_type *const processors[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .processors = processors};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
