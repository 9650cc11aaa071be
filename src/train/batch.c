#include "train/batch.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/blocks.h"

/* --- tracing ------------------------------------------------------------------------------------
 */

static ksk_sym ids_input(ksk_graph *graph, const char *name, const char *rows)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape1(ksk_named(graph, rows)));
}

static ksk_sym spans_input(ksk_graph *graph, const char *name, const char *rows)
{
    return ksk_input(graph, name, KSK_I32, ksk_shape2(ksk_named(graph, rows), ksk_fixed(2)));
}

ksk_sym ksk_batch_trace(ksk_graph *graph, const ksk_model_type *type, const ksk_module *module,
                        float dropout, float label_smoothing)
{
    const ksk_sym none = ksk_none(graph);
    const ksk_sym source = ids_input(graph, "source ids", "source rows");
    const ksk_sym source_positions = ids_input(graph, "source positions", "source rows");
    const ksk_pattern full = {spans_input(graph, "source spans", "source rows"), none, none};
    ksk_decoder_input input = {.ids = ids_input(graph, "ids", "rows"),
                               .positions = ids_input(graph, "positions", "rows")};
    input.self = (ksk_pattern){spans_input(graph, "spans", "rows"), none, none};
    input.cross = (ksk_pattern){spans_input(graph, "target's source spans", "rows"), none, none};
    const ksk_sym targets = ids_input(graph, "targets", "rows");
    ksk_noise noise = {.key = ksk_input(graph, "key", KSK_I32, ksk_shape1(ksk_fixed(2))),
                       .rate = dropout};
    input.noise = dropout > 0 ? &noise : NULL;
    input.memory = type->seq2seq->encode(module, source, source_positions, &full, input.noise);
    const ksk_sym logits = type->seq2seq->project(module, type->seq2seq->decode(module, &input));
    return ksk_sum(ksk_cross_entropy(logits, targets, label_smoothing));
}

/* --- packing ------------------------------------------------------------------------------------
 */

static ksk_tensor vector(const int32_t *data, int64_t count)
{
    return ksk_tensor_borrow(KSK_I32, 1, &count, data);
}

static ksk_tensor spans(int32_t (*data)[2], int64_t rows)
{
    return ksk_tensor_borrow(KSK_I32, 2, (const int64_t[]){rows, 2}, data);
}

/* Which rows of the sources each row of the targets attends. */
static bool cross_spans(ksk_packed_batch *packed, const ksk_batch *batch, ksk_error *err)
{
    packed->cross = ksk_malloc((size_t)packed->shifted.rows * sizeof *packed->cross);
    if (!packed->cross)
        return ksk_fail_memory(err);
    for (int i = 0; i < batch->sentences; i++)
        for (int j = 0; j < batch->target_lengths[i]; j++)
            memcpy(packed->cross[packed->shifted.sentence[i][0] + j], packed->source.sentence[i],
                   sizeof *packed->cross);
    return true;
}

static void wrap(ksk_packed_batch *packed)
{
    const ksk_ragged *source = &packed->source, *shifted = &packed->shifted;
    ksk_tensor *next = packed->tensors;
    *next++ = vector(source->ids, source->rows);
    *next++ = vector(source->positions, source->rows);
    *next++ = spans(source->spans, source->rows);
    *next++ = vector(shifted->ids, shifted->rows);
    *next++ = vector(shifted->positions, shifted->rows);
    *next++ = spans(shifted->spans, shifted->rows);
    *next++ = spans(packed->cross, shifted->rows);
    *next++ = vector(packed->target.ids, packed->target.rows);
    *next = vector(packed->key, 2);
}

bool ksk_batch_pack(ksk_packed_batch *packed, const ksk_batch *batch,
                    const ksk_sequence_rules *rules, const ksk_key *key, ksk_error *err)
{
    const int sentences = batch->sentences;
    memset(packed, 0, sizeof *packed);
    packed->key[0] = key ? (int32_t)(uint32_t)key->word : 0;
    packed->key[1] = key ? (int32_t)(uint32_t)(key->word >> 32) : 0;
    if (sentences < 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a batch of %d sentences", sentences);
    const bool ok =
        ksk_ragged_fill(&packed->source, sentences, batch->sources, batch->source_lengths, -1,
                        false, rules->source_vocabulary, rules->max_source, "source", err) &&
        ksk_ragged_fill(&packed->target, sentences, batch->targets, batch->target_lengths, -1, true,
                        rules->vocabulary, rules->max_target, "target", err) &&
        ksk_ragged_fill(&packed->shifted, sentences, batch->targets, batch->target_lengths,
                        rules->start_id, true, rules->vocabulary, rules->max_target, "target",
                        err) &&
        cross_spans(packed, batch, err);
    if (ok && rules->block)
        ksk_blocks_cut(&packed->shifted, sentences, rules, key);
    if (ok)
        wrap(packed);
    return ok;
}

void ksk_batch_clear(ksk_packed_batch *packed)
{
    ksk_ragged_clear(&packed->source);
    ksk_ragged_clear(&packed->target);
    ksk_ragged_clear(&packed->shifted);
    ksk_free(packed->cross);
}
