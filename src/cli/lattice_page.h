/* A recorded lattice as a page of HTML that needs nothing else. */
#ifndef KSK_CLI_LATTICE_PAGE_H
#define KSK_CLI_LATTICE_PAGE_H

#include <stdio.h>

#include "cli/lattice_record.h"
#include "kaskad/kaskad.h"

typedef struct ksk_lattice_page {
    const ksk_model *model;
    const char *source;
    const ksk_translation *translation;
    const ksk_lattice_record *record;
} ksk_lattice_page;

/* Errors stay in the file. */
void ksk_lattice_page_write(const ksk_lattice_page *page, FILE *file);

#endif
