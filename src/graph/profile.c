#include "graph/profile.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "graph/ops/ops.h"
#include "kaskad/memory.h"
#include "tensor/limits.h"
#include "tensor/product.h"

struct ksk_profile {
    ksk_ledger *ledger;
    bool stopped;
};

ksk_profile *ksk_profile_start(ksk_error *err)
{
    ksk_profile *profile = ksk_calloc(1, sizeof *profile);
    if (!profile) {
        ksk_fail_memory(err);
        return NULL;
    }
    profile->ledger = ksk_ledger_open(&(const ksk_activity){.name = "other"}, err);
    if (profile->ledger)
        return profile;
    ksk_free(profile);
    return NULL;
}

void ksk_profile_stop(ksk_profile *profile)
{
    if (profile->stopped)
        return;
    ksk_ledger_close(profile->ledger);
    profile->stopped = true;
}

void ksk_profile_free(ksk_profile *profile)
{
    if (!profile)
        return;
    ksk_profile_stop(profile);
    ksk_ledger_free(profile->ledger);
    ksk_free(profile);
}

/* --- what a plan tells --------------------------------------------------------------------------
 */

/* Products of few rows wait for their weights, those of many for the arithmetic: they are told
 * apart by the next power of two. */
static int64_t class_of(int64_t rows)
{
    int64_t class = 1;
    while (class < rows)
        class *= 2;
    return class;
}

static void turn_to_product(const char *kernel, const int64_t *sizes, double bytes)
{
    ksk_activity activity = {.name = "product"};
    memcpy(activity.sizes, sizes, sizeof activity.sizes);
    activity.sizes[PRODUCT_ROWS] = class_of(sizes[PRODUCT_ROWS]);
    strncpy(activity.detail, kernel, sizeof activity.detail - 1);
    ksk_ledger_turn(&activity);
    ksk_ledger_count(2.0 * (double)sizes[PRODUCT_ROWS] * (double)sizes[PRODUCT_COLUMNS] *
                         (double)sizes[PRODUCT_INNER],
                     bytes);
}

void ksk_profile_operation(const ksk_op *op, const ksk_call *call, size_t weight_bytes)
{
    const ksk_operand *const x = &call->inputs[0], *const y = &call->outputs[0];
    int64_t sizes[] = {[PRODUCT_COLUMNS] = y->columns,
                       [PRODUCT_INNER] = y->rows > 0 ? x->rows * x->columns / y->rows : 0,
                       [PRODUCT_ROWS] = y->rows,
                       [PRODUCT_PRECISION] = KSK_PRECISION_F32,
                       [PRODUCT_PLAN_BYTES] = (int64_t)weight_bytes};
    if (op == &ksk_op_linear && call->prepared) {
        const ksk_packed *const packed = call->prepared;
        sizes[PRODUCT_PRECISION] = ksk_packed_precision(packed);
        turn_to_product(ksk_packed_kernel(packed), sizes, (double)ksk_packed_bytes(packed));
    } else if (op == &ksk_op_linear || op == &ksk_op_matmul) {
        const double bytes =
            (double)(sizes[PRODUCT_COLUMNS] * sizes[PRODUCT_INNER]) * sizeof(float);
        sizes[PRODUCT_PLAN_BYTES] += (int64_t)bytes;
        turn_to_product("plain", sizes, bytes);
    } else {
        ksk_ledger_turn_to(op->name);
        ksk_ledger_count(0, 0);
    }
}

/* --- tables ------------------------------------------------------------------------------------
 */

ksk_entry *ksk_profile_entries(const ksk_profile *profile, int *count, ksk_error *err)
{
    return ksk_ledger_sum(profile->ledger, count, err);
}

/* What the products are held against, a second and thread, with as many threads as there were;
 * measured when first asked for. */
typedef struct limits {
    ksk_pool *pool;
    int threads;
    double operations[3]; /* by precision */
    bool failed;          /* no memory to measure with */
    int known;
    struct {
        size_t bytes;
        double bandwidth;
    } reading[8];
} limits;

static double rate_limit(limits *l, int64_t precision)
{
    double *const rate = &l->operations[precision];
    if (*rate == 0)
        *rate = ksk_limit_operations(ksk_kernels_best(), (ksk_precision)precision, l->pool) /
                l->threads;
    l->failed |= *rate == 0;
    return *rate;
}

static double reading_limit(limits *l, size_t bytes)
{
    for (int i = 0; i < l->known; i++)
        if (l->reading[i].bytes == bytes)
            return l->reading[i].bandwidth;
    const double bandwidth = ksk_limit_bytes(bytes, l->pool) / l->threads;
    l->failed |= bandwidth == 0;
    if (l->known < (int)(sizeof l->reading / sizeof *l->reading)) {
        l->reading[l->known].bytes = bytes;
        l->reading[l->known++].bandwidth = bandwidth;
    }
    return bandwidth;
}

