#include "small.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "io/checkpoint.h"

static const char fixtures[] = KSK_FIXTURES "/step";

static small declare(bool wide)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_load(fixtures, "config.json", &err);
    assert_non_null(config);
    if (wide) {
        ksk_config_set_int(config, "d_model", 96);
        ksk_config_set_int(config, "encoder_ffn_dim", 400);
    }
    small s = {.type = ksk_model_type_find("marian"),
               .rules = {.source_vocabulary = 31,
                         .vocabulary = 31,
                         .start_id = SMALL_START,
                         .end_id = SMALL_END,
                         .pad_id = 3,
                         .max_source = 24,
                         .max_target = 24}};
    s.module = s.type->declare(config, &err);
    assert_non_null(s.module);
    ksk_config_free(config);
    return s;
}

static ksk_tensor *look_up(void *context, const char *path, ksk_error *err)
{
    return ksk_safetensors_get(context, path, err);
}

small small_recorded(void)
{
    ksk_error err = {0};
    small s = declare(false);
    ksk_safetensors *file = ksk_safetensors_open(fixtures, "model.safetensors", &err);
    assert_non_null(file);
    ksk_module *bound = ksk_module_bind(s.module, look_up, file, &err);
    assert_non_null(bound);
    ksk_safetensors_free(file);
    ksk_module_release(s.module);
    s.module = bound;
    return s;
}

static small draw(bool wide, uint64_t seed)
{
    ksk_error err = {0};
    small s = declare(wide);
    ksk_module *drawn = ksk_module_init(s.module, ksk_key_from_seed(seed), &err);
    assert_non_null(drawn);
    ksk_module_release(s.module);
    s.module = drawn;
    return s;
}

small small_drawn(uint64_t seed)
{
    return draw(false, seed);
}

small small_wide(uint64_t seed)
{
    return draw(true, seed);
}

void small_clear(small *s)
{
    ksk_module_release(s->module);
}

static void connect(small_batch *b, int sentences)
{
    for (int i = 0; i < sentences; i++) {
        b->sources[i] = b->source[i];
        b->targets[i] = b->target[i];
    }
    b->batch = small_part(b, 0, sentences);
}

static int read_ids(const json_t *array, int32_t *ids)
{
    const int count = (int)json_array_size(array);
    assert_in_range(count, 1, 16);
    for (int i = 0; i < count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return count;
}

void small_recorded_batch(small_batch *b)
{
    json_t *pairs = json_load_file(KSK_FIXTURES "/step/pairs.json", 0, NULL);
    const json_t *sources = json_object_get(pairs, "sources");
    const json_t *targets = json_object_get(pairs, "targets");
    const int sentences = (int)json_array_size(sources);
    assert_int_equal(sentences, 3);
    for (int i = 0; i < sentences; i++) {
        b->source_lengths[i] = read_ids(json_array_get(sources, (size_t)i), b->source[i]);
        b->target_lengths[i] = read_ids(json_array_get(targets, (size_t)i), b->target[i]);
    }
    connect(b, sentences);
    json_decref(pairs);
}

void small_copy_batch(small_batch *b, int sentences, int longest, uint64_t seed)
{
    const ksk_key key = ksk_key_from_seed(seed);
    uint64_t draw = 0;
    assert_true(sentences <= 64 && longest < 16);
    for (int i = 0; i < sentences; i++) {
        const int length = 1 + (int)(ksk_random_bits(key, draw++) % (uint32_t)longest);
        for (int j = 0; j < length; j++)
            b->source[i][j] = 3 + (int32_t)(ksk_random_bits(key, draw++) % 28);
        b->source[i][length] = SMALL_END;
        memcpy(b->target[i], b->source[i], sizeof b->target[i]);
        b->source_lengths[i] = b->target_lengths[i] = length + 1;
    }
    connect(b, sentences);
}

ksk_batch small_part(const small_batch *b, int first, int count)
{
    return (ksk_batch){count, b->sources + first, b->source_lengths + first, b->targets + first,
                       b->target_lengths + first};
}
