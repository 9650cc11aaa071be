#include "base/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kaskad/memory.h"

/* One thread's. Entry 0 is idleness, whose time nobody asks for. */
typedef struct sheet {
    struct sheet *next;
    ksk_entry *entries;
    size_t count, room;
    int at;       /* the entry that the time since `since` goes to */
    double since; /* seconds */
} sheet;

struct ksk_ledger {
    uint64_t number; /* tells a thread that its sheet is of an older ledger */
    pthread_mutex_t mutex;
    sheet *sheets;
    atomic_int threads;
    atomic_bool failed; /* memory ran out */
    double opened, closed;
};

_Atomic(ksk_ledger *) ksk_ledger_now;

static _Thread_local struct {
    uint64_t ledger;
    sheet *sheet;
} mine;

/* --- sheets ------------------------------------------------------------------------------------
 */

static int find_entry(ksk_ledger *ledger, sheet *s, const ksk_activity *activity)
{
    for (size_t i = 0; i < s->count; i++)
        if (memcmp(&s->entries[i].activity, activity, sizeof *activity) == 0)
            return (int)i;
    if (!ksk_grow(&s->entries, &s->room, s->count + 1, sizeof *s->entries)) {
        atomic_store(&ledger->failed, true);
        return 0;
    }
    s->entries[s->count] = (ksk_entry){.activity = *activity};
    return (int)s->count++;
}

static void free_sheet(sheet *s)
{
    ksk_free(s->entries);
    ksk_free(s);
}

static sheet *new_sheet(ksk_ledger *ledger)
{
    static const ksk_activity idle;
    sheet *s = ksk_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    find_entry(ledger, s, &idle);
    if (s->count == 0) {
        free_sheet(s);
        return NULL;
    }
    pthread_mutex_lock(&ledger->mutex);
    s->next = ledger->sheets;
    ledger->sheets = s;
    pthread_mutex_unlock(&ledger->mutex);
    return s;
}

/* The thread's sheet of the open ledger; NULL without memory. */
static sheet *sheet_of(ksk_ledger *ledger)
{
    if (mine.ledger != ledger->number) {
        mine.sheet = new_sheet(ledger);
        mine.ledger = ledger->number;
        if (!mine.sheet)
            atomic_store(&ledger->failed, true);
    }
    return mine.sheet;
}

static int switch_to(sheet *s, int entry)
{
    const int before = s->at;
    const double time = ksk_clock_now();
    s->entries[before].seconds += time - s->since;
    s->since = time;
    s->at = entry;
    return before;
}

/* --- what threads say --------------------------------------------------------------------------
 */

int ksk_ledger_turn(const ksk_activity *activity)
{
    ksk_ledger *const ledger = atomic_load(&ksk_ledger_now);
    sheet *const s = sheet_of(ledger);
    return s ? switch_to(s, find_entry(ledger, s, activity)) : 0;
}

int ksk_ledger_turn_to(const char *name)
{
    ksk_activity activity = {.detail = ""};
    strncpy(activity.name, name, sizeof activity.name - 1);
    return ksk_ledger_turn(&activity);
}

void ksk_ledger_return(int before)
{
    sheet *const s = sheet_of(atomic_load(&ksk_ledger_now));
    if (s)
        switch_to(s, before);
}

void ksk_ledger_count(double operations, double bytes)
{
    const sheet *const s = sheet_of(atomic_load(&ksk_ledger_now));
    if (!s)
        return;
    ksk_entry *const entry = &s->entries[s->at];
    entry->calls++;
    entry->operations += operations;
    entry->bytes += bytes;
}

bool ksk_ledger_share(ksk_activity *activity, int threads)
{
    ksk_ledger *const ledger = atomic_load(&ksk_ledger_now);
    const sheet *const s = sheet_of(ledger);
    int known = atomic_load(&ledger->threads);
    while (threads > known && !atomic_compare_exchange_weak(&ledger->threads, &known, threads))
        continue;
    if (!s || s->at == 0)
        return false;
    *activity = s->entries[s->at].activity;
    return true;
}

/* --- the ledger --------------------------------------------------------------------------------
 */

ksk_ledger *ksk_ledger_open(const ksk_activity *activity, ksk_error *err)
{
    static atomic_uint_least64_t numbers;
    ksk_ledger *ledger = ksk_calloc(1, sizeof *ledger);
    ksk_ledger *none = NULL;
    if (!ledger) {
        ksk_fail_memory(err);
        return NULL;
    }
    ledger->number = atomic_fetch_add(&numbers, 1) + 1;
    atomic_store(&ledger->threads, 1);
    pthread_mutex_init(&ledger->mutex, NULL);
    if (!atomic_compare_exchange_strong(&ksk_ledger_now, &none, ledger)) {
        ksk_ledger_free(ledger);
        ksk_fail(err, KSK_BAD_ARGUMENT, "a profile is being taken already; stop it first");
        return NULL;
    }
    ledger->opened = ksk_clock_now();
    ksk_ledger_turn(activity);
    return ledger;
}

/* Nobody writes any more: the others have ended their jobs. */
void ksk_ledger_close(ksk_ledger *ledger)
{
    sheet *const s = sheet_of(ledger);
    if (s)
        switch_to(s, 0);
    atomic_store(&ksk_ledger_now, NULL);
    ledger->closed = ksk_clock_now();
}

void ksk_ledger_free(ksk_ledger *ledger)
{
    if (!ledger)
        return;
    while (ledger->sheets) {
        sheet *const next = ledger->sheets->next;
        free_sheet(ledger->sheets);
        ledger->sheets = next;
    }
    pthread_mutex_destroy(&ledger->mutex);
    ksk_free(ledger);
}

double ksk_ledger_seconds(const ksk_ledger *ledger)
{
    return ledger->closed - ledger->opened;
}

int ksk_ledger_threads(const ksk_ledger *ledger)
{
    return atomic_load(&ledger->threads);
}

/* --- adding up ---------------------------------------------------------------------------------
 */

static void add_entry(ksk_entry *all, int *count, const ksk_entry *entry)
{
    int i = 0;
    while (i < *count && memcmp(&all[i].activity, &entry->activity, sizeof entry->activity) != 0)
        i++;
    if (i == *count)
        all[(*count)++] = (ksk_entry){.activity = entry->activity};
    all[i].calls += entry->calls;
    all[i].seconds += entry->seconds;
    all[i].operations += entry->operations;
    all[i].bytes += entry->bytes;
}

static int by_seconds(const void *a, const void *b)
{
    const ksk_entry *const x = a, *const y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

ksk_entry *ksk_ledger_sum(const ksk_ledger *ledger, int *count, ksk_error *err)
{
    size_t most = 1;
    for (const sheet *s = ledger->sheets; s; s = s->next)
        most += s->count;
    ksk_entry *all = atomic_load(&ledger->failed) ? NULL : ksk_calloc(most, sizeof *all);
    *count = 0;
    if (!all) {
        ksk_fail_memory(err);
        return NULL;
    }
    for (const sheet *s = ledger->sheets; s; s = s->next)
        for (size_t i = 1; i < s->count; i++)
            add_entry(all, count, &s->entries[i]);
    qsort(all, (size_t)*count, sizeof *all, by_seconds);
    return all;
}
