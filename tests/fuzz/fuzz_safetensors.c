/* Any bytes as a safetensors file: refused, or read to the end of every tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "tensor/packing.h"

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

/* Whatever is taken for panels of a matrix of a few sizes can be read to its end. */
static void read_panels(const ksk_safetensors *file, const char *name)
{
    ksk_tensor *stored = ksk_safetensors_get(file, name, NULL);
    ksk_tensor *scales = ksk_safetensors_get(file, "scale", NULL);
    for (int64_t n = 1; stored && n < 40; n += 6) {
        float row[9], sum = 0;
        ksk_tensor *matrix = ksk_packing_wrap(stored, scales, 8, KSK_TABLE_STEPS, n, 9, NULL);
        for (int64_t i = 0; matrix && i < n; i++) {
            ksk_packing_row(matrix, i, row);
            sum += row[8];
        }
        if (sum == 0.125F) /* so that it is computed */
            fputc('.', stderr);
        ksk_tensor_release(matrix);
    }
    ksk_tensor_release(stored);
    ksk_tensor_release(scales);
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
    for (int i = 0; file && i < ksk_safetensors_count(file); i++) {
        read_tensor(file, ksk_safetensors_name(file, i));
        read_panels(file, ksk_safetensors_name(file, i));
    }
    if (file)
        ksk_safetensors_note(file, "kaskad.packing");
    ksk_safetensors_free(file);
    close(fd);
    return 0;
}
