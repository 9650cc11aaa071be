/* Any bytes as a shortlist: refused, or made of ascending ids of its vocabulary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/shortlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void select_each(const ksk_shortlist *shortlist, const ksk_shortlist_scope *scope)
{
    ksk_selection selection = {0};
    const int32_t last = scope->source_size - 1;
    for (int32_t i = 0; i < scope->source_size && i < 64; i++) {
        const int32_t sources[] = {i, last, last - i};
        if (!ksk_shortlist_select(shortlist, sources, 3, &selection, NULL))
            abort();
        for (size_t k = 0; k < selection.count; k++)
            if (selection.ids[k] < 0 || selection.ids[k] >= scope->target_size ||
                (k && selection.ids[k] <= selection.ids[k - 1]))
                abort();
        ksk_selection_include(&selection, scope->target_size - 1);
        if (!ksk_selection_has(&selection, scope->target_size - 1))
            abort();
    }
    ksk_selection_clear(&selection);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[32];
    ksk_error err = {0};
    ksk_shortlist_scope scope = {1, 1, 0};
    if (size >= 32) { /* a model that fits, so that the rest is looked at */
        memcpy(&scope.source_size, data + 12, 4);
        memcpy(&scope.target_size, data + 16, 4);
        memcpy(&scope.tokenizer, data + 24, 8);
    }
    const int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ksk_shortlist *shortlist = ksk_shortlist_load(path, &scope, &err);
    if (shortlist)
        select_each(shortlist, &scope);
    else if (err.status == KSK_OK || !err.message[0])
        abort();
    ksk_shortlist_free(shortlist);
    close(fd);
    return 0;
}
