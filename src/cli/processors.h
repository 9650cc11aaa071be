/* NAME=ARGUMENT, and the processors that --processor names so. */
#ifndef KSK_CLI_PROCESSORS_H
#define KSK_CLI_PROCESSORS_H

#include "cli/cli.h"
#include "kaskad/extend.h"

enum { KSK_NAME_ROOM = 100 };

/* The argument of NAME=ARGUMENT, or NULL; a name that is too long is cut, and so unknown. */
const char *ksk_cut_argument(const char *given, char name[KSK_NAME_ROOM]);

typedef struct ksk_open_processors {
    const ksk_processor_type *types[KSK_MOST_TEXTS];
    void *settings[KSK_MOST_TEXTS];
    ksk_processor steps[KSK_MOST_TEXTS];
    int count;
} ksk_open_processors; /* zero it first */

/* Opens each NAME or NAME=ARGUMENT; false, said on stderr, when one cannot be. Close them after a
 * failure too. */
bool ksk_processors_open(ksk_open_processors *open, const ksk_texts *given, const ksk_model *model);
void ksk_processors_close(ksk_open_processors *open);

#endif