/* Entries of one name as one. */
static int merge_names(ksk_entry *entries, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        int j = 0;
        while (j < kept && strcmp(entries[j].activity.name, entries[i].activity.name) != 0)
            j++;
        if (j == kept) {
            entries[kept++] = entries[i];
            continue;
        }
        entries[j].calls += entries[i].calls;
        entries[j].seconds += entries[i].seconds;
    }
    return kept;
}

static void print_kinds(ksk_string *text, ksk_entry *entries, int count, double seconds)
{
    const int kinds = merge_names(entries, count);
    ksk_string_add(text, "%-16s %12s %10s %7s %10s\n", "kind", "calls", "seconds", "share",
                   "us/call");
    for (int i = 0; i < kinds; i++) {
        const ksk_entry *const e = &entries[i];
        ksk_string_add(text, "%-16s %12lld %10.3f %6.1f%%", e->activity.name, (long long)e->calls,
                       e->seconds, 100 * e->seconds / seconds);
        if (e->calls)
            ksk_string_add(text, " %10.1f\n", 1e6 * e->seconds / (double)e->calls);
        else
            ksk_string_add(text, " %10s\n", "-");
    }
}

/* Which of the two limits a product meets first, and how near it comes. */
static void print_product(ksk_string *text, const ksk_entry *e, limits *l, double seconds)
{
    const int64_t *const sizes = e->activity.sizes;
    const double computing = e->operations / rate_limit(l, sizes[PRODUCT_PRECISION]);
    const double reading = e->bytes / reading_limit(l, (size_t)sizes[PRODUCT_PLAN_BYTES]);
    const bool reads = reading > computing;
    const double most = reads ? reading : computing;
    char shape[40];
    snprintf(shape, sizeof shape, "%lld x %lld", (long long)sizes[PRODUCT_COLUMNS],
             (long long)sizes[PRODUCT_INNER]);
    ksk_string_add(text, "%-14s %6lld %10lld %9.3f %6.1f%% %9.1f %8.1f  %-7s %4.0f%%  %s\n", shape,
                   (long long)sizes[PRODUCT_ROWS], (long long)e->calls, e->seconds,
                   100 * e->seconds / seconds, 1e-9 * e->operations / e->seconds,
                   1e-9 * e->bytes / e->seconds, reads ? "reading" : "rate",
                   100 * most / e->seconds, e->activity.detail);
}

static void print_products(ksk_string *text, const ksk_entry *entries, int count, limits *l,
                           double seconds)
{
    enum { most_shown = 16 };
    int shown = 0;
    for (int i = 0; i < count && shown < most_shown; i++) {
        if (!ksk_entry_is_product(&entries[i]) || entries[i].seconds <= 0)
            continue;
        if (shown++ == 0)
            ksk_string_add(text, "\n%-14s %6s %10s %9s %7s %9s %8s  %-7s %5s  %s\n", "product",
                           "rows <=", "calls", "seconds", "share", "GFLOP/s", "GB/s", "limit",
                           "of it", "kernel");
        print_product(text, &entries[i], l, seconds);
    }
    if (shown)
        ksk_string_add(text,
                       "Rates are a thread's. \"limit\" is what bounds it here, measured "
                       "with %d thread%s: reading its weights,\nor the rate of "
                       "multiplications; \"of it\" is the share reached.\n",
                       l->threads, l->threads == 1 ? "" : "s");
}

static double sum_seconds(const ksk_entry *entries, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += entries[i].seconds;
    return sum > 0 ? sum : 1e-9;
}

static char *print_tables(const ksk_profile *profile, const ksk_entry *entries, ksk_entry *kinds,
                          int count, limits *l)
{
    const double seconds = sum_seconds(entries, count);
    ksk_string text = {0};
    memcpy(kinds, entries, (size_t)count * sizeof *kinds);
    ksk_string_add(&text, "%.3f s in all, %.3f s of threads\n\n",
                   ksk_ledger_seconds(profile->ledger), seconds);
    print_kinds(&text, kinds, count, seconds);
    print_products(&text, entries, count, l, seconds);
    char *const table = ksk_string_take(&text);
    if (!l->failed)
        return table;
    ksk_free(table);
    return NULL;
}

char *ksk_profile_print(const ksk_profile *profile, ksk_error *err)
{
    int count;
    ksk_entry *entries = ksk_profile_entries(profile, &count, err);
    if (!entries)
        return NULL;
    ksk_entry *kinds = ksk_malloc((size_t)(count + 1) * sizeof *kinds);
    limits l = {.threads = ksk_ledger_threads(profile->ledger)};
    char *table = NULL;
    l.pool = ksk_pool_new(l.threads, err);
    if (l.pool && kinds)
        table = print_tables(profile, entries, kinds, count, &l);
    if (l.pool && !table)
        ksk_fail_memory(err);
    ksk_pool_free(l.pool);
    ksk_free(kinds);
    ksk_free(entries);
    return table;
}
