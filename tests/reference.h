/* Reading what reference implementations computed: JSON under tests/fixtures (README.md there says
 * what the keys mean). Whatever is missing fails the test. */
#ifndef KSK_TESTS_REFERENCE_H
#define KSK_TESTS_REFERENCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

enum { reference_most_ids = 256 };

typedef struct id_list {
    int32_t at[reference_most_ids];
    int count;
} id_list;

static inline json_t *reference_load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static inline json_t *reference_get(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value)
        fail_msg("the fixture has no \"%s\"", key);
    return value;
}

/* The strings of an array, at most `most`; at least one. */
static inline int reference_strings(const json_t *array, int most, const char **out)
{
    const int count = (int)json_array_size(array);
    assert_in_range(count, 1, most);
    for (int i = 0; i < count; i++)
        out[i] = json_string_value(json_array_get(array, (size_t)i));
    return count;
}

static inline int reference_int(const json_t *object, const char *key)
{
    return (int)json_integer_value(reference_get(object, key));
}

static inline double reference_number(const json_t *object, const char *key)
{
    return json_number_value(reference_get(object, key));
}

static inline const char *reference_text(const json_t *object, const char *key)
{
    return json_string_value(reference_get(object, key));
}

static inline id_list reference_ids(const json_t *array)
{
    id_list ids = {.count = (int)json_array_size(array)};
    assert_true(json_is_array(array) && ids.count <= reference_most_ids);
    for (int i = 0; i < ids.count; i++)
        ids.at[i] = (int32_t)json_integer_value(json_array_get(array, (size_t)i));
    return ids;
}

static inline void assert_same_ids(const int32_t *ids, int count, const id_list *expected)
{
    assert_int_equal(count, expected->count);
    assert_memory_equal(ids, expected->at, (size_t)count * sizeof *ids);
}

#endif
