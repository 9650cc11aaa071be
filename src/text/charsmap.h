/* The normalisation table inside a SentencePiece model. The library follows its offsets without
 * looking, so a file from elsewhere is checked first. */
#ifndef KSK_TEXT_CHARSMAP_H
#define KSK_TEXT_CHARSMAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the bytes of an .spm file are a readable message whose tables never lead out of
 * themselves. NULL if so, else what is wrong. */
const char *ksk_charsmap_check(const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
