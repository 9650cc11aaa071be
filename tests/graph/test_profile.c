/* Profiles: what is counted, by however many threads, and that it changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/pool.h"
#include "fault.h"
#include "graph/profile.h"
#include "kaskad/kaskad.h"

enum { rows = 7, inner = 40, columns = 24, runs = 5 };

/* A product and a softmax behind it. */
typedef struct scene {
    ksk_plan *plan;
    ksk_tensor *x;
} scene;

static ksk_tensor *matrix(int64_t m, int64_t n, uint64_t seed)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, 2, (const int64_t[]){m, n}, NULL);
    float *data = ksk_tensor_fill(tensor);
    for (int64_t i = 0; i < m * n; i++)
        data[i] = ksk_random_normal(ksk_key_from_seed(seed), (uint64_t)i);
    return tensor;
}

static scene new_scene(ksk_precision precision)
{
    ksk_graph *graph = ksk_graph_new();
    ksk_tensor *weight = matrix(columns, inner, 1);
    const ksk_compile_options options = {.precision = precision};
    const ksk_sym x =
        ksk_input(graph, "x", KSK_F32, ksk_shape2(ksk_named(graph, "rows"), ksk_fixed(inner)));
    const ksk_sym y = ksk_log_softmax(ksk_linear(x, ksk_constant(graph, weight), ksk_none(graph)));
    ksk_error err = {0};
    const scene s = {ksk_compile(graph, 1, &y, &options, &err), matrix(rows, inner, 2)};
    assert_non_null(s.plan);
    ksk_tensor_release(weight);
    ksk_graph_free(graph);
    return s;
}

static void free_scene(const scene *s)
{
    ksk_plan_free(s->plan);
    ksk_tensor_release(s->x);
}

static ksk_tensor *run(const scene *s, ksk_workspace *workspace)
{
    const ksk_tensor *const inputs[] = {s->x};
    ksk_tensor *y = NULL;
    assert_true(ksk_run(s->plan, workspace, inputs, &y, NULL));
    return y;
}

static void run_many(void *context, int slice)
{
    (void)slice;
    ksk_workspace *workspace = ksk_workspace_new(1, NULL);
    for (int i = 0; i < runs; i++)
        ksk_tensor_release(run(context, workspace));
    ksk_workspace_free(workspace);
}

static const ksk_entry *find(const ksk_entry *entries, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(entries[i].activity.name, name) == 0)
            return &entries[i];
    return NULL;
}

static void counts_calls_and_work(void **state)
{
    const ksk_precision precisions[] = {KSK_PRECISION_F32, KSK_PRECISION_INT8};
    for (int p = 0; p < 2; p++) {
        scene s = new_scene(precisions[p]);
        ksk_error err = {0};
        ksk_profile *profile = ksk_profile_start(&err);
        assert_non_null(profile);
        run_many(&s, 0);
        ksk_profile_stop(profile);
        run_many(&s, 0); /* nobody looks any more */
        int count;
        ksk_entry *entries = ksk_profile_entries(profile, &count, &err);
        const ksk_entry *const product = find(entries, count, "product");
        assert_non_null(product);
        assert_true(ksk_entry_is_product(product));
        assert_int_equal(product->calls, runs);
        assert_true(product->operations == 2.0 * runs * rows * inner * columns);
        assert_true(product->bytes >= (p ? 1.0 : 4.0) * runs * inner * columns);
        assert_true(product->seconds > 0);
        assert_int_equal(product->activity.sizes[PRODUCT_COLUMNS], columns);
        assert_int_equal(product->activity.sizes[PRODUCT_INNER], inner);
        assert_int_equal(product->activity.sizes[PRODUCT_ROWS], 8);
        assert_int_equal(product->activity.sizes[PRODUCT_PRECISION], precisions[p]);
        assert_true(runs * (double)product->activity.sizes[PRODUCT_PLAN_BYTES] == product->bytes);
        assert_int_equal(find(entries, count, "log_softmax")->calls, runs);
        assert_non_null(find(entries, count, "other"));
        ksk_free(entries);
        ksk_profile_free(profile);
        free_scene(&s);
    }
}

static void adds_up_threads(void **state)
{
    scene s = new_scene(KSK_PRECISION_F32);
    ksk_error err = {0};
    enum { threads = 3, slices = 8 };
    ksk_pool *pool = ksk_pool_new(threads, &err);
    for (int again = 0; again < 2; again++) { /* the threads know an older ledger by then */
        ksk_profile *profile = ksk_profile_start(&err);
        const int before = ksk_turn_to("search");
        ksk_pool_run(pool, slices, run_many, &s);
        ksk_turn_back(before);
        ksk_profile_stop(profile);
        int count;
        ksk_entry *entries = ksk_profile_entries(profile, &count, &err);
        assert_int_equal(find(entries, count, "product")->calls, slices * runs);
        assert_true(find(entries, count, "search")->seconds > 0);
        assert_non_null(find(entries, count, "waiting"));
        for (int i = 0; i < count; i++) {
            assert_true(entries[i].seconds >= 0 && entries[i].seconds < 600);
            assert_true(i == 0 || entries[i].seconds <= entries[i - 1].seconds);
        }
        char *table = ksk_profile_print(profile, &err);
        assert_non_null(strstr(table, "24 x 40"));
        assert_non_null(strstr(table, "with 3 threads"));
        ksk_free(table);
        ksk_free(entries);
        ksk_profile_free(profile);
    }
    ksk_pool_free(pool);
    free_scene(&s);
}

static void changes_no_bit(void **state)
{
    const scene s = new_scene(KSK_PRECISION_BF16);
    ksk_workspace *workspace = ksk_workspace_new(2, NULL);
    ksk_tensor *plain = run(&s, workspace);
    ksk_profile *profile = ksk_profile_start(NULL);
    ksk_tensor *profiled = run(&s, workspace);
    ksk_profile_free(profile); /* stops it */
    assert_true(ksk_tensor_equal(plain, profiled));
    ksk_tensor_release(plain);
    ksk_tensor_release(profiled);
    ksk_workspace_free(workspace);
    free_scene(&s);
}

static void takes_one_at_a_time(void **state)
{
    ksk_error err = {0};
    ksk_profile *profile = ksk_profile_start(&err);
    assert_non_null(profile);
    assert_null(ksk_profile_start(&err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    ksk_profile_free(profile);
    assert_non_null(profile = ksk_profile_start(&err));
    ksk_profile_free(profile);
}

static bool profile_scene(void *context, ksk_error *err)
{
    const scene *s = context;
    const ksk_tensor *const inputs[] = {s->x};
    ksk_tensor *y = NULL;
    ksk_profile *profile = ksk_profile_start(err);
    ksk_workspace *workspace = profile ? ksk_workspace_new(1, err) : NULL;
    bool ok = workspace && ksk_run(s->plan, workspace, inputs, &y, err);
    if (profile)
        ksk_profile_stop(profile);
    char *table = ok ? ksk_profile_print(profile, err) : NULL;
    ok = table != NULL;
    ksk_free(table);
    ksk_tensor_release(y);
    ksk_workspace_free(workspace);
    ksk_profile_free(profile);
    return ok;
}

static void survives_every_failed_allocation(void **state)
{
    scene s = new_scene(KSK_PRECISION_INT8);
    assert_true(fault_sweep(profile_scene, &s) > 10);
    free_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_calls_and_work),
        cmocka_unit_test(adds_up_threads),
        cmocka_unit_test(changes_no_bit),
        cmocka_unit_test(takes_one_at_a_time),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
