/* Constraints on the next token, in the order in which transformers applies them.
 *
 * Repetition penalty: Keskar et al. 2019, "CTRL: A Conditional Transformer Language Model for
 * Controllable Generation". No repeated n-grams: Paulus et al. 2018, "A Deep Reinforced Model for
 * Abstractive Summarization". */
#include <math.h>
#include <string.h>

#include "base/ledger.h"
#include "decode/common.h"
#include "kaskad/memory.h"
#include "tensor/kernels.h"

/* Tokens already there become less likely, each once however often it occurs. */
static void penalize_repetition(const void *settings, ksk_scores *s)
{
    const ksk_chain *const chain = settings;
    const float penalty = chain->options->repetition_penalty;
    for (int i = 0; i < s->length; i++) {
        const int32_t id = s->ids[i];
        if (chain->seen[id])
            continue;
        chain->seen[id] = 1;
        s->values[id] = s->values[id] < 0 ? s->values[id] * penalty : s->values[id] / penalty;
    }
    for (int i = 0; i < s->length; i++)
        chain->seen[s->ids[i]] = 0;
}

/* Bans what followed the last n − 1 tokens wherever they stood before. */
static void ban_repeated_ngrams(const void *settings, ksk_scores *s)
{
    const int context = ((const ksk_chain *)settings)->options->no_repeat_ngram - 1;
    if (s->length < context)
        return;
    const int32_t *const tail = s->ids + s->length - context;
    for (int i = 0; i + context < s->length; i++)
        if (memcmp(s->ids + i, tail, (size_t)context * sizeof *tail) == 0)
            s->values[s->ids[i + context]] = -INFINITY;
}

static void ban_tokens(const void *settings, ksk_scores *s)
{
    const ksk_chain *const chain = settings;
    for (int i = 0; i < chain->options->banned_count; i++)
        if (chain->options->banned[i] != chain->end_id)
            s->values[chain->options->banned[i]] = -INFINITY;
}

static void delay_end(const void *settings, ksk_scores *s)
{
    const ksk_chain *const chain = settings;
    if (s->length < chain->options->min_length && chain->end_id >= 0)
        s->values[chain->end_id] = -INFINITY;
}

/* Leaves `id` as the only choice; it costs nothing. */
static void force(ksk_scores *s, int id)
{
    for (int i = 0; i < s->vocabulary; i++)
        s->values[i] = -INFINITY;
    s->values[id] = 0;
}

static void force_first(const void *settings, ksk_scores *s)
{
    if (s->length == 1)
        force(s, ((const ksk_chain *)settings)->options->forced_first);
}

static void force_last(const void *settings, ksk_scores *s)
{
    if (s->length == s->max_length - 1)
        force(s, ((const ksk_chain *)settings)->options->forced_last);
}

static void renormalize(const void *settings, ksk_scores *s)
{
    (void)settings;
    ksk_log_softmax_row(s->values, s->vocabulary);
}

void ksk_log_softmax_row(float *values, int n)
{
    int first = 0;
    while (first < n && !(values[first] > -INFINITY))
        first++;
    if (first == n)
        return;
    const int before = ksk_turn_to("log-softmax");
    ksk_kernels_best()->log_softmax(1, n, values, n, values, n);
    ksk_turn_back(before);
}

static void add(ksk_chain *chain, bool wanted, ksk_processor processor)
{
    if (wanted)
        chain->steps[chain->count++] = processor;
}

/* Takes the memory; false, with what there is still to be freed, when there is none. */
static bool chain_init(ksk_chain *chain, const ksk_l2r *scorer, const ksk_decode_options *options,
                       size_t most)
{
    *chain = (ksk_chain){.options = options, .end_id = scorer->end_id};
    chain->seen = ksk_calloc((size_t)scorer->vocabulary, 1);
    chain->steps = ksk_calloc(most, sizeof *chain->steps);
    return chain->seen && chain->steps;
}

ksk_chain *ksk_chain_new(const ksk_l2r *scorer, const ksk_decode_options *options,
                         const ksk_processor *last, int last_count, ksk_error *err)
{
    enum { built_in = 7 };
    const ksk_decode_options *const o = options;
    ksk_chain *chain = ksk_calloc(1, sizeof *chain);
    if (!chain ||
        !chain_init(chain, scorer, o, built_in + (size_t)o->processor_count + (size_t)last_count)) {
        ksk_chain_free(chain);
        ksk_fail_memory(err);
        return NULL;
    }
    add(chain, o->repetition_penalty != 1,
        (ksk_processor){"repetition_penalty", penalize_repetition, chain});
    add(chain, o->no_repeat_ngram > 0,
        (ksk_processor){"no_repeat_ngram", ban_repeated_ngrams, chain});
    add(chain, o->banned_count > 0, (ksk_processor){"banned", ban_tokens, chain});
    add(chain, o->min_length > 0, (ksk_processor){"min_length", delay_end, chain});
    add(chain, o->forced_first >= 0, (ksk_processor){"forced_first", force_first, chain});
    add(chain, o->forced_last >= 0, (ksk_processor){"forced_last", force_last, chain});
    for (int i = 0; i < o->processor_count; i++)
        add(chain, true, o->processors[i]);
    for (int i = 0; i < last_count; i++)
        add(chain, true, last[i]);
    add(chain, o->renormalize, (ksk_processor){"renormalize", renormalize, NULL});
    const int forbidding = (o->no_repeat_ngram > 0) + (o->banned_count > 0) + (o->min_length > 0);
    chain->only_forbids = chain->count == forbidding;
    return chain;
}

void ksk_chain_free(ksk_chain *chain)
{
    if (!chain)
        return;
    ksk_free(chain->seen);
    ksk_free(chain->steps);
    ksk_free(chain);
}
