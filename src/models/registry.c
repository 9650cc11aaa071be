#include <string.h>

#include "kaskad/model.h"

extern const ksk_model_type ksk_marian;

static const ksk_model_type *const types[] = {&ksk_marian, NULL};

const ksk_model_type *ksk_model_type_at(int index)
{
    const int count = (int)(sizeof types / sizeof *types) - 1;
    return index < 0 || index >= count ? NULL : types[index];
}

const ksk_model_type *ksk_model_type_find(const char *name)
{
    for (int i = 0; types[i]; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}
