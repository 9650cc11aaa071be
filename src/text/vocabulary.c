#include "text/vocabulary.h"

#include "kaskad/memory.h"
#include "text/json.h"

enum { MOST_IDS = 1 << 24 };

struct ksk_vocabulary {
    json_t *ids;         /* {"piece": id}; jansson's objects are hash tables */
    const char **pieces; /* [limit], pointing into `ids`; NULL where an id has no piece */
    int32_t limit;
};

/* One more than the largest id, or -1 with `err` filled. */
static int32_t find_limit(json_t *ids, const char *name, ksk_error *err)
{
    json_int_t limit = 0;
    const char *piece;
    json_t *value;
    json_object_foreach(ids, piece, value)
    {
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id >= MOST_IDS) {
            ksk_fail(err, KSK_BAD_FORMAT, "%s: the id of \"%.60s\" is not between 0 and %d", name,
                     piece, MOST_IDS - 1);
            return -1;
        }
        if (id >= limit)
            limit = id + 1;
    }
    return (int32_t)limit;
}

ksk_vocabulary *ksk_vocabulary_load(const char *directory, const char *name, ksk_error *err)
{
    json_t *ids = ksk_json_load(directory, name, err);
    if (!ids)
        return NULL;
    const int32_t limit = find_limit(ids, name, err);
    ksk_vocabulary *vocabulary = limit < 0 ? NULL : ksk_malloc(sizeof *vocabulary);
    const char **pieces = vocabulary ? ksk_calloc((size_t)limit, sizeof *pieces) : NULL;
    if (!pieces) {
        if (limit >= 0)
            ksk_fail_memory(err);
        ksk_free(vocabulary);
        json_decref(ids);
        return NULL;
    }
    const char *piece;
    json_t *value;
    json_object_foreach(ids, piece, value) pieces[json_integer_value(value)] = piece;
    *vocabulary = (ksk_vocabulary){ids, pieces, limit};
    return vocabulary;
}

void ksk_vocabulary_free(ksk_vocabulary *vocabulary)
{
    if (!vocabulary)
        return;
    json_decref(vocabulary->ids);
    ksk_free(vocabulary->pieces);
    ksk_free(vocabulary);
}

size_t ksk_vocabulary_count(const ksk_vocabulary *vocabulary)
{
    return json_object_size(vocabulary->ids);
}

int32_t ksk_vocabulary_limit(const ksk_vocabulary *vocabulary)
{
    return vocabulary->limit;
}

int32_t ksk_vocabulary_id(const ksk_vocabulary *vocabulary, const char *piece, size_t length)
{
    const json_t *id = json_object_getn(vocabulary->ids, piece, length);
    return id ? (int32_t)json_integer_value(id) : -1;
}

const char *ksk_vocabulary_piece(const ksk_vocabulary *vocabulary, int32_t id)
{
    return id < 0 || id >= vocabulary->limit ? NULL : vocabulary->pieces[id];
}
