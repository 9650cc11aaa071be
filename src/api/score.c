/* Log-probabilities of given translations. */
#include <string.h>

#include "api/translator.h"
#include "kaskad/memory.h"

typedef struct pairs {
    ksk_ids *sources, *targets;
    const int32_t **source_ids, **target_ids;
    int *source_lengths, *target_lengths;
} pairs;

static bool encode_pairs(const ksk_tokenizer *tokenizer, pairs *p, int count,
                         const char *const *sources, const char *const *targets, ksk_error *err)
{
    for (int i = 0; i < count; i++) {
        if (!ksk_tokenizer_encode_source(tokenizer, sources[i], strlen(sources[i]), &p->sources[i],
                                         NULL, err) ||
            !ksk_tokenizer_encode_target(tokenizer, targets[i], strlen(targets[i]), &p->targets[i],
                                         NULL, err))
            return false;
        p->source_ids[i] = p->sources[i].ids;
        p->source_lengths[i] = (int)p->sources[i].count;
        p->target_ids[i] = p->targets[i].ids;
        p->target_lengths[i] = (int)p->targets[i].count;
    }
    return true;
}

/* Sums in order, in double precision. */
static void sum_up(const pairs *p, int count, const float *rows, double *log_probs, int *tokens)
{
    for (int i = 0; i < count; i++) {
        log_probs[i] = 0;
        for (int j = 0; j < p->target_lengths[i]; j++)
            log_probs[i] += *rows++;
        if (tokens)
            tokens[i] = p->target_lengths[i];
    }
}

static bool score_pairs(ksk_translator *translator, const pairs *p, int count, double *log_probs,
                        int *tokens, ksk_error *err)
{
    const ksk_model *model = translator->model;
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, KSK_TO_SCORE, err);
    if (plans && !translator->workspace)
        translator->workspace = ksk_workspace_new(translator->options.threads, err);
    if (!plans || !translator->workspace)
        return false;
    size_t rows = 0;
    for (int i = 0; i < count; i++)
        rows += (size_t)p->target_lengths[i];
    float *values = ksk_malloc((rows + 1) * sizeof *values);
    if (!values)
        return ksk_fail_memory(err);
    const bool ok =
        ksk_seq2seq_score(plans, &model->rules, translator->workspace, count, p->source_ids,
                          p->source_lengths, p->target_ids, p->target_lengths, values, err);
    if (ok)
        sum_up(p, count, values, log_probs, tokens);
    ksk_free(values);
    return ok;
}

bool ksk_score(ksk_translator *translator, int count, const char *const *sources,
               const char *const *targets, double *log_probs, int *tokens, ksk_error *err)
{
    const size_t n = (size_t)count + 1;
    pairs p = {ksk_calloc(n, sizeof *p.sources),        ksk_calloc(n, sizeof *p.targets),
               ksk_calloc(n, sizeof *p.source_ids),     ksk_calloc(n, sizeof *p.target_ids),
               ksk_calloc(n, sizeof *p.source_lengths), ksk_calloc(n, sizeof *p.target_lengths)};
    bool ok = (p.sources && p.targets && p.source_ids && p.target_ids && p.source_lengths &&
               p.target_lengths) ||
              ksk_fail_memory(err);
    ok = ok && encode_pairs(translator->model->tokenizer, &p, count, sources, targets, err) &&
         score_pairs(translator, &p, count, log_probs, tokens, err);
    for (int i = 0; p.sources && p.targets && i < count; i++) {
        ksk_free(p.sources[i].ids);
        ksk_free(p.targets[i].ids);
    }
    ksk_free(p.sources);
    ksk_free(p.targets);
    ksk_free(p.source_ids);
    ksk_free(p.target_ids);
    ksk_free(p.source_lengths);
    ksk_free(p.target_lengths);
    return ok;
}
