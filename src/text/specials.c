#include "text/specials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/memory.h"
#include "text/json.h"

const ksk_special *ksk_specials_by_text(const ksk_specials *specials, const char *text,
                                        size_t length)
{
    for (size_t i = 0; i < specials->count; i++)
        if (specials->list[i].length == length && !memcmp(specials->list[i].text, text, length))
            return &specials->list[i];
    return NULL;
}

const ksk_special *ksk_specials_by_id(const ksk_specials *specials, int32_t id)
{
    for (size_t i = 0; i < specials->count; i++)
        if (specials->list[i].id == id)
            return &specials->list[i];
    return NULL;
}

const ksk_special *ksk_specials_find(const ksk_specials *specials, const char *text, size_t length,
                                     size_t *at)
{
    for (*at = 0; *at < length; ++*at) {
        const ksk_special *best = NULL;
        for (size_t i = 0; i < specials->count; i++) {
            const ksk_special *special = &specials->list[i];
            if (special->length <= length - *at && (!best || special->length > best->length) &&
                !memcmp(special->text, text + *at, special->length))
                best = special;
        }
        if (best)
            return best;
    }
    return NULL;
}

/* --- loading ---- */

typedef struct loading {
    ksk_specials *specials;
    const ksk_vocabulary *vocabulary;
    int32_t next_id;
    ksk_error *err;
} loading;

/* A token stands as a string or as an object with "content". NULL if it is neither. */
static const char *token_text(const json_t *token)
{
    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static bool is_set(const json_t *token, const char *key)
{
    return json_is_true(json_object_get(token, key));
}

/* The id the reference gives: the vocabulary's, or the next one behind all. */
static int32_t choose_id(loading *load, const char *text, size_t length)
{
    const int32_t id = ksk_vocabulary_id(load->vocabulary, text, length);
    return id >= 0 ? id : load->next_id++;
}

/* Adds a token with an id, or with the id it should have when `id` is -1; an empty text is none,
 * and a text that is there already stays as it is. */
static bool add(loading *load, const json_t *token, int32_t id)
{
    const char *text = token_text(token);
    if (!text)
        return ksk_fail(load->err, KSK_BAD_FORMAT,
                        "tokenizer_config.json: a special token is neither a text nor an object "
                        "with \"content\"");
    const size_t length = strlen(text);
    if (!length || ksk_specials_by_text(load->specials, text, length))
        return true;
    if (is_set(token, "single_word"))
        return ksk_fail(load->err, KSK_UNSUPPORTED,
                        "tokenizer_config.json: the special token \"%.60s\" matches whole words "
                        "only (single_word); remove it",
                        text);
    ksk_specials *specials = load->specials;
    if (!ksk_grow(&specials->list, &specials->capacity, specials->count + 1,
                  sizeof *specials->list))
        return ksk_fail_memory(load->err);
    char *copy = ksk_strdup(text);
    if (!copy)
        return ksk_fail_memory(load->err);
    specials->list[specials->count++] = (ksk_special){copy,
                                                      length,
                                                      id < 0 ? choose_id(load, text, length) : id,
                                                      false,
                                                      is_set(token, "lstrip"),
                                                      is_set(token, "rstrip")};
    return true;
}

/* {"7": {"content": "<x>", …}} */
static bool add_decoder(loading *load, json_t *decoder)
{
    const char *key;
    json_t *token;
    json_object_foreach(decoder, key, token)
    {
        char *end;
        errno = 0;
        const long id = strtol(key, &end, 10);
        if (errno || end == key || *end || id < 0 || id >= 1 << 24)
            return ksk_fail(load->err, KSK_BAD_FORMAT,
                            "tokenizer_config.json: \"%.60s\" in added_tokens_decoder is no id",
                            key);
        if (!add(load, token, (int32_t)id))
            return false;
    }
    return true;
}

/* {"<x>": 7}, the older form */
static bool add_list(loading *load, json_t *list)
{
    const char *text;
    json_t *id;
    json_object_foreach(list, text, id)
    {
        const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || value >= 1 << 24)
            return ksk_fail(load->err, KSK_BAD_FORMAT,
                            "added_tokens.json: the id of \"%.60s\" is out of range", text);
        json_t *token = json_string(text);
        const bool added = token ? add(load, token, (int32_t)value) : ksk_fail_memory(load->err);
        json_decref(token);
        if (!added)
            return false;
    }
    return true;
}

