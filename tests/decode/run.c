#include "decode/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void run_sources_fill(run_sources *sources)
{
    for (int i = 0; i < run_most; i++) {
        sources->ids[i][0] = 7 * i + 2;
        sources->ids[i][1] = table_end;
        sources->pointers[i] = sources->ids[i];
        sources->lengths[i] = 2;
        sources->numbers[i] = (uint64_t)i;
    }
}

bool run_decoder(const char *decoder, table t, const ksk_decode_options *options,
                 const run_sources *sources, int from, int count, ksk_nbest *results,
                 ksk_error *err)
{
    table_scorer *const scorer = table_scorer_new(t);
    if (!scorer)
        return ksk_fail_memory(err);
    const bool ok = ksk_decoder_find(decoder)->decode(
        &scorer->base, count, sources->pointers + from, sources->lengths + from, options,
        sources->numbers + from, results, err);
    scorer->base.free(&scorer->base);
    return ok;
}

void assert_same_nbest(const ksk_nbest *a, const ksk_nbest *b)
{
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        const ksk_hypothesis *const x = &a->hypotheses[i], *const y = &b->hypotheses[i];
        assert_int_equal(x->length, y->length);
        assert_memory_equal(x->ids, y->ids, (size_t)x->length * sizeof *x->ids);
        assert_memory_equal(&x->log_prob, &y->log_prob, sizeof x->log_prob);
        assert_memory_equal(&x->score, &y->score, sizeof x->score);
        assert_int_equal(x->finished, y->finished);
    }
}
