#include "scorer/ragged.h"

#include "kaskad/memory.h"

static bool check_sentence(int number, const int32_t *ids, int length, int vocabulary, int most,
                           const char *what, ksk_error *err)
{
    if (length < 1 || length > most)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%s %d has %d tokens; the model takes 1 to %d", what,
                        number, length, most);
    for (int i = 0; i < length; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "%s %d: token %d is %d, not in [0, %d)", what,
                            number, i, ids[i], vocabulary);
    return true;
}

static bool allocate(ksk_ragged *ragged, int sentences, int64_t rows, ksk_error *err)
{
    const size_t count = (size_t)rows;
    *ragged = (ksk_ragged){.rows = rows};
    ragged->ids = ksk_malloc(count * sizeof *ragged->ids);
    ragged->positions = ksk_malloc(count * sizeof *ragged->positions);
    ragged->spans = ksk_malloc(count * sizeof *ragged->spans);
    ragged->sentence = ksk_malloc((size_t)sentences * sizeof *ragged->sentence);
    return (ragged->ids && ragged->positions && ragged->spans && ragged->sentence) ||
           ksk_fail_memory(err);
}

bool ksk_ragged_fill(ksk_ragged *ragged, int sentences, const int32_t *const *ids,
                     const int *lengths, int32_t first, bool causal, int vocabulary, int most,
                     const char *what, ksk_error *err)
{
    *ragged = (ksk_ragged){.rows = 0};
    int64_t rows = 0;
    for (int i = 0; i < sentences; i++) {
        if (!check_sentence(i, ids[i], lengths[i], vocabulary, most, what, err))
            return false;
        rows += lengths[i];
    }
    if (rows > INT32_MAX)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "%lld tokens in one batch are too many",
                        (long long)rows);
    if (!allocate(ragged, sentences, rows, err))
        return false;
    int32_t at = 0;
    for (int i = 0; i < sentences; i++) {
        ragged->sentence[i][0] = at;
        ragged->sentence[i][1] = lengths[i];
        for (int j = 0; j < lengths[i]; j++) {
            ragged->ids[at + j] = first < 0 ? ids[i][j] : j == 0 ? first : ids[i][j - 1];
            ragged->positions[at + j] = j;
            ragged->spans[at + j][0] = at;
            ragged->spans[at + j][1] = causal ? j + 1 : lengths[i];
        }
        at += lengths[i];
    }
    return true;
}

void ksk_ragged_clear(ksk_ragged *ragged)
{
    ksk_free(ragged->ids);
    ksk_free(ragged->positions);
    ksk_free(ragged->spans);
    ksk_free(ragged->sentence);
    *ragged = (ksk_ragged){.rows = 0};
}
