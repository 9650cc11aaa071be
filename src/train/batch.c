#include "train/batch.h"

#include <string.h>

#include "kaskad/memory.h"
#include "scorer/blocks.h"
#include "train/losses.h"

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

/* What passes over the batch share. */
typedef struct passes {
    const ksk_model_type *type;
    const ksk_module *module;
    ksk_sym source, source_positions;
    ksk_pattern full;
    ksk_decoder_input decoder;
    ksk_noise noise; /* counts on from pass to pass */
} passes;

static ksk_sym trace_logits(ksk_loss_input *input)
{
    passes *const p = input->context;
    const ksk_seq2seq *const parts = p->type->seq2seq;
    ksk_decoder_input decoder = p->decoder;
    decoder.noise = p->noise.rate > 0 ? &p->noise : NULL;
    decoder.memory =
        parts->encode(p->module, p->source, p->source_positions, &p->full, decoder.noise);
    return parts->project(p->module, parts->decode(p->module, &decoder));
}

static ksk_sym trace_loss(const ksk_loss *loss, ksk_loss_input *input, ksk_graph *graph)
{
    const ksk_sym sum = loss->trace(input);
    const ksk_shape shape = ksk_sym_shape(sum);
    if (ksk_graph_error(graph) ||
        (ksk_sym_dtype(sum) == KSK_F32 && shape.rank == 1 && shape.size[0].fixed == 1))
        return sum;
    return ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "loss '%s' is not a single f32 number",
                          loss->name);
}

ksk_sym ksk_batch_trace(ksk_graph *graph, const ksk_model_type *type, const ksk_module *module,
                        float dropout, const ksk_objective *objective)
{
    const ksk_sym none = ksk_none(graph);
    passes p = {.type = type, .module = module};
    p.source = ids_input(graph, "source ids", "source rows");
    p.source_positions = ids_input(graph, "source positions", "source rows");
    p.full = (ksk_pattern){spans_input(graph, "source spans", "source rows"), none, none};
    p.decoder = (ksk_decoder_input){.ids = ids_input(graph, "ids", "rows"),
                                    .positions = ids_input(graph, "positions", "rows")};
    p.decoder.self = (ksk_pattern){spans_input(graph, "spans", "rows"), none, none};
    p.decoder.cross =
        (ksk_pattern){spans_input(graph, "target's source spans", "rows"), none, none};
    ksk_loss_input input = {.logits = trace_logits,
                            .context = &p,
                            .targets = ids_input(graph, "targets", "rows"),
                            .ids = p.decoder.ids,
                            .spans = p.decoder.self.spans,
                            .smoothing = objective->label_smoothing,
                            .argument = objective->argument ? objective->argument : ""};
    p.noise = (ksk_noise){.key = ksk_input(graph, "key", KSK_I32, ksk_shape1(ksk_fixed(2))),
                          .rate = dropout};
    return trace_loss(objective->loss ? objective->loss : &ksk_loss_cross_entropy, &input, graph);
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
