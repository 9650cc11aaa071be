/* Settings as a JSON object. */
#include <math.h>
#include <string.h>

#include "base/string.h"
#include "io/checkpoint.h"
#include "io/json.h"
#include "kaskad/memory.h"

struct ksk_config {
    json_t *object;
    char *file; /* or whatever names it in messages */
    ksk_error error;
};

/* --- making and freeing ---------------------------------------------------------------------- */

/* Takes `object` and `file`, either of which may be NULL after a failure that `err` tells of. */
static ksk_config *wrap(json_t *object, char *file, ksk_error *err)
{
    ksk_config *config = object ? ksk_calloc(1, sizeof *config) : NULL;
    if (config) {
        config->object = object;
        config->file = file;
        return config;
    }
    if (object)
        ksk_fail_memory(err);
    json_decref(object);
    ksk_free(file);
    return NULL;
}

ksk_config *ksk_config_load(const char *directory, const char *name, ksk_error *err)
{
    char *file;
    json_t *object = ksk_json_read(directory, name, &file, err);
    return wrap(object, file, err);
}

ksk_config *ksk_config_new(const char *origin, ksk_error *err)
{
    char *file = ksk_strdup(origin);
    json_t *object = file ? json_object() : NULL;
    if (!object)
        ksk_fail_memory(err);
    return wrap(object, file, err);
}

void ksk_config_free(ksk_config *config)
{
    if (!config)
        return;
    json_decref(config->object);
    ksk_free(config->file);
    ksk_free(config);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Remembers the first mistake. */
static void expected(ksk_config *config, const char *key, const char *what)
{
    char name[100];
    if (config->error.status == KSK_OK)
        ksk_fail(&config->error, KSK_BAD_FORMAT, "%s: key \"%s\": %s expected", config->file,
                 ksk_printable(key, name, sizeof name), what);
}

/* The value, or NULL when the key is absent or null. */
static const json_t *value_of(const ksk_config *config, const char *key)
{
    const json_t *value = json_object_get(config->object, key);
    return json_is_null(value) ? NULL : value;
}

bool ksk_config_has(const ksk_config *config, const char *key)
{
    return value_of(config, key) != NULL;
}

int ksk_config_int(ksk_config *config, const char *key, int fallback, int min, int max)
{
    const json_t *value = value_of(config, key);
    if (!value)
        return fallback;
    const json_int_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= min && number <= max)
        return (int)number;
    char what[80];
    snprintf(what, sizeof what, "an integer from %d to %d", min, max);
    expected(config, key, what);
    return fallback;
}

double ksk_config_number(ksk_config *config, const char *key, double fallback)
{
    const json_t *value = value_of(config, key);
    if (!value)
        return fallback;
    if (json_is_number(value))
        return json_number_value(value);
    expected(config, key, "a number");
    return fallback;
}

bool ksk_config_bool(ksk_config *config, const char *key, bool fallback)
{
    const json_t *value = value_of(config, key);
    if (!value)
        return fallback;
    if (json_is_boolean(value))
        return json_is_true(value);
    expected(config, key, "true or false");
    return fallback;
}

const char *ksk_config_string(ksk_config *config, const char *key, const char *fallback)
{
    const json_t *value = value_of(config, key);
    if (!value)
        return fallback;
    if (json_is_string(value))
        return json_string_value(value);
    expected(config, key, "a string");
    return fallback;
}

static bool is_int32(const json_t *value)
{
    const json_int_t number = json_integer_value(value);
    return json_is_integer(value) && number >= INT32_MIN && number <= INT32_MAX;
}

int ksk_config_ints(ksk_config *config, const char *key, int32_t *values, int room)
{
    const json_t *value = value_of(config, key);
    const bool list = json_is_array(value);
    const size_t count = list ? json_array_size(value) : value != NULL;
    bool sound = count <= (size_t)room && (!list || count > 0);
    for (size_t i = 0; sound && i < count; i++) {
        const json_t *item = list ? json_array_get(value, i) : value;
        sound = is_int32(item);
        values[i] = sound ? (int32_t)json_integer_value(item) : 0;
    }
    if (sound)
        return (int)count;
    char what[80];
    snprintf(what, sizeof what, "an integer or a list of 1 to %d integers", room);
    expected(config, key, what);
    return 0;
}

int ksk_config_single_ids(ksk_config *config, const char *key, int32_t *values, int room)
{
    const json_t *value = value_of(config, key);
    const size_t count = json_array_size(value);
    bool sound = (!value || json_is_array(value)) && count <= (size_t)room;
    for (size_t i = 0; sound && i < count; i++) {
        const json_t *list = json_array_get(value, i);
        const json_t *item = json_array_get(list, 0);
        sound = json_array_size(list) == 1 && is_int32(item);
        values[i] = sound ? (int32_t)json_integer_value(item) : 0;
    }
    if (sound)
        return (int)count;
    char what[80];
    snprintf(what, sizeof what, "a list of at most %d lists of one integer", room);
    expected(config, key, what);
    return 0;
}

bool ksk_config_is_string(const ksk_config *config, const char *key)
{
    return json_is_string(value_of(config, key));
}

bool ksk_config_ok(const ksk_config *config, ksk_error *err)
{
    if (err && config->error.status != KSK_OK)
        *err = config->error;
    return config->error.status == KSK_OK;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Takes `value`; NULL is memory that ran out. */
static void set(ksk_config *config, const char *key, json_t *value)
{
    if ((!value || json_object_set_new(config->object, key, value) != 0) &&
        config->error.status == KSK_OK)
        ksk_fail_memory(&config->error);
}

void ksk_config_set_int(ksk_config *config, const char *key, int64_t value)
{
    set(config, key, json_integer(value));
}

void ksk_config_set_number(ksk_config *config, const char *key, double value)
{
    if (isfinite(value))
        set(config, key, json_real(value));
    else
        expected(config, key, "a finite number");
}

void ksk_config_set_bool(ksk_config *config, const char *key, bool value)
{
    set(config, key, json_boolean(value));
}

void ksk_config_set_string(ksk_config *config, const char *key, const char *value)
{
    if (ksk_utf8_valid(value, strlen(value)))
        set(config, key, json_string(value));
    else
        expected(config, key, "UTF-8");
}

bool ksk_config_save(const ksk_config *config, const char *directory, const char *name,
                     ksk_error *err)
{
    return ksk_config_ok(config, err) && ksk_json_write(directory, name, config->object, err);
}

static int append(const char *bytes, size_t size, void *context)
{
    return ksk_string_add(context, "%.*s", (int)size, bytes) ? 0 : -1;
}

char *ksk_config_print(const ksk_config *config)
{
    ksk_string out = {0};
    const char *key;
    json_t *value;
    json_object_foreach(config->object, key, value)
    {
        char name[200];
        ksk_string_add(&out, "%s: ", ksk_printable(key, name, sizeof name));
        if (json_dump_callback(value, append, &out, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) != 0)
            out.failed = true;
        ksk_string_add(&out, "\n");
    }
    return ksk_string_take(&out);
}
