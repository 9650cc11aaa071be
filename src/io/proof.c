#include "io/proof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"
#include "io/json.h"
#include "kaskad/memory.h"

enum { proof_format = 1 };
static const char file_name[] = "kaskad.json";

static void clear_text(ksk_proof_text *text)
{
    ksk_free(text->source);
    ksk_free(text->source_ids);
    ksk_free(text->target_ids);
    ksk_free(text->probes);
}

void ksk_proof_clear(ksk_proof *proof)
{
    for (int i = 0; i < proof->count; i++)
        clear_text(&proof->texts[i]);
    ksk_free(proof->texts);
    ksk_free(proof->library);
    ksk_free(proof->precision);
    ksk_free(proof->recipe);
    ksk_free(proof->data);
    *proof = (ksk_proof){0};
}

/* --- reading --------------------------------------------------------------------------------- */

typedef struct reader {
    const char *file;
    int text; /* which is being read, or -1 */
    ksk_error *err;
} reader;

/* Always false. */
static bool expected(const reader *in, const char *key, const char *what)
{
    if (in->text >= 0)
        return ksk_fail(in->err, KSK_BAD_FORMAT, "%s: texts[%d].%s: %s expected", in->file,
                        in->text, key, what);
    return ksk_fail(in->err, KSK_BAD_FORMAT, "%s: %s: %s expected", in->file, key, what);
}

static bool read_string(const reader *in, const json_t *object, const char *key, char **text)
{
    const char *value = json_string_value(json_object_get(object, key));
    if (!value)
        return expected(in, key, "a string");
    *text = ksk_strdup(value);
    return *text || ksk_fail_memory(in->err);
}

static bool read_optional_string(const reader *in, const json_t *object, const char *key,
                                 char **text)
{
    return !json_object_get(object, key) || read_string(in, object, key, text);
}

static bool is_id(const json_t *value)
{
    const json_int_t number = json_integer_value(value);
    return json_is_integer(value) && number >= 0 && number <= INT32_MAX;
}

static bool read_ids(const reader *in, const json_t *object, const char *key, int32_t **ids,
                     int *count)
{
    const json_t *list = json_object_get(object, key);
    const size_t size = json_array_size(list);
    if (!json_is_array(list) || size == 0)
        return expected(in, key, "a list of one id or more");
    *ids = ksk_calloc(size, sizeof **ids);
    if (!*ids)
        return ksk_fail_memory(in->err);
    *count = (int)size;
    for (size_t i = 0; i < size; i++) {
        const json_t *item = json_array_get(list, i);
        if (!is_id(item))
            return expected(in, key, "a list of ids from 0 to 2147483647");
        (*ids)[i] = (int32_t)json_integer_value(item);
    }
    return true;
}

static bool read_probe(const json_t *triple, int steps, ksk_probe *probe)
{
    const json_t *step = json_array_get(triple, 0), *id = json_array_get(triple, 1);
    const json_t *logit = json_array_get(triple, 2);
    if (json_array_size(triple) != 3 || !is_id(step) || json_integer_value(step) >= steps ||
        !is_id(id) || !json_is_number(logit) || !isfinite((float)json_number_value(logit)))
        return false;
    *probe = (ksk_probe){(int)json_integer_value(step), (int32_t)json_integer_value(id),
                         (float)json_number_value(logit)};
    return true;
}

static bool read_probes(const reader *in, const json_t *object, ksk_proof_text *text)
{
    const json_t *list = json_object_get(object, "probes");
    const size_t size = json_array_size(list);
    if (!json_is_array(list))
        return expected(in, "probes", "a list");
    text->probes = ksk_calloc(size, sizeof *text->probes);
    if (!text->probes)
        return ksk_fail_memory(in->err);
    text->probe_count = (int)size;
    for (size_t i = 0; i < size; i++)
        if (!read_probe(json_array_get(list, i), text->target_count, &text->probes[i]))
            return expected(in, "probes", "lists of a step of the target, an id and a logit");
    return true;
}

