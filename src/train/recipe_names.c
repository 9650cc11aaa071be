/* What the names in a recipe stand for. */
#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "train/recipe.h"

/* A Markov order alone says which of the built-in models is meant. */
const ksk_model_type *ksk_recipe_model(const ksk_recipe *recipe)
{
    const char *const name = recipe->model ? recipe->model : "";
    return ksk_model_type_find(recipe->markov_order && strcmp(name, "marian") == 0 ? "kaskad-markov"
                                                                                   : name);
}

const ksk_loss *ksk_recipe_loss(const ksk_recipe *recipe)
{
    char name[80];
    const char *const given = recipe->loss ? recipe->loss : "";
    const int length = snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    return length < (int)sizeof name ? ksk_loss_find(name) : NULL;
}

const char *ksk_recipe_loss_argument(const ksk_recipe *recipe)
{
    const char *const equals = recipe->loss ? strchr(recipe->loss, '=') : NULL;
    return equals ? equals + 1 : "";
}

/* A number, a list or true as JSON has it; anything else is a text. */
static json_t *read_value(const char *text, size_t length)
{
    json_t *const value = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    return value ? value : json_stringn(text, length);
}

static bool read_option(json_t *options, const char *text, size_t length, ksk_error *err)
{
    char shown[80];
    const char *const equals = memchr(text, '=', length);
    const size_t name = equals ? (size_t)(equals - text) : 0;
    if (name == 0 || name >= sizeof shown)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "model_options is NAME=VALUE,NAME=VALUE…, not '%s'",
                        ksk_printable(text, shown, sizeof shown));
    snprintf(shown, sizeof shown, "%.*s", (int)name, text);
    json_t *const value = read_value(equals + 1, length - name - 1);
    return json_object_set_new(options, shown, value) == 0 ||
           ksk_fail(err, KSK_BAD_ARGUMENT, "model_options: '%s' or its value is not UTF-8", shown);
}

json_t *ksk_recipe_model_options(const ksk_recipe *recipe, ksk_error *err)
{
    json_t *const options = json_object();
    bool ok = options || ksk_fail_memory(err);
    for (const char *at = recipe->model_options; ok && at && *at;) {
        const size_t length = strcspn(at, ",");
        ok = read_option(options, at, length, err);
        at += length + (at[length] == ',');
    }
    if (ok)
        return options;
    json_decref(options);
    return NULL;
}
