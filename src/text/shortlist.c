/* A shortlist is kept in memory as its file has it. */
#include "text/shortlist.h"

#include <string.h>

#include "base/file.h"
#include "kaskad/memory.h"

static const char magic[8] = {'k', 's', 'k', 'l', 'i', 's', 't', '\n'};

enum { format_version = 1, most_tokens = 1 << 22, most_narrow = 1 << 16 };

static const size_t most_bytes = (size_t)1 << 30;

typedef struct header {
    char magic[8];
    uint32_t version, source_size, target_size, always_count;
    uint64_t tokenizer;
} header;
_Static_assert(sizeof(header) == 32, "the header's fields lie as in the file");

/* Target ids as they are stored: one of the two. */
typedef struct id_list {
    const uint16_t *narrow;
    const uint32_t *wide;
} id_list;

struct ksk_shortlist {
    char *bytes; /* [size]: the file */
    size_t size;
    const header *header;
    const uint32_t *offsets; /* [source_size + 1] */
    id_list always;          /* [always_count] */
    id_list candidates;      /* [offsets[source_size]] */
    uint64_t *marks;         /* [words]: a bit for each id of `always` */
    size_t words;
};

static size_t id_bytes(uint32_t target_size)
{
    return target_size <= most_narrow ? sizeof(uint16_t) : sizeof(uint32_t);
}

static id_list list_at(const char *bytes, uint32_t target_size)
{
    const bool narrow = target_size <= most_narrow;
    return (id_list){narrow ? (const void *)bytes : NULL, narrow ? NULL : (const void *)bytes};
}

static uint32_t id_at(id_list list, size_t i)
{
    return list.narrow ? list.narrow[i] : list.wide[i];
}

void ksk_shortlist_free(ksk_shortlist *shortlist)
{
    if (!shortlist)
        return;
    ksk_free(shortlist->marks);
    ksk_free(shortlist->bytes);
    ksk_free(shortlist);
}

size_t ksk_shortlist_size(const ksk_shortlist *shortlist)
{
    return shortlist->size;
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* What is wrong with a file; false always. */
static bool refuse(const char *origin, const char *what, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_FORMAT, "%s: %s", origin, what);
}

/* Everything up to the offsets. */
static bool check_header(const ksk_shortlist *s, const char *origin, ksk_error *err)
{
    const header *const h = s->header;
    if (s->size < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0)
        return refuse(origin, "not a shortlist", err);
    if (h->version != format_version)
        return ksk_fail(err, KSK_UNSUPPORTED,
                        "%s: version %u, where this kaskad reads %d; make it anew with `kaskad "
                        "shortlist`",
                        origin, h->version, format_version);
    if (h->source_size < 1 || h->source_size > most_tokens || h->target_size < 1 ||
        h->target_size > most_tokens || h->always_count > h->target_size)
        return refuse(origin, "sizes that cannot be", err);
    return true;
}

/* Sets the pointers into the file: its size must be what header and last offset make it. */
static bool find_parts(ksk_shortlist *s, const char *origin, ksk_error *err)
{
    const size_t offset_bytes = ((size_t)s->header->source_size + 1) * sizeof *s->offsets;
    const size_t width = id_bytes(s->header->target_size), always = s->header->always_count;
    if (s->size - sizeof(header) < offset_bytes)
        return refuse(origin, "cut short", err);
    const char *const ids = s->bytes + sizeof(header) + offset_bytes;
    s->offsets = (const void *)(s->bytes + sizeof(header));
    if ((always + s->offsets[s->header->source_size]) * width !=
        s->size - sizeof(header) - offset_bytes)
        return refuse(origin, "not as long as it says", err);
    s->always = list_at(ids, s->header->target_size);
    s->candidates = list_at(ids + always * width, s->header->target_size);
    return true;
}

static bool is_ascending(id_list list, size_t begin, size_t end, uint32_t limit)
{
    for (size_t i = begin; i < end; i++)
        if (id_at(list, i) >= limit || (i > begin && id_at(list, i) <= id_at(list, i - 1)))
            return false;
    return true;
}

