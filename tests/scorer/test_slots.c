/* Chains of slots under random forks, drops, reorders and beginnings, against hypotheses that copy
 * all they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fault.h"
#include "kaskad/random.h"
#include "scorer/slots.h"

enum { most_rows = 23, most_length = 40, most_slots = 1 << 14 };

/* A hypothesis that holds everything itself: one number for each of its tokens. */
typedef struct copied {
    int32_t numbers[most_length];
    int length;
} copied;

typedef struct model {
    copied rows[most_rows];
    int count;
    int32_t cache[most_slots]; /* the number written to each slot */
    int32_t written;
} model;

static void assert_chains(const ksk_slots *slots, const model *m)
{
    int64_t entries = 0;
    assert_int_equal(slots->rows, m->count);
    for (int i = 0; i < m->count; i++) {
        assert_int_equal(slots->spans[i][1], m->rows[i].length);
        for (int j = 0; j < m->rows[i].length; j++) {
            const int32_t slot = slots->index[slots->spans[i][0] + j];
            assert_int_equal(m->cache[slot], m->rows[i].numbers[j]);
        }
        entries += m->rows[i].length;
    }
    assert_int_equal(slots->entries, entries);
}

static void take_step(ksk_slots *slots, model *m, int rows, const int32_t *parents)
{
    static copied next[most_rows];
    assert_true(ksk_slots_step(slots, rows, parents, NULL));
    for (int i = 0; i < rows; i++) {
        next[i] = parents[i] < 0 ? (copied){.length = 0} : m->rows[parents[i]];
        next[i].numbers[next[i].length++] = ++m->written;
        assert_in_range(slots->slots[i], 0, most_slots - 1);
        m->cache[slots->slots[i]] = m->written;
    }
    memcpy(m->rows, next, sizeof next);
    m->count = rows;
    assert_chains(slots, m);
}

/* Parents of every kind: continued, forked, dropped, reordered, begun. */
static int choose_parents(const model *m, ksk_key key, int32_t *parents)
{
    const int rows = (int)(ksk_random_bits(key, 0) % most_rows) + (m->count ? 0 : 1);
    for (int i = 0; i < rows; i++) {
        const uint32_t bits = ksk_random_bits(key, (uint64_t)i + 1);
        const int parent = m->count ? (int)(bits / 8 % (uint32_t)m->count) : -1;
        const bool begins = m->count == 0 || bits % 8 == 0 || m->rows[parent].length == most_length;
        parents[i] = begins ? -1 - (int32_t)(bits % 5) : parent;
    }
    return rows;
}

static void test_random_steps(void **state)
{
    static model m;
    ksk_slots slots = {0};
    for (uint64_t round = 0; round < 4; round++) {
        ksk_slots_reset(&slots);
        m.count = 0;
        for (uint64_t step = 0; step < 500; step++) {
            int32_t parents[most_rows];
            const ksk_key key = ksk_key_split(ksk_key_from_seed(round), step);
            const int rows = choose_parents(&m, key, parents);
            take_step(&slots, &m, rows, parents);
        }
    }
    ksk_slots_clear(&slots);
}

/* A beam that always follows its first row shares nearly all slots, so few are needed. */
static void test_slots_are_used_again(void **state)
{
    static model m;
    ksk_slots slots = {0};
    const int32_t begin[5] = {-1, -1, -1, -1, -1}, follow[5] = {0};
    m.count = 0;
    for (int again = 0; again < 200; again++) {
        take_step(&slots, &m, 5, begin);
        for (int step = 1; step < most_length; step++)
            take_step(&slots, &m, 5, follow);
    }
    assert_true(slots.total < 300);
    ksk_slots_clear(&slots);
}

static void test_wrong_parent(void **state)
{
    ksk_slots slots = {0};
    ksk_error err = {0};
    assert_true(ksk_slots_step(&slots, 3, (const int32_t[]){-1, -2, -1}, &err));
    assert_false(ksk_slots_step(&slots, 2, (const int32_t[]){2, 3}, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_string_equal(err.message, "row 1 continues row 3 of 3");
    ksk_slots_clear(&slots);
}

static bool grow_and_clear(void *context, ksk_error *err)
{
    ksk_slots slots = {0};
    int32_t parents[70];
    for (int i = 0; i < 70; i++)
        parents[i] = -1;
    bool ok = true;
    for (int step = 0; ok && step < 6; step++) {
        ok = ksk_slots_step(&slots, 60 + step, parents, err);
        for (int i = 0; i < 70; i++)
            parents[i] = i % 50;
    }
    ksk_slots_clear(&slots);
    return ok;
}

static void test_memory(void **state)
{
    assert_true(fault_sweep(grow_and_clear, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_slots_are_used_again),
        cmocka_unit_test(test_wrong_parent),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