/* The token gets a role; `*id` (may be NULL) its id. */
static bool name_token(loading *load, const json_t *token, int32_t *id)
{
    if (!add(load, token, -1))
        return false;
    const char *text = token_text(token);
    const ksk_special *special = ksk_specials_by_text(load->specials, text, strlen(text));
    if (!special)
        return ksk_fail(load->err, KSK_BAD_FORMAT,
                        "tokenizer_config.json: a special token is empty");
    load->specials->list[special - load->specials->list].named = true;
    if (id)
        *id = special->id;
    return true;
}

/* The token of a role: `first` over `second`; NULL where neither has it. */
static const json_t *find_role(const json_t *first, const json_t *second, const char *role)
{
    const json_t *token = json_object_get(first, role);
    if (!token)
        token = json_object_get(second, role);
    return json_is_null(token) ? NULL : token;
}

/* A role that Marian cannot be without. */
static bool name_required(loading *load, const json_t *token, const char *usual, int32_t *id)
{
    if (token)
        return name_token(load, token, id);
    json_t *text = json_string(usual);
    const bool named = text ? name_token(load, text, id) : ksk_fail_memory(load->err);
    json_decref(text);
    return named;
}

static bool name_optional(loading *load, const json_t *token)
{
    return !token || name_token(load, token, NULL);
}

static bool name_list(loading *load, const json_t *tokens)
{
    size_t i;
    const json_t *token;
    json_array_foreach(tokens, i, token) if (!name_token(load, token, NULL)) return false;
    return true;
}

/* As many as there are pieces and added tokens. */
static int32_t first_free_id(const loading *load)
{
    size_t count = ksk_vocabulary_count(load->vocabulary);
    for (size_t i = 0; i < load->specials->count; i++) {
        const ksk_special *special = &load->specials->list[i];
        count += ksk_vocabulary_id(load->vocabulary, special->text, special->length) < 0;
    }
    return (int32_t)count;
}

/* All roles, in the reference's order, which decides who gets the next free id. */
static bool name_roles(loading *load, const json_t *map, const json_t *config)
{
    ksk_specials *specials = load->specials;
    load->next_id = first_free_id(load);
    const json_t *unknown = find_role(map, config, "unk_token");
    const char *unknown_text = unknown ? token_text(unknown) : "<unk>";
    if (!name_optional(load, find_role(map, config, "bos_token")) ||
        !name_required(load, find_role(map, config, "eos_token"), "</s>", &specials->end) ||
        !name_required(load, unknown, "<unk>", NULL) ||
        !name_optional(load, find_role(map, config, "sep_token")) ||
        !name_required(load, find_role(map, config, "pad_token"), "<pad>", &specials->padding) ||
        !name_optional(load, find_role(map, config, "cls_token")) ||
        !name_optional(load, find_role(map, config, "mask_token")))
        return false;
    if (!name_list(load, json_object_get(config, "additional_special_tokens")) ||
        !name_list(load, json_object_get(map, "additional_special_tokens")))
        return false;
    specials->unknown = ksk_strdup(unknown_text);
    return specials->unknown || ksk_fail_memory(load->err);
}

/* The older files beside a tokenizer_config.json without added_tokens_decoder. */
static bool load_older(loading *load, const char *directory, const json_t *config)
{
    json_t *map = ksk_json_load_optional(directory, "special_tokens_map.json", load->err);
    json_t *list = map ? ksk_json_load_optional(directory, "added_tokens.json", load->err) : NULL;
    const bool loaded = list && add_list(load, list) && name_roles(load, map, config);
    json_decref(map);
    json_decref(list);
    return loaded;
}

bool ksk_specials_load(ksk_specials *specials, const char *directory, const json_t *config,
                       const ksk_vocabulary *vocabulary, ksk_error *err)
{
    loading load = {specials, vocabulary, 0, err};
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    if (!decoder)
        return load_older(&load, directory, config);
    if (!add_decoder(&load, decoder))
        return false;
    return name_roles(&load, NULL, config);
}

void ksk_specials_free(ksk_specials *specials)
{
    for (size_t i = 0; i < specials->count; i++)
        ksk_free(specials->list[i].text);
    ksk_free(specials->list);
    ksk_free(specials->unknown);
    *specials = (ksk_specials){0};
}