static bool check_lists(const ksk_shortlist *s, const char *origin, ksk_error *err)
{
    const header *const h = s->header;
    bool good = s->offsets[0] == 0 && is_ascending(s->always, 0, h->always_count, h->target_size);
    for (size_t i = 0; good && i < h->source_size; i++) /* the last offset is within the file */
        good = s->offsets[i] <= s->offsets[i + 1];
    for (size_t i = 0; good && i < h->source_size; i++)
        good = is_ascending(s->candidates, s->offsets[i], s->offsets[i + 1], h->target_size);
    return good || refuse(origin, "lists that are not ascending ids of the vocabulary", err);
}

static void mark(uint64_t *marks, uint32_t id)
{
    marks[id >> 6] |= (uint64_t)1 << (id & 63);
}

static bool mark_always(ksk_shortlist *s, ksk_error *err)
{
    s->words = ((size_t)s->header->target_size + 63) / 64;
    s->marks = ksk_calloc(s->words, sizeof *s->marks);
    for (size_t i = 0; s->marks && i < s->header->always_count; i++)
        mark(s->marks, id_at(s->always, i));
    return s->marks || ksk_fail_memory(err);
}

/* Takes `bytes` [size] over, also when it fails; NULL is memory that has run out. */
static ksk_shortlist *parse(char *bytes, size_t size, const char *origin, ksk_error *err)
{
    ksk_shortlist *s = bytes ? ksk_calloc(1, sizeof *s) : NULL;
    if (!s) {
        ksk_free(bytes);
        ksk_fail_memory(err);
        return NULL;
    }
    s->bytes = bytes;
    s->size = size;
    s->header = (const void *)bytes;
    if (check_header(s, origin, err) && find_parts(s, origin, err) && check_lists(s, origin, err) &&
        mark_always(s, err))
        return s;
    ksk_shortlist_free(s);
    return NULL;
}

static bool fits(const ksk_shortlist *s, const ksk_shortlist_scope *scope, const char *path,
                 ksk_error *err)
{
    const header *const h = s->header;
    if (h->source_size != (uint32_t)scope->source_size ||
        h->target_size != (uint32_t)scope->target_size)
        return ksk_fail(err, KSK_BAD_FORMAT,
                        "%s is for a model with vocabularies of %u and %u tokens, this one has %d "
                        "and %d; make one with `kaskad shortlist`",
                        path, h->source_size, h->target_size, scope->source_size,
                        scope->target_size);
    return h->tokenizer == scope->tokenizer ||
           ksk_fail(err, KSK_BAD_FORMAT,
                    "%s is for a model with another tokenizer; make one with `kaskad shortlist`",
                    path);
}

ksk_shortlist *ksk_shortlist_load(const char *path, const ksk_shortlist_scope *scope,
                                  ksk_error *err)
{
    size_t size = 0;
    char *bytes = ksk_file_read(path, most_bytes, &size, err);
    ksk_shortlist *s = bytes ? parse(bytes, size, path, err) : NULL;
    if (s && fits(s, scope, path, err))
        return s;
    ksk_shortlist_free(s);
    return NULL;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* False for an id outside the vocabulary. */
static bool put_ids(char *bytes, uint32_t target_size, const int32_t *ids, size_t count)
{
    const size_t width = id_bytes(target_size);
    for (size_t i = 0; i < count; i++) {
        const uint32_t wide = (uint32_t)ids[i];
        const uint16_t narrow = (uint16_t)wide;
        if (wide >= target_size)
            return false;
        memcpy(bytes + i * width, width == sizeof narrow ? (const void *)&narrow : &wide, width);
    }
    return true;
}

static bool fill(char *bytes, const header *head, const ksk_shortlist_lists *lists)
{
    const size_t offset_bytes = ((size_t)head->source_size + 1) * sizeof *lists->offsets;
    char *const ids = bytes + sizeof *head + offset_bytes;
    memcpy(bytes, head, sizeof *head);
    memcpy(bytes + sizeof *head, lists->offsets, offset_bytes);
    return put_ids(ids, head->target_size, lists->always, lists->always_count) &&
           put_ids(ids + lists->always_count * id_bytes(head->target_size), head->target_size,
                   lists->candidates, lists->offsets[head->source_size]);
}

ksk_shortlist *ksk_shortlist_new(const ksk_shortlist_lists *lists, ksk_error *err)
{
    const ksk_shortlist_scope *const scope = &lists->scope;
    if (scope->source_size < 1 || scope->target_size < 1) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "a shortlist needs vocabularies of at least one token");
        return NULL;
    }
    header head = {.version = format_version,
                   .source_size = (uint32_t)scope->source_size,
                   .target_size = (uint32_t)scope->target_size,
                   .always_count = (uint32_t)lists->always_count,
                   .tokenizer = scope->tokenizer};
    memcpy(head.magic, magic, sizeof magic);
    const size_t ids = lists->always_count + lists->offsets[scope->source_size];
    const size_t size = sizeof head + ((size_t)scope->source_size + 1) * sizeof *lists->offsets +
                        ids * id_bytes(head.target_size);
    char *bytes = ksk_malloc(size);
    ksk_error problem = {0};
    if (bytes && !fill(bytes, &head, lists)) {
        ksk_fail(err, KSK_BAD_ARGUMENT, "a shortlist's id is outside the vocabulary of %d tokens",
                 scope->target_size);
        ksk_free(bytes);
        return NULL;
    }
    ksk_shortlist *s = parse(bytes, size, "the lists", &problem);
    if (!s)
        ksk_fail(err, problem.status == KSK_OUT_OF_MEMORY ? KSK_OUT_OF_MEMORY : KSK_BAD_ARGUMENT,
                 "%s", problem.message);
    return s;
}

