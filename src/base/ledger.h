/* What the threads are busy with, for profiles.
 *
 * While a ledger is open every thread that takes part writes a sheet of its own: it says what it
 * turns to, and the time until it turns to something else is what that took. Threads of a pool do
 * what their caller does. While none is open, which is nearly always, a call costs a load and a
 * branch. */
#ifndef KSK_BASE_LEDGER_H
#define KSK_BASE_LEDGER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "kaskad/error.h"

typedef struct ksk_ledger ksk_ledger;

/* What a thread does; entries are told apart by all of it. Fill what is not used with zeros. */
typedef struct ksk_activity {
    char name[24];    /* "linear" */
    char detail[40];  /* of a product: its kernel */
    int64_t sizes[5]; /* of a product: see graph/profile.h */
} ksk_activity;

/* Seconds are the sum over threads. */
typedef struct ksk_entry {
    ksk_activity activity;
    int64_t calls;
    double seconds, operations, bytes;
} ksk_entry;

/* Opens a ledger; the calling thread begins with `activity`. One can be open at a time. Errors:
 * BAD_ARGUMENT (another is open), OUT_OF_MEMORY. Caller frees it, closed. */
ksk_ledger *ksk_ledger_open(const ksk_activity *activity, ksk_error *err);

/* By the thread that opened it, while no other thread is at work. */
void ksk_ledger_close(ksk_ledger *ledger);
void ksk_ledger_free(ksk_ledger *ledger); /* NULL is fine */

/* The threads' entries added up, most seconds first; `count` of them. Caller frees with ksk_free.
 * NULL when memory runs out, now or while the ledger was open. */
ksk_entry *ksk_ledger_sum(const ksk_ledger *ledger, int *count, ksk_error *err);

double ksk_ledger_seconds(const ksk_ledger *ledger); /* from opening to closing */
int ksk_ledger_threads(const ksk_ledger *ledger);    /* of the largest pool that ran a job */

extern _Atomic(ksk_ledger *) ksk_ledger_now; /* read it through the next function */

static inline bool ksk_ledger_is_open(void)
{
    return atomic_load_explicit(&ksk_ledger_now, memory_order_relaxed) != NULL;
}

/* The thread turns to something; gives a number for what it did before. Only while one is open. */
int ksk_ledger_turn(const ksk_activity *activity);

/* The thread goes back to what it did before. */
void ksk_ledger_return(int before);

/* A call of what the thread is busy with, and how much it does. */
void ksk_ledger_count(double operations, double bytes);

/* Copies what the thread is busy with, for the threads of a pool that will help; notes how many the
 * pool has. False when that is nothing. */
bool ksk_ledger_share(ksk_activity *activity, int threads);

/* The two of them by name, whether one is open or not. */
int ksk_ledger_turn_to(const char *name);
static inline int ksk_turn_to(const char *name)
{
    return ksk_ledger_is_open() ? ksk_ledger_turn_to(name) : 0;
}
static inline void ksk_turn_back(int before)
{
    if (ksk_ledger_is_open())
        ksk_ledger_return(before);
}

#endif