static bool read_text(const reader *in, const json_t *object, ksk_proof_text *text)
{
    return read_string(in, object, "source", &text->source) &&
           read_ids(in, object, "source_ids", &text->source_ids, &text->source_count) &&
           read_ids(in, object, "target_ids", &text->target_ids, &text->target_count) &&
           read_probes(in, object, text);
}

static bool read_texts(reader *in, const json_t *object, ksk_proof *proof)
{
    const json_t *list = json_object_get(object, "texts");
    const size_t size = json_array_size(list);
    if (!json_is_array(list) || size == 0)
        return expected(in, "texts", "a list of one text or more");
    proof->texts = ksk_calloc(size, sizeof *proof->texts);
    if (!proof->texts)
        return ksk_fail_memory(in->err);
    proof->count = (int)size;
    for (in->text = 0; in->text < proof->count; in->text++)
        if (!read_text(in, json_array_get(list, (size_t)in->text), &proof->texts[in->text]))
            return false;
    in->text = -1;
    return true;
}

static bool read_origin(const reader *in, const json_t *object, ksk_proof *proof)
{
    const json_t *origin = json_object_get(object, "origin");
    if (origin && !json_is_object(origin))
        return expected(in, "origin", "an object");
    return read_optional_string(in, origin, "recipe", &proof->recipe) &&
           read_optional_string(in, origin, "data", &proof->data);
}

static bool read_proof(reader *in, const json_t *object, ksk_proof *proof)
{
    const json_t *format = json_object_get(object, "format");
    if (!json_is_integer(format))
        return expected(in, "format", "an integer");
    if (json_integer_value(format) != proof_format)
        return ksk_fail(in->err, KSK_UNSUPPORTED,
                        "%s: the proof has format %lld, but this library reads format %d", in->file,
                        (long long)json_integer_value(format), proof_format);
    return read_string(in, object, "library", &proof->library) &&
           read_optional_string(in, object, "precision", &proof->precision) &&
           read_texts(in, object, proof) && read_origin(in, object, proof);
}

bool ksk_proof_read(const char *directory, ksk_proof *proof, ksk_error *err)
{
    char *file;
    *proof = (ksk_proof){0};
    json_t *object = ksk_json_read(directory, file_name, &file, err);
    reader in = {file, -1, err};
    const bool well = object && read_proof(&in, object, proof);
    if (!well)
        ksk_proof_clear(proof);
    json_decref(object);
    ksk_free(file);
    return well;
}

/* --- writing --------------------------------------------------------------------------------- */

static bool sound_ids(const int32_t *ids, int count)
{
    bool sound = count > 0;
    for (int i = 0; sound && i < count; i++)
        sound = ids[i] >= 0;
    return sound;
}

static bool is_utf8(const char *text)
{
    return !text || ksk_utf8_valid(text, strlen(text));
}

/* Refuses to write what could not be read again. */
static bool check_text(const ksk_proof_text *text, int number, ksk_error *err)
{
    bool sound = is_utf8(text->source) && sound_ids(text->source_ids, text->source_count) &&
                 sound_ids(text->target_ids, text->target_count);
    for (int i = 0; sound && i < text->probe_count; i++) {
        const ksk_probe *probe = &text->probes[i];
        sound = probe->step >= 0 && probe->step < text->target_count && probe->id >= 0 &&
                isfinite(probe->logit);
    }
    return sound ||
           ksk_fail(err, KSK_BAD_ARGUMENT,
                    "text %d of the proof is not UTF-8, has no ids, or a step, id or logit "
                    "out of range",
                    number);
}

static bool check_proof(const ksk_proof *proof, ksk_error *err)
{
    if (proof->count < 1 || !is_utf8(proof->library) || !is_utf8(proof->precision) ||
        !is_utf8(proof->recipe) || !is_utf8(proof->data))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "the proof has no texts, or its origin is not UTF-8");
    for (int i = 0; i < proof->count; i++)
        if (!check_text(&proof->texts[i], i, err))
            return false;
    return true;
}