static bool put(void *context, ksk_file_writer *writer, ksk_error *err)
{
    const ksk_shortlist *const s = context;
    return ksk_file_put(writer, s->bytes, s->size, err);
}

bool ksk_shortlist_save(const ksk_shortlist *shortlist, const char *path, ksk_error *err)
{
    return ksk_file_replace(path, put, (void *)shortlist, err);
}

/* --- selecting ----------------------------------------------------------------------------------
 */

void ksk_selection_clear(ksk_selection *selection)
{
    ksk_free(selection->ids);
    ksk_free(selection->marks);
    *selection = (ksk_selection){0};
}

static void mark_candidates(const ksk_shortlist *s, int32_t source, uint64_t *marks)
{
    const uint32_t begin = s->offsets[source], end = s->offsets[source + 1];
    if (s->candidates.narrow)
        for (uint32_t i = begin; i < end; i++)
            mark(marks, s->candidates.narrow[i]);
    else
        for (uint32_t i = begin; i < end; i++)
            mark(marks, s->candidates.wide[i]);
}

static void list_marked(ksk_selection *selection, size_t words)
{
    size_t count = 0;
    for (size_t w = 0; w < words; w++)
        for (uint64_t rest = selection->marks[w]; rest; rest &= rest - 1)
            selection->ids[count++] = (int32_t)(w * 64) + __builtin_ctzll(rest);
    selection->count = count;
}

bool ksk_shortlist_select(const ksk_shortlist *shortlist, const int32_t *sources, size_t count,
                          ksk_selection *selection, ksk_error *err)
{
    if (!ksk_grow(&selection->ids, &selection->capacity, shortlist->header->target_size,
                  sizeof *selection->ids) ||
        !ksk_grow(&selection->marks, &selection->words, shortlist->words, sizeof *selection->marks))
        return ksk_fail_memory(err);
    memcpy(selection->marks, shortlist->marks, shortlist->words * sizeof *shortlist->marks);
    for (size_t i = 0; i < count; i++) {
        if (sources[i] < 0 || (uint32_t)sources[i] >= shortlist->header->source_size)
            return ksk_fail(err, KSK_BAD_ARGUMENT,
                            "source id %d is outside the vocabulary of %u tokens", sources[i],
                            shortlist->header->source_size);
        mark_candidates(shortlist, sources[i], selection->marks);
    }
    list_marked(selection, shortlist->words);
    return true;
}

bool ksk_selection_has(const ksk_selection *selection, int32_t id)
{
    return id >= 0 && (size_t)id >> 6 < selection->words &&
           (selection->marks[id >> 6] >> (id & 63) & 1);
}

void ksk_selection_include(ksk_selection *selection, int32_t id)
{
    size_t at = selection->count;
    if (ksk_selection_has(selection, id))
        return;
    mark(selection->marks, (uint32_t)id);
    for (; at && selection->ids[at - 1] > id; at--)
        selection->ids[at] = selection->ids[at - 1];
    selection->ids[at] = id;
    selection->count++;
}
