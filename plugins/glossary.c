/* A glossary: phrases of the source with the words that their translation should have.
 *
 * `--processor glossary=FILE`, or BONUS,FILE, reads lines "source phrase<TAB>target phrase". While
 * a source phrase stands in the sentence and its target phrase is not yet in the output, the
 * target's next token gets a bonus (5): its first token anywhere, the token after that once the
 * output ends with the first, and so on. The bonus is added to a score (a logit, or a
 * log-probability in beam search), so it persuades and does not force. Phrases are compared token
 * by token, as the model's tokenizer cuts them. A simple form of the constraints of Hokamp and Liu
 * 2017, "Lexically Constrained Decoding for Sequence Generation Using Grid Beam Search". */
#include <errno.h>
#include <kaskad/extend.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_LINE = 4096 };

typedef struct phrase {
    int32_t *source, *target;
    int source_length, target_length;
} phrase;

typedef struct glossary {
    float bonus;
    phrase *phrases;
    size_t count, capacity;
} glossary;

static bool contains(const int32_t *ids, int length, const int32_t *part, int part_length)
{
    for (int i = 0; i + part_length <= length; i++)
        if (memcmp(ids + i, part, (size_t)part_length * sizeof *part) == 0)
            return true;
    return false;
}

/* How many of the phrase's first tokens the output ends with; less than all. */
static int begun(const ksk_scores *s, const phrase *p)
{
    int n = p->target_length - 1 < s->length ? p->target_length - 1 : s->length;
    while (n > 0 && memcmp(s->ids + s->length - n, p->target, (size_t)n * sizeof *s->ids) != 0)
        n--;
    return n;
}

static void process(const void *settings, ksk_scores *s)
{
    const glossary *const g = settings;
    for (size_t i = 0; i < g->count; i++) {
        const phrase *const p = &g->phrases[i];
        if (contains(s->source, s->source_length, p->source, p->source_length) &&
            !contains(s->ids, s->length, p->target, p->target_length))
            s->values[p->target[begun(s, p)]] += g->bonus;
    }
}

static void close_glossary(void *settings)
{
    glossary *const g = settings;
    for (size_t i = 0; i < g->count; i++) {
        ksk_free(g->phrases[i].source);
        ksk_free(g->phrases[i].target);
    }
    ksk_free(g->phrases);
    ksk_free(g);
}

static bool add_line(glossary *g, char *line, const ksk_model *model, ksk_error *err)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *const tab = strchr(line, '\t');
    if (!tab || tab == line || !tab[1])
        return !*line || ksk_fail(err, KSK_BAD_FORMAT,
                                  "'%.100s' is not two phrases with a tab between", line);
    *tab = '\0';
    if (!ksk_grow(&g->phrases, &g->capacity, g->count + 1, sizeof *g->phrases))
        return ksk_fail_memory(err);
    phrase *const p = &g->phrases[g->count++];
    *p = (phrase){0};
    p->source = ksk_model_encode(model, KSK_SIDE_SOURCE, line, &p->source_length, err);
    p->target = ksk_model_encode(model, KSK_SIDE_TARGET, tab + 1, &p->target_length, err);
    if (!p->source || !p->target)
        return false;
    return (p->source_length > 0 && p->target_length > 0) ||
           ksk_fail(err, KSK_BAD_FORMAT, "'%.100s': a phrase without tokens", line);
}

static void *open_glossary(const char *argument, const ksk_model *model, ksk_error *err)
{
    float bonus;
    int used = 0;
    sscanf(argument, "%f,%n", &bonus, &used);
    const char *const path = argument + used;
    FILE *const file = fopen(path, "r");
    glossary *const g = file ? ksk_calloc(1, sizeof *g) : NULL;
    bool ok = g != NULL;
    if (g)
        g->bonus = used ? bonus : 5;
    if (!file)
        ksk_fail(err, KSK_BAD_FILE, "%.200s: %s", path, strerror(errno));
    else if (!g)
        ksk_fail_memory(err);
    char line[LONGEST_LINE];
    while (ok && fgets(line, sizeof line, file))
        ok = add_line(g, line, model, err);
    if (file)
        fclose(file);
    if (ok)
        return g;
    if (g)
        close_glossary(g);
    return NULL;
}

static const ksk_processor_type type = {
    .name = "glossary",
    .citation = "after Hokamp and Liu 2017, Lexically Constrained Decoding",
    .takes = "FILE or BONUS,FILE",
    .open = open_glossary,
    .process = process,
    .close = close_glossary,
};
static const ksk_processor_type *const processors[] = {&type, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "glossary", .processors = processors};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
