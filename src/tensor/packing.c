#include "tensor/packing.h"

#include <math.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/onednn.h"

static int64_t padded(int64_t k)
{
    return (k + 3) / 4 * 4;
}

/* --- layouts ------------------------------------------------------------------------------------
 */

int ksk_packing_shape(ksk_dtype dtype, int panel, int64_t n, int64_t k, int64_t shape[4])
{
    enum { most = 1 << 30 }; /* so that no product below overflows */
    if (panel < 2 || panel > KSK_MOST_PANEL || panel % 2 || n < 1 || n > most || k < 1 || k > most)
        return 0;
    shape[0] = (n + panel - 1) / panel;
    if (dtype == KSK_BF16) {
        shape[1] = k;
        shape[2] = panel;
        return 3;
    }
    shape[1] = 1 + padded(k) / 4;
    shape[2] = panel;
    shape[3] = 4;
    return 4;
}

/* Element (j, p) of a panel, as a place in it. */
static int64_t place_int8(int panel, int64_t j, int64_t p)
{
    return ((1 + p / 4) * panel + j) * 4 + p % 4;
}

/* Where the panel of a row begins. */
static const int8_t *panel_int8(const ksk_tensor *packed, int64_t row)
{
    const int panel = packed->packing->panel;
    return (const int8_t *)packed->data + row / panel * panel * (4 + padded(packed->shape[1]));
}

static int64_t place_bf16(int panel, int64_t j, int64_t p)
{
    const int64_t half = panel / 2;
    return p * panel + (j < half ? 2 * j : 2 * (j - half) + 1);
}

int ksk_packing_steps(const ksk_kernels *kernels)
{
    return ksk_onednn_wanted(kernels, KSK_PRECISION_INT8) ? KSK_ONEDNN_STEPS : KSK_TABLE_STEPS;
}

/* --- wrapping -----------------------------------------------------------------------------------
 */

void ksk_packing_free(ksk_packing *packing)
{
    for (int i = 0; i < packing->count; i++)
        ksk_tensor_release(packing->parts[i]);
    ksk_tensor_release(packing->stored);
    ksk_tensor_release(packing->scales);
    ksk_free(packing);
}

/* Each row's -128 times its sum is what a row can have. */
static bool are_sums(const ksk_tensor *stored, int panel, int64_t k)
{
    const int64_t most = 128 * 128 * padded(k);
    const char *at = stored->data;
    for (int64_t i = 0; i < stored->shape[0]; i++, at += panel * (4 + padded(k)))
        for (int j = 0; j < panel; j++) {
            int32_t sum;
            memcpy(&sum, at + (size_t)j * sizeof sum, sizeof sum);
            if (sum > most || sum < -most)
                return false;
        }
    return true;
}

static bool are_panels(const ksk_tensor *stored, int panel, int64_t n, int64_t k)
{
    int64_t shape[4] = {0};
    const int rank = ksk_packing_shape(stored->dtype, panel, n, k, shape);
    return (stored->dtype == KSK_I8 || stored->dtype == KSK_BF16) && rank == stored->rank &&
           memcmp(shape, stored->shape, (size_t)rank * sizeof *shape) == 0 &&
           (stored->dtype == KSK_BF16 || are_sums(stored, panel, k));
}

/* A scale of NaN says that its row has one. */
static bool are_scales(const ksk_tensor *scales, int64_t n)
{
    if (!scales || scales->dtype != KSK_F32 || scales->rank != 1 || scales->count != n)
        return false;
    const float *values = scales->data;
    for (int64_t i = 0; i < n; i++)
        if (values[i] < 0 || isinf(values[i]))
            return false;
    return true;
}

static ksk_tensor *wrap(ksk_dtype dtype, int64_t n, int64_t k, const void *data,
                        ksk_packing *packing, ksk_error *err)
{
    ksk_tensor *tensor = ksk_tensor_wrap(dtype, 2, (const int64_t[]){n, k}, data, NULL, NULL, err);
    if (tensor)
        tensor->packing = packing;
    else
        ksk_packing_free(packing);
    return tensor;
}

