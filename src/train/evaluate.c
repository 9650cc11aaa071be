#include "train/evaluate.h"

#include <stdlib.h>

#include "data/batches.h"
#include "kaskad/kaskad.h"
#include "scorer/scorer.h"

enum { SCORED_TOKENS = 2048, SENTENCES = 64 };

/* --- loss ---------------------------------------------------------------------------------------
 */

static bool score_batch(const ksk_evaluator *e, const ksk_seq2seq_plans *plans,
                        ksk_workspace *workspace, const ksk_batch_view *batch, double *sum,
                        ksk_error *err)
{
    size_t rows = 0;
    for (int i = 0; i < batch->sentences; i++)
        rows += (size_t)batch->target_lengths[i];
    float *log_probs = ksk_malloc(rows * sizeof *log_probs);
    if (!log_probs)
        return ksk_fail_memory(err);
    const bool ok = ksk_seq2seq_score(plans, e->rules, workspace, batch->sentences, batch->sources,
                                      batch->source_lengths, batch->targets, batch->target_lengths,
                                      log_probs, err);
    for (size_t i = 0; ok && i < rows; i++)
        *sum -= (double)log_probs[i];
    ksk_free(log_probs);
    return ok;
}

static bool find_loss(const ksk_evaluator *e, const ksk_module *module, double *loss,
                      ksk_error *err)
{
    ksk_seq2seq_plans *plans =
        ksk_seq2seq_plans_new(e->type, module, KSK_TO_SCORE, &(ksk_compile_options){0}, err);
    ksk_workspace *workspace = plans ? ksk_workspace_new(e->threads, err) : NULL;
    ksk_batches batches = {0};
    ksk_batch_view view = {0};
    double sum = 0;
    bool ok =
        workspace && ksk_batches_plan(e->pairs, SCORED_TOKENS, ksk_key_from_seed(0), &batches, err);
    for (size_t i = 0; ok && i < batches.count; i++)
        ok = ksk_batches_get(&batches, e->pairs, i, &view, err) &&
             score_batch(e, plans, workspace, &view, &sum, err);
    *loss = sum / (double)e->pairs->target_tokens;
    ksk_batch_view_clear(&view);
    ksk_batches_clear(&batches);
    ksk_workspace_free(workspace);
    ksk_seq2seq_plans_free(plans);
    return ok;
}

/* --- translations -------------------------------------------------------------------------------
 */

typedef struct place {
    int length;
    size_t pair;
} place;

static int by_length(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return (x->pair > y->pair) - (x->pair < y->pair);
}

/* Pairs by the lengths of their sources; NULL when memory runs out. */
static place *order_sources(const ksk_pairs *pairs)
{
    place *order = ksk_calloc(pairs->count, sizeof *order);
    for (size_t i = 0; order && i < pairs->count; i++)
        order[i] = (place){pairs->pairs[i].source_length, i};
    if (order)
        qsort(order, pairs->count, sizeof *order, by_length);
    return order;
}

static ksk_decode_options search_options(const ksk_evaluator *e, int longest)
{
    ksk_decode_options options = ksk_decode_defaults();
    options.beams = e->beams;
    options.max_length = 2 * longest + 10;
    if (options.max_length > e->rules->max_target)
        options.max_length = e->rules->max_target;
    options.banned = &e->rules->pad_id;
    options.banned_count = 1;
    return options;
}

/* A Markov Transformer translates by the cascade, other models from left to right. */
static const ksk_decoder *decoder_of(const ksk_evaluator *e)
{
    return ksk_decoder_find(e->rules->block > 1 ? "cascade" : e->beams > 1 ? "beam" : "greedy");
}

static bool translate_batch(const ksk_evaluator *e, const ksk_scorer *scorer, const place *places,
                            int count, char **texts, ksk_error *err)
{
    const int32_t *sources[SENTENCES];
    int lengths[SENTENCES];
    uint64_t numbers[SENTENCES];
    ksk_nbest results[SENTENCES] = {0};
    for (int i = 0; i < count; i++) {
        sources[i] = e->pairs->ids + e->pairs->pairs[places[i].pair].source;
        lengths[i] = places[i].length;
        numbers[i] = places[i].pair;
    }
    const ksk_decode_options options = search_options(e, places[count - 1].length);
    bool ok = ksk_scorer_decode(scorer, count, sources, lengths, &options, numbers, results, err);
    for (int i = 0; ok && i < count; i++) {
        const ksk_hypothesis *best = &results[i].hypotheses[0];
        texts[places[i].pair] =
            ksk_tokenizer_decode(e->tokenizer, best->ids, (size_t)best->length, err);
        ok = texts[places[i].pair] != NULL;
    }
    for (int i = 0; i < count; i++)
        ksk_nbest_clear(&results[i]);
    return ok;
}

static bool translate(const ksk_evaluator *e, const ksk_module *module, char **texts,
                      ksk_error *err)
{
    place *order = order_sources(e->pairs);
    if (!order)
        return ksk_fail_memory(err);
    const ksk_decoder *decoder = decoder_of(e);
    ksk_scorer scorer = {.decoder = NULL};
    ksk_seq2seq_plans *plans = ksk_seq2seq_plans_new(
        e->type, module, ksk_scorer_purpose(decoder, false), &(ksk_compile_options){0}, err);
    bool ok = plans && ksk_scorer_open(&scorer, decoder, plans, e->rules, e->threads, err);
    for (size_t first = 0; ok && first < e->pairs->count; first += SENTENCES) {
        const size_t left = e->pairs->count - first;
        ok = translate_batch(e, &scorer, order + first, (int)(left < SENTENCES ? left : SENTENCES),
                             texts, err);
    }
    ksk_scorer_close(&scorer);
    ksk_seq2seq_plans_free(plans);
    ksk_free(order);
    return ok;
}

static bool find_bleu(const ksk_evaluator *e, const ksk_module *module, double *bleu,
                      ksk_error *err)
{
    const size_t count = e->pairs->count;
    char **texts = ksk_calloc(count, sizeof *texts);
    const char **references = ksk_calloc(count, sizeof *references);
    ksk_metric_options options = ksk_metric_defaults();
    ksk_metric_result result = {0};
    bool ok = (texts && references) || ksk_fail_memory(err);
    for (size_t i = 0; ok && i < count; i++)
        references[i] = ksk_corpus_target(e->text, e->pairs->pairs[i].line);
    options.tokenizer = e->bleu_tokenizer;
    ok = ok && translate(e, module, texts, err) &&
         ksk_metric_bleu((int)count, (const char *const *)texts, 1,
                         (const char *const *const[]){references}, &options, &result, err);
    *bleu = result.score;
    for (size_t i = 0; texts && i < count; i++)
        ksk_free(texts[i]);
    ksk_free(texts);
    ksk_free(references);
    return ok;
}

bool ksk_evaluate(const ksk_evaluator *evaluator, const ksk_module *module, ksk_evaluation *result,
                  ksk_error *err)
{
    return find_loss(evaluator, module, &result->loss, err) &&
           find_bleu(evaluator, module, &result->bleu, err);
}