static json_t *pack_ids(const int32_t *ids, int count)
{
    json_t *list = json_array();
    for (int i = 0; list && i < count; i++)
        if (json_array_append_new(list, json_integer(ids[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

/* Nine digits give every float back, and look better than a double's seventeen. */
static double short_double(float value)
{
    char text[40];
    snprintf(text, sizeof text, "%.9g", (double)value);
    return strtod(text, NULL);
}

static json_t *pack_probes(const ksk_proof_text *text)
{
    json_t *list = json_array();
    for (int i = 0; list && i < text->probe_count; i++) {
        const ksk_probe *probe = &text->probes[i];
        json_t *triple = json_pack("[i,i,f]", probe->step, probe->id, short_double(probe->logit));
        if (json_array_append_new(list, triple) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *pack_text(const ksk_proof_text *text)
{
    return json_pack("{s:s, s:o, s:o, s:o}", "source", text->source, "source_ids",
                     pack_ids(text->source_ids, text->source_count), "target_ids",
                     pack_ids(text->target_ids, text->target_count), "probes", pack_probes(text));
}

static json_t *pack_proof(const ksk_proof *proof)
{
    json_t *texts = json_array();
    bool well = texts != NULL;
    for (int i = 0; well && i < proof->count; i++)
        well = json_array_append_new(texts, pack_text(&proof->texts[i])) == 0;
    if (!well) {
        json_decref(texts);
        return NULL;
    }
    return json_pack("{s:i, s:s, s:s*, s:o, s:{s:s*, s:s*}}", "format", proof_format, "library",
                     proof->library, "precision", proof->precision, "texts", texts, "origin",
                     "recipe", proof->recipe, "data", proof->data);
}

bool ksk_proof_write(const char *directory, const ksk_proof *proof, ksk_error *err)
{
    if (!check_proof(proof, err))
        return false;
    json_t *object = pack_proof(proof);
    if (!object)
        return ksk_fail_memory(err);
    const bool well = ksk_json_write(directory, file_name, object, err);
    json_decref(object);
    return well;
}

/* --- comparing ------------------------------------------------------------------------------- */

static bool same_ids(const char *what, int text, const int32_t *want, int wanted,
                     const int32_t *got, int count, ksk_error *err)
{
    for (int i = 0; i < wanted && i < count; i++)
        if (want[i] != got[i])
            return ksk_fail(err, KSK_BAD_FORMAT,
                            "text %d: id %d of the %s is %d, but the proof says %d", text, i, what,
                            got[i], want[i]);
    return wanted == count ||
           ksk_fail(err, KSK_BAD_FORMAT, "text %d: the %s has %d ids, but the proof says %d", text,
                    what, count, wanted);
}

bool ksk_proof_check_source(const ksk_proof *proof, int text, const int32_t *ids, int count,
                            ksk_error *err)
{
    const ksk_proof_text *want = &proof->texts[text];
    return same_ids("source", text, want->source_ids, want->source_count, ids, count, err);
}

bool ksk_proof_check_target(const ksk_proof *proof, int text, const int32_t *ids, int count,
                            ksk_error *err)
{
    const ksk_proof_text *want = &proof->texts[text];
    return same_ids("target", text, want->target_ids, want->target_count, ids, count, err);
}

bool ksk_proof_check_logit(const ksk_proof *proof, int text, int probe, float logit,
                           double tolerance, ksk_error *err)
{
    const ksk_probe *want = &proof->texts[text].probes[probe];
    const double off = fabs((double)logit - want->logit);
    return off <= tolerance * fmax(1, fabs((double)want->logit)) ||
           ksk_fail(err, KSK_BAD_FORMAT,
                    "text %d: the logit of id %d at step %d is %.6g, but the proof says %.6g", text,
                    want->id, want->step, (double)logit, (double)want->logit);
}