ksk_tensor *ksk_packing_wrap(const ksk_tensor *stored, const ksk_tensor *scales, int panel,
                             int steps, int64_t n, int64_t k, ksk_error *err)
{
    if (!are_panels(stored, panel, n, k) || (stored->dtype == KSK_I8 && !are_scales(scales, n))) {
        ksk_fail(err, KSK_BAD_ARGUMENT,
                 "not a packed matrix [%lld, %lld]: panels of %d rows and finite scales expected",
                 (long long)n, (long long)k, panel);
        return NULL;
    }
    ksk_packing *packing = ksk_malloc(sizeof *packing);
    if (!packing) {
        ksk_fail_memory(err);
        return NULL;
    }
    *packing = (ksk_packing){.panel = panel,
                             .steps = steps,
                             .stored = ksk_tensor_share(stored),
                             .scales = stored->dtype == KSK_I8 ? ksk_tensor_share(scales) : NULL,
                             .bytes = ksk_tensor_bytes(stored)};
    packing->bytes += packing->scales ? ksk_tensor_bytes(scales) : 0;
    return wrap(stored->dtype, n, k, stored->data, packing, err);
}

bool ksk_packing_alike(const ksk_tensor *a, const ksk_tensor *b)
{
    return a->packing && b->packing && a->dtype == b->dtype && a->shape[1] == b->shape[1] &&
           a->packing->panel == b->packing->panel && a->packing->steps == b->packing->steps &&
           !a->packing->count && !b->packing->count;
}

ksk_tensor *ksk_packing_stack(int count, ksk_tensor *const *parts, ksk_error *err)
{
    ksk_packing *packing = ksk_malloc(sizeof *packing + (size_t)count * sizeof(packing->parts[0]));
    if (!packing) {
        ksk_fail_memory(err);
        return NULL;
    }
    *packing = (ksk_packing){
        .panel = parts[0]->packing->panel, .steps = parts[0]->packing->steps, .count = count};
    int64_t n = 0;
    for (int i = 0; i < count; i++) {
        packing->parts[i] = ksk_tensor_share(parts[i]);
        packing->bytes += parts[i]->packing->bytes;
        n += parts[i]->shape[0];
    }
    return wrap(parts[0]->dtype, n, parts[0]->shape[1], NULL, packing, err);
}

/* --- unpacking ----------------------------------------------------------------------------------
 */

static void unpack_int8(const ksk_tensor *packed, int64_t row, int8_t *bytes)
{
    const int panel = packed->packing->panel;
    const int64_t k = packed->shape[1];
    const int8_t *from = panel_int8(packed, row);
    for (int64_t p = 0; p < padded(k); p += 4)
        memcpy(bytes + p, from + place_int8(panel, row % panel, p), 4);
}

static void widen_int8(const ksk_tensor *packed, int64_t row, float *y)
{
    const int panel = packed->packing->panel;
    const int64_t k = packed->shape[1];
    const int8_t *from = panel_int8(packed, row);
    const float scale = ((const float *)packed->packing->scales->data)[row];
    for (int64_t p = 0; p < k; p++)
        y[p] = (float)from[place_int8(panel, row % panel, p)] * scale;
}

static void widen_bf16(const ksk_tensor *packed, int64_t row, float *y)
{
    const int panel = packed->packing->panel;
    const int64_t k = packed->shape[1];
    const uint16_t *from = (const uint16_t *)packed->data + row / panel * panel * k;
    for (int64_t p = 0; p < k; p++)
        y[p] = ksk_bf16_to_f32(from[place_bf16(panel, row % panel, p)]);
}

void ksk_packing_row(const ksk_tensor *packed, int64_t row, float *y)
{
    const ksk_packing *packing = packed->packing;
    for (int i = 0; i < packing->count; row -= packing->parts[i++]->shape[0])
        if (row < packing->parts[i]->shape[0]) {
            ksk_packing_row(packing->parts[i], row, y);
            return;
        }
    if (packed->dtype == KSK_I8)
        widen_int8(packed, row, y);
    else
        widen_bf16(packed, row, y);
}

