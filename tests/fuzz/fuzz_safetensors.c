/* Any bytes as a safetensors file: refused, or read to the end of every tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensor(const ksk_safetensors *file, const char *name)
{
    ksk_tensor *tensor = ksk_safetensors_get(file, name, NULL);
    const size_t size = tensor ? ksk_tensor_bytes(tensor) : 0;
    const uint8_t *bytes = tensor ? ksk_tensor_data(tensor) : NULL;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    if (sum > 255 * (uint64_t)size)
        abort();
    ksk_tensor_release(tensor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[32];
    ksk_error err = {0};
    const int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(name, sizeof name, "%d", fd);
    ksk_safetensors *file = ksk_safetensors_open("/proc/self/fd", name, &err);
    if (!file && (err.status == KSK_OK || !err.message[0]))
        abort();
    for (int i = 0; file && i < ksk_safetensors_count(file); i++)
        read_tensor(file, ksk_safetensors_name(file, i));
    ksk_safetensors_free(file);
    close(fd);
    return 0;
}
