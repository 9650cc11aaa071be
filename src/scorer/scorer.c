#include "scorer/scorer.h"

#include "scorer/markov.h"

ksk_purpose ksk_scorer_purpose(const ksk_decoder *decoder, bool narrow)
{
    return decoder->decode_markov ? KSK_TO_CASCADE : narrow ? KSK_TO_SELECT : KSK_TO_GENERATE;
}

bool ksk_scorer_narrow(ksk_scorer *scorer, int count, const int32_t *tokens, ksk_error *err)
{
    return scorer->markov ? ksk_markov_scorer_narrow(scorer->markov, count, tokens, err)
                          : ksk_seq2seq_scorer_narrow(scorer->l2r, count, tokens, err);
}

bool ksk_scorer_open(ksk_scorer *scorer, const ksk_decoder *decoder, const ksk_seq2seq_plans *plans,
                     const ksk_sequence_rules *rules, int threads, ksk_error *err)
{
    *scorer = (ksk_scorer){.decoder = decoder};
    if (decoder->decode_markov)
        scorer->markov = ksk_markov_scorer_new(plans, rules, threads, err);
    else
        scorer->l2r = ksk_seq2seq_scorer_new(plans, rules, threads, err);
    if (scorer->markov || scorer->l2r)
        return true;
    scorer->decoder = NULL;
    return false;
}

void ksk_scorer_close(ksk_scorer *scorer)
{
    if (scorer->l2r)
        scorer->l2r->free(scorer->l2r);
    if (scorer->markov)
        scorer->markov->free(scorer->markov);
    *scorer = (ksk_scorer){.decoder = NULL};
}

bool ksk_scorer_decode(const ksk_scorer *scorer, int sentences, const int32_t *const *sources,
                       const int *lengths, const ksk_decode_options *options,
                       const uint64_t *numbers, ksk_nbest *results, ksk_error *err)
{
    const ksk_decoder *decoder = scorer->decoder;
    return scorer->markov ? decoder->decode_markov(scorer->markov, sentences, sources, lengths,
                                                   options, numbers, results, err)
                          : decoder->decode(scorer->l2r, sentences, sources, lengths, options,
                                            numbers, results, err);
}