/* --- packing ------------------------------------------------------------------------------------
 */

/* What is packed: a tensor, or rows of floats; and in how many steps. */
typedef struct source {
    const ksk_tensor *tensor; /* or NULL */
    const float *floats;
    int64_t n, k, stride;
    int steps;
} source;

/* Room for one panel: its rows as floats, and as they are stored. */
typedef struct panel_rows {
    float *floats; /* [k] */
    void *narrow;  /* int8 [panel, padded], bf16 [panel, k] */
} panel_rows;

static const float *float_row(const source *from, int64_t row, float *room)
{
    const ksk_tensor *tensor = from->tensor;
    if (!tensor)
        return from->floats + row * from->stride;
    if (tensor->packing) {
        ksk_packing_row(tensor, row, room);
        return room;
    }
    if (tensor->dtype == KSK_F32)
        return (const float *)tensor->data + row * from->k;
    const uint16_t *halves = (const uint16_t *)tensor->data + row * from->k;
    if (tensor->dtype == KSK_BF16)
        ksk_bf16_widen(from->k, halves, room);
    else
        for (int64_t p = 0; p < from->k; p++)
            room[p] = ksk_f16_to_f32(halves[p]);
    return room;
}

/* Packed before, in as few steps as are wanted. */
static bool has_integers(const source *from)
{
    const ksk_packing *packing = from->tensor ? from->tensor->packing : NULL;
    return packing && from->tensor->dtype == KSK_I8 && !packing->count &&
           packing->steps <= from->steps;
}

static void sum_rows(const int8_t *rows, int64_t count, int64_t k, int32_t *sums)
{
    for (int64_t j = 0; j < count; j++) {
        int32_t sum = 0;
        for (int64_t p = 0; p < k; p++)
            sum += rows[j * k + p];
        sums[j] = -128 * sum;
    }
}

static void pack_int8(const ksk_kernels *kernels, const source *from, const panel_rows *room,
                      int64_t first, int32_t *to, float *scales)
{
    const int64_t k = padded(from->k), left = from->n - first;
    const int panel = kernels->panel;
    int8_t *rows = room->narrow;
    memset(rows, 0, (size_t)(panel * k));
    for (int64_t j = 0; j < panel && j < left; j++) {
        if (has_integers(from)) {
            unpack_int8(from->tensor, first + j, rows + j * k);
            scales[first + j] = ((const float *)from->tensor->packing->scales->data)[first + j];
        } else {
            kernels->quantize_weights(1, from->k, float_row(from, first + j, room->floats), from->k,
                                      from->steps, rows + j * k, k, &scales[first + j]);
        }
    }
    sum_rows(rows, panel, k, to);
    to += panel;
    for (int64_t j = 0; j < panel; j++)
        for (int64_t p = 0; p < k / 4; p++)
            memcpy(&to[p * panel + j], rows + j * k + 4 * p, sizeof *to);
}

static void pack_bf16(const ksk_kernels *kernels, const source *from, const panel_rows *room,
                      int64_t first, uint16_t *to)
{
    const int64_t k = from->k, left = from->n - first, half = kernels->panel / 2;
    uint16_t *rows = room->narrow;
    memset(rows, 0, (size_t)(kernels->panel * k) * sizeof *rows);
    for (int64_t j = 0; j < kernels->panel && j < left; j++)
        kernels->round_rows(1, k, float_row(from, first + j, room->floats), k, rows + j * k, k);
    for (int64_t j = 0; j < half; j++)
        for (int64_t p = 0; p < k; p++) {
            to[p * 2 * half + 2 * j] = rows[j * k + p];
            to[p * 2 * half + 2 * j + 1] = rows[(j + half) * k + p];
        }
}

