/* Recipes out of YAML: one mapping of keys to plain values. */
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"
#include "train/recipe.h"

static const char no_mapping[] = "a recipe is a mapping of keys to values";

enum { MOST_BYTES = 1 << 20, MOST_KEYS = 256 };

typedef struct reader {
    yaml_parser_t parser;
    const char *path;
    char *base; /* directory of the file */
    ksk_recipe *recipe;
    char *seen[MOST_KEYS]; /* keys so far */
    int seen_count;
    ksk_error *err;
} reader;

static bool fail_at(const reader *r, size_t line, const char *what)
{
    return ksk_fail(r->err, KSK_BAD_FORMAT, "%s:%zu: %s", r->path, line + 1, what);
}

static bool next(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return ksk_fail_memory(r->err);
    return fail_at(r, r->parser.problem_mark.line,
                   r->parser.problem ? r->parser.problem : "this is no YAML");
}

static bool is_new(reader *r, const char *name, size_t line)
{
    char what[100];
    for (int i = 0; i < r->seen_count; i++)
        if (strcmp(r->seen[i], name) == 0) {
            snprintf(what, sizeof what, "'%.60s' is set a second time", name);
            return fail_at(r, line, what);
        }
    if (r->seen_count == MOST_KEYS)
        return fail_at(r, line, "too many keys");
    r->seen[r->seen_count] = ksk_strdup(name);
    return r->seen[r->seen_count] ? ++r->seen_count : ksk_fail_memory(r->err);
}

/* A scalar without NUL bytes; NULL for any other event. */
static const char *scalar(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    const bool plain =
        event->type == YAML_SCALAR_EVENT && strlen(text) == event->data.scalar.length;
    return plain ? text : NULL;
}

static bool take_pair(reader *r, const char *name, const yaml_event_t *value)
{
    const size_t line = value->start_mark.line;
    const char *text = scalar(value);
    ksk_error problem = {0};
    if (!is_new(r, name, line))
        return false;
    if (!text)
        return fail_at(r, line, "a key has one plain value, neither a list nor a mapping");
    const bool null =
        value->data.scalar.plain_implicit && (!strcmp(text, "~") || !strcmp(text, "null"));
    if (ksk_recipe_put(r->recipe, name, null ? "" : text, r->base, &problem))
        return true;
    return problem.status == KSK_BAD_ARGUMENT
               ? fail_at(r, line, problem.message)
               : ksk_fail(r->err, problem.status, "%s", problem.message);
}

static bool read_pair(reader *r, const yaml_event_t *name)
{
    yaml_event_t value;
    if (!scalar(name))
        return fail_at(r, name->start_mark.line, no_mapping);
    if (!next(r, &value))
        return false;
    const bool ok = take_pair(r, scalar(name), &value);
    yaml_event_delete(&value);
    return ok;
}

/* Everything up to the end of the stream; an empty file is a recipe of defaults. */
static bool read_events(reader *r)
{
    bool inside = false, ended = false, ok = true;
    while (ok && !ended) {
        yaml_event_t event;
        if (!next(r, &event))
            return false;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            ended = true;
            break;
        case YAML_MAPPING_END_EVENT:
            inside = false;
            break;
        case YAML_MAPPING_START_EVENT:
            ok = !inside || read_pair(r, &event);
            inside = true;
            break;
        default:
            ok = inside ? read_pair(r, &event) : fail_at(r, event.start_mark.line, no_mapping);
        }
        yaml_event_delete(&event);
    }
    return ok;
}

static bool read_text(reader *r, const char *text, size_t size)
{
    const char *slash = strrchr(r->path, '/');
    r->base = ksk_strdup(slash ? r->path : ".");
    if (!r->base || !yaml_parser_initialize(&r->parser))
        return ksk_fail_memory(r->err);
    if (slash)
        r->base[slash == r->path ? 1 : slash - r->path] = '\0';
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, size);
    const bool ok = read_events(r);
    yaml_parser_delete(&r->parser);
    return ok;
}

ksk_recipe *ksk_recipe_load(const char *path, ksk_error *err)
{
    size_t size;
    char *text = ksk_file_read(path, MOST_BYTES, &size, err);
    if (!text)
        return NULL;
    reader r = {.path = path, .err = err, .recipe = ksk_recipe_new(err)};
    const bool ok = r.recipe && read_text(&r, text, size);
    for (int i = 0; i < r.seen_count; i++)
        ksk_free(r.seen[i]);
    ksk_free(r.base);
    ksk_free(text);
    if (ok)
        return r.recipe;
    ksk_recipe_free(r.recipe);
    return NULL;
}
