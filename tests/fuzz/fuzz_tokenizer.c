/* Arbitrary bytes through everything in src/text that reads text: the reference's tokenizer, a
 * lossless one (whose round trip must give the text back), sentence splitting and cutting. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/memory.h"
#include "text/sentences.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void round_trip(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                       const ksk_bytes *expected)
{
    ksk_ids ids = {0};
    expect(ksk_tokenizer_encode_source(tokenizer, text, length, &ids, NULL, NULL));
    expect(ids.count && ids.ids[ids.count - 1] == ksk_tokenizer_end_id(tokenizer));
    ids.count = 0;
    expect(ksk_tokenizer_encode_target(tokenizer, text, length, &ids, NULL, NULL));
    size_t got_length = 0;
    char *got = ksk_tokenizer_decode_bytes(tokenizer, ids.ids, ids.count, &got_length, NULL);
    expect(got);
    if (expected)
        expect(got_length == expected->count &&
               (!got_length || !memcmp(got, expected->bytes, got_length)));
    ksk_free(got);
    ksk_free(ids.ids);
}

static void cut(const ksk_tokenizer *tokenizer, const char *text, size_t length)
{
    ksk_spans spans = {0};
    expect(ksk_sentences_split(text, length, &spans, NULL));
    size_t at = 0;
    for (size_t i = 0; i < spans.count; i++) {
        expect(spans.spans[i].begin >= at && spans.spans[i].end > spans.spans[i].begin);
        at = spans.spans[i].end;
    }
    expect(at <= length);
    spans.count = 0;
    expect(ksk_sentences_cut(tokenizer, text, length, 30, &spans, NULL));
    at = 0;
    for (size_t i = 0; i < spans.count; i++) {
        expect(spans.spans[i].begin == at && spans.spans[i].end > at);
        at = spans.spans[i].end;
    }
    expect(at == length);
    ksk_free(spans.spans);
}

/* Ids that no encoder gave must be read or refused, too. */
static void decode_raw(const ksk_tokenizer *tokenizer, const uint8_t *data, size_t size)
{
    int32_t ids[64];
    const size_t count = size / 2 < 64 ? size / 2 : 64;
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)(data[2 * i] | data[2 * i + 1] << 8);
    char *text = ksk_tokenizer_decode(tokenizer, ids, count, NULL);
    expect(text);
    ksk_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ksk_tokenizer *plain, *lossless;
    if (!plain) {
        plain = ksk_tokenizer_load(KSK_SOURCE "/tests/fixtures/tokenizer/two", NULL);
        lossless = ksk_tokenizer_load(KSK_SOURCE "/tests/fixtures/tokenizer/lossless", NULL);
        expect(plain && lossless);
    }
    const char *text = (const char *)data;
    ksk_bytes repaired = {0};
    expect(ksk_utf8_repair(text, size, &repaired, NULL));
    round_trip(plain, text, size, NULL);
    round_trip(lossless, text, size, &repaired);
    cut(plain, text, size);
    cut(lossless, text, size);
    decode_raw(plain, data, size);
    decode_raw(lossless, data, size);
    ksk_free(repaired.bytes);
    return 0;
}
