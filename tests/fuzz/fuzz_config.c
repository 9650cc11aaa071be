/* Any bytes as config.json and as kaskad.json: refused, or read into sane values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "io/proof.h"
#include "kaskad/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const char *name)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_load("/proc/self/fd", name, &err);
    if (!config) {
        if (err.status == KSK_OK || !err.message[0])
            abort();
        return;
    }
    int32_t ids[2];
    const int width = ksk_config_int(config, "a", 3, 1, 99);
    if (width < 1 || width > 99 || ksk_config_ints(config, "b", ids, 2) > 2)
        abort();
    ksk_config_number(config, "c", 1);
    ksk_config_string(config, "d", NULL);
    ksk_config_bool(config, "e", true);
    ksk_config_ok(config, &err);
    ksk_free(ksk_config_print(config));
    ksk_config_free(config);
}

/* A proof has a fixed name, so it is read from a directory with a link to the input. */
static char directory[] = "/tmp/kaskad-fuzz-XXXXXX";
static char link_path[64];

static void remove_directory(void)
{
    rmdir(directory);
}

static void read_proof(const char *name)
{
    char target[64];
    if (!link_path[0] && mkdtemp(directory)) {
        snprintf(link_path, sizeof link_path, "%s/kaskad.json", directory);
        atexit(remove_directory);
    }
    snprintf(target, sizeof target, "/proc/%ld/fd/%s", (long)getpid(), name);
    ksk_error err = {0};
    ksk_proof proof;
    if (symlink(target, link_path) != 0)
        abort();
    const bool read = ksk_proof_read(directory, &proof, &err);
    unlink(link_path);
    if (read ? proof.count < 1 : err.status == KSK_OK)
        abort();
    ksk_proof_clear(&proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[32];
    const int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(name, sizeof name, "%d", fd);
    read_config(name);
    read_proof(name);
    close(fd);
    return 0;
}
