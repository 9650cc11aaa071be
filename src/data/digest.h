/* SHA-256 (FIPS 180-4), by which a run tells its data apart. */
#ifndef KSK_DATA_DIGEST_H
#define KSK_DATA_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

/* "sha256:" and 64 hexadecimal digits. */
typedef struct ksk_digest {
    char text[72];
} ksk_digest;

typedef struct ksk_digester {
    uint32_t state[8];
    uint8_t block[64];
    uint64_t length; /* bytes so far */
} ksk_digester;

void ksk_digest_start(ksk_digester *digester);
void ksk_digest_add(ksk_digester *digester, const void *bytes, size_t size);
ksk_digest ksk_digest_end(ksk_digester *digester);

/* Of a file's bytes as they are stored. Errors: BAD_FILE. */
bool ksk_digest_file(const char *path, ksk_digest *digest, ksk_error *err);

#endif
