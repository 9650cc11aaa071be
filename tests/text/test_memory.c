/* Memory runs out at the n-th allocation, for every n: an error each time, and nothing is lost. */
#include "rows.h"

#include <unistd.h>

#include "kaskad/memory.h"
#include "text/sentencepiece.h"
#include "text/sentences.h"
#include "text/tokenizer.h"

static int left;        /* allocations until one fails */
static int outstanding; /* allocations not yet released */

static void *allocate(void *context, size_t size)
{
    if (left-- == 0)
        return NULL;
    outstanding++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void release(void *context, void *memory)
{
    outstanding -= memory != NULL;
    free(memory);
}

static bool use(const ksk_tokenizer *tokenizer, ksk_ids *ids, ksk_spans *spans, ksk_error *err)
{
    const char text[] = "Tom.  <mark> \xFF Und z. B. wir,\xE2\x96\x81 >>x<< </s> alle. Ja!";
    const size_t length = sizeof text - 1;
    if (!ksk_tokenizer_encode_source(tokenizer, text, length, ids, NULL, err) ||
        !ksk_tokenizer_encode_target(tokenizer, text, length, ids, NULL, err) ||
        !ksk_sentences_split(text, length, spans, err) ||
        !ksk_sentences_cut(tokenizer, text, length, 20, spans, err))
        return false;
    char *decoded = ksk_tokenizer_decode(tokenizer, ids->ids, ids->count, err);
    ksk_free(decoded);
    return decoded;
}

static bool load_and_use(const char *directory, ksk_error *err)
{
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(directory, err);
    ksk_ids ids = {0};
    ksk_spans spans = {0};
    const bool used = tokenizer && use(tokenizer, &ids, &spans, err);
    ksk_free(ids.ids);
    ksk_free(spans.spans);
    ksk_tokenizer_free(tokenizer);
    return used;
}

static bool train_and_write(const char *directory, ksk_error *err)
{
    const char *const lines[] = {"Ein kleiner Text, aus dem wenig zu lernen ist.", "",
                                 "Noch\xFF einer."};
    ksk_sentencepiece_options options = ksk_sentencepiece_defaults();
    options.vocabulary = 290;
    options.soft_limit = true;
    size_t size;
    void *model = ksk_sentencepiece_train(lines, 3, &options, &size, err);
    const ksk_tokenizer_options how = ksk_tokenizer_defaults();
    const bool written = model && ksk_tokenizer_write(directory, model, size, &how, err);
    ksk_free(model);
    return written;
}

/* Fails allocation after allocation until `work` succeeds; gives how many there are. */
static int exhaust(bool (*work)(const char *, ksk_error *), const char *directory)
{
    const ksk_allocator failing = {allocate, release, NULL};
    ksk_allocator_set(&failing);
    int count = 0;
    for (bool worked = false; !worked && count < 5000; count++) {
        ksk_error err = {0};
        left = count;
        outstanding = 0;
        worked = work(directory, &err);
        if (!worked && err.status != KSK_OUT_OF_MEMORY)
            fail_msg("allocation %d: status %d, %s", count, (int)err.status, err.message);
        assert_int_equal(outstanding, 0);
    }
    ksk_allocator_set(NULL);
    return count;
}

static void tokenizing_survives(void **state)
{
    (void)state;
    assert_in_range(exhaust(load_and_use, KSK_FIXTURES "/tokenizer/two"), 30, 4000);
    assert_in_range(exhaust(load_and_use, KSK_FIXTURES "/tokenizer/lossless"), 30, 4000);
}

static void training_survives(void **state)
{
    (void)state;
    char directory[] = "/tmp/kaskad-memory-XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_in_range(exhaust(train_and_write, directory), 5, 4000);
    const char *const names[] = {"source.spm", "target.spm", "vocab.json", "tokenizer_config.json"};
    char path[1000];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizing_survives),
        cmocka_unit_test(training_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
