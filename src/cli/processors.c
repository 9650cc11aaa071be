#include "cli/processors.h"

#include <string.h>

const char *ksk_cut_argument(const char *given, char name[KSK_NAME_ROOM])
{
    const char *const equals = strchr(given, '=');
    size_t length = equals ? (size_t)(equals - given) : strlen(given);
    if (length >= KSK_NAME_ROOM)
        length = KSK_NAME_ROOM - 1;
    memcpy(name, given, length);
    name[length] = '\0';
    return equals ? equals + 1 : NULL;
}

static bool open_one(ksk_open_processors *open, const char *given, const ksk_model *model)
{
    char name[KSK_NAME_ROOM];
    const char *const argument = ksk_cut_argument(given, name);
    const ksk_processor_type *const type = ksk_processor_find(name);
    if (!type)
        return !ksk_complain("--processor %s: there is no such processor; `kaskad plugin list` "
                             "shows those of --user-dir",
                             name);
    if (argument && !type->takes)
        return !ksk_complain("--processor %s takes no argument, but got '%s'", name, argument);
    ksk_error err = {0};
    void *const settings = type->open(argument ? argument : "", model, &err);
    if (!settings)
        return !ksk_complain("--processor %s: %s", name, err.message);
    const int i = open->count++;
    open->types[i] = type;
    open->settings[i] = settings;
    open->steps[i] = (ksk_processor){type->name, type->process, settings};
    return true;
}

bool ksk_processors_open(ksk_open_processors *open, const ksk_texts *given, const ksk_model *model)
{
    for (int i = 0; i < given->count; i++)
        if (!open_one(open, given->at[i], model))
            return false;
    return true;
}

void ksk_processors_close(ksk_open_processors *open)
{
    for (int i = 0; i < open->count; i++)
        open->types[i]->close(open->settings[i]);
    open->count = 0;
}
