#include "scorer/blocks.h"

#include <math.h>

#include "kaskad/memory.h"

void ksk_blocks_read(const ksk_module *module, ksk_sequence_rules *rules)
{
    const double order = ksk_module_number(module, "order");
    if (isnan(order))
        return;
    rules->block = (int)order + 1;
    rules->length_a = ksk_module_number(module, "length_a");
    rules->length_b = ksk_module_number(module, "length_b");
}

int ksk_blocks_offset(ksk_key key, int sentence, int block)
{
    enum { stream = 0x626C6F63 }; /* apart from what else is drawn from the key */
    return (int)(ksk_random_bits(ksk_key_split(key, stream), (uint64_t)sentence) % (uint32_t)block);
}

void ksk_blocks_cut(ksk_ragged *shifted, int sentences, const ksk_sequence_rules *rules,
                    const ksk_key *key)
{
    const int block = rules->block;
    for (int i = 0; i < sentences; i++) {
        const int offset = key ? ksk_blocks_offset(*key, i, block) : 0;
        const int32_t first = shifted->sentence[i][0];
        for (int t = 0; t < shifted->sentence[i][1]; t++) {
            const int start = t < offset ? 0 : t - (t - offset) % block;
            if (t == start)
                shifted->ids[first + t] = t < offset ? rules->end_id : rules->start_id;
            shifted->spans[first + t][0] = first + start;
            shifted->spans[first + t][1] = t - start + 1;
        }
    }
}

/* --- whole targets ------------------------------------------------------------------------------
 */

static int64_t count_rows(int length, int block)
{
    return length <= block ? length : block + (int64_t)(length - block) * block;
}

static bool allocate(ksk_windows *w, int64_t rows, ksk_error *err)
{
    const size_t count = (size_t)rows;
    w->rows.rows = rows;
    w->rows.ids = ksk_malloc(count * sizeof *w->rows.ids);
    w->rows.positions = ksk_malloc(count * sizeof *w->rows.positions);
    w->rows.spans = ksk_malloc(count * sizeof *w->rows.spans);
    w->targets = ksk_malloc(count * sizeof *w->targets);
    w->sentence = ksk_malloc(count * sizeof *w->sentence);
    w->token = ksk_malloc(count * sizeof *w->token);
    return (w->rows.ids && w->rows.positions && w->rows.spans && w->targets && w->sentence &&
            w->token) ||
           ksk_fail_memory(err);
}

/* Rows for the positions start … end of a target behind the first `at` rows; those from `counted`
 * on count, the target's tokens being numbered from `first`. Returns how many rows there are then.
 */
static int32_t add_block(ksk_windows *w, int32_t at, const int32_t *target, int start, int end,
                         int32_t first, int counted, int32_t start_id, int sentence)
{
    for (int t = start; t <= end; t++) {
        const int32_t row = at + t - start;
        w->rows.ids[row] = t == start ? start_id : target[t - 1];
        w->rows.positions[row] = t;
        w->rows.spans[row][0] = at;
        w->rows.spans[row][1] = t - start + 1;
        w->targets[row] = target[t];
        w->sentence[row] = sentence;
        w->token[row] = t < counted ? -1 : first + t;
    }
    return at + end - start + 1;
}

bool ksk_windows_fill(ksk_windows *w, int sentences, const int32_t *const *targets,
                      const int *lengths, const ksk_sequence_rules *rules, ksk_error *err)
{
    const int block = rules->block;
    int64_t rows = 0;
    *w = (ksk_windows){.targets = NULL};
    for (int i = 0; i < sentences; i++)
        rows += count_rows(lengths[i], block);
    if (rows > INT32_MAX)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%lld rows in one batch are too many",
                        (long long)rows);
    if (!allocate(w, rows, err))
        return false;
    int32_t at = 0, first = 0;
    for (int i = 0; i < sentences; first += lengths[i++]) {
        const int opening = lengths[i] < block ? lengths[i] : block;
        at = add_block(w, at, targets[i], 0, opening - 1, first, 0, rules->start_id, i);
        for (int t = opening; t < lengths[i]; t++)
            at = add_block(w, at, targets[i], t - block + 1, t, first, t, rules->start_id, i);
    }
    return true;
}

void ksk_windows_clear(ksk_windows *w)
{
    ksk_ragged_clear(&w->rows);
    ksk_free(w->targets);
    ksk_free(w->sentence);
    ksk_free(w->token);
    *w = (ksk_windows){.targets = NULL};
}