static bool pack_panels(const ksk_kernels *kernels, const source *from, ksk_tensor *stored,
                        float *scales)
{
    const size_t rows = (size_t)(kernels->panel * padded(from->k)) * ksk_dtype_size(stored->dtype);
    const panel_rows room = {ksk_malloc((size_t)from->k * sizeof(float)), ksk_malloc(rows)};
    const bool ok = room.floats && room.narrow;
    char *to = ksk_tensor_fill(stored);
    const size_t step = ksk_tensor_bytes(stored) / (size_t)stored->shape[0];
    for (int64_t first = 0; ok && first < from->n; first += kernels->panel, to += step) {
        if (stored->dtype == KSK_I8)
            pack_int8(kernels, from, &room, first, (int32_t *)(void *)to, scales);
        else
            pack_bf16(kernels, from, &room, first, (uint16_t *)(void *)to);
    }
    ksk_free(room.floats);
    ksk_free(room.narrow);
    return ok;
}

static ksk_tensor *pack(const ksk_kernels *kernels, ksk_precision precision, const source *from,
                        ksk_error *err)
{
    const ksk_dtype dtype = precision == KSK_PRECISION_INT8 ? KSK_I8 : KSK_BF16;
    int64_t shape[4] = {0};
    const int rank = ksk_packing_shape(dtype, kernels->panel, from->n, from->k, shape);
    if (!rank) {
        ksk_fail(err, KSK_UNSUPPORTED, "a matrix [%lld, %lld] cannot be packed", (long long)from->n,
                 (long long)from->k);
        return NULL;
    }
    ksk_tensor *stored = ksk_tensor_new(dtype, rank, shape, err);
    ksk_tensor *scales = dtype == KSK_I8 ? ksk_tensor_new(KSK_F32, 1, &from->n, err) : NULL;
    ksk_tensor *packed = NULL;
    if (stored && (scales || dtype == KSK_BF16)) {
        if (pack_panels(kernels, from, stored, scales ? ksk_tensor_fill(scales) : NULL))
            packed =
                ksk_packing_wrap(stored, scales, kernels->panel,
                                 has_integers(from) ? from->tensor->packing->steps : from->steps,
                                 from->n, from->k, err);
        else
            ksk_fail_memory(err);
    }
    ksk_tensor_release(stored);
    ksk_tensor_release(scales);
    return packed;
}

ksk_tensor *ksk_pack_floats(const ksk_kernels *kernels, ksk_precision precision, int steps,
                            int64_t n, int64_t k, const float *matrix, int64_t stride,
                            ksk_error *err)
{
    const source from = {.floats = matrix, .n = n, .k = k, .stride = stride, .steps = steps};
    return pack(kernels, precision, &from, err);
}

static bool is_packed_so(const ksk_tensor *matrix, const ksk_kernels *kernels,
                         ksk_precision precision, int steps)
{
    const ksk_dtype dtype = precision == KSK_PRECISION_INT8 ? KSK_I8 : KSK_BF16;
    return matrix->packing && matrix->packing->panel == kernels->panel && matrix->dtype == dtype &&
           (dtype == KSK_BF16 || matrix->packing->steps <= steps);
}

ksk_tensor *ksk_pack(const ksk_kernels *kernels, ksk_precision precision, int steps,
                     const ksk_tensor *matrix, ksk_error *err)
{
    if (is_packed_so(matrix, kernels, precision, steps))
        return ksk_tensor_share(matrix);
    if (matrix->rank != 2 || (matrix->dtype != KSK_F32 && matrix->dtype != KSK_BF16 &&
                              matrix->dtype != KSK_F16 && !matrix->packing)) {
        ksk_fail(err, KSK_UNSUPPORTED, "a tensor of %s with %d dimensions is no matrix to pack",
                 ksk_dtype_name(matrix->dtype), matrix->rank);
        return NULL;
    }
    const source from = {
        .tensor = matrix, .n = matrix->shape[0], .k = matrix->shape[1], .steps = steps};
    return pack(kernels, precision, &from, err);
}
