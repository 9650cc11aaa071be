/* What running a plan tells an open profile, and what benchmarks read from one. */
#ifndef KSK_GRAPH_PROFILE_H
#define KSK_GRAPH_PROFILE_H

#include "base/ledger.h"
#include "kaskad/graph.h"
#include "kaskad/profile.h"

/* The thread turns to an operation of a plan with so many bytes of packed weights, the sizes of its
 * operands being known. Only while a ledger is open. */
void ksk_profile_operation(const ksk_op *op, const ksk_call *call, size_t weight_bytes);

/* The entries of a stopped profile, as ksk_ledger_sum. A product's activity has a detail. */
ksk_entry *ksk_profile_entries(const ksk_profile *profile, int *count, ksk_error *err);

/* The sizes of a product's activity: [columns, inner] of its weights; its rows, rounded up to a
 * power of two; its ksk_precision; bytes of all packed weights of its plan, which pass through the
 * caches between two readings of its own. */
enum { PRODUCT_COLUMNS, PRODUCT_INNER, PRODUCT_ROWS, PRODUCT_PRECISION, PRODUCT_PLAN_BYTES };

static inline bool ksk_entry_is_product(const ksk_entry *entry)
{
    return entry->activity.detail[0] != '\0';
}

#endif
