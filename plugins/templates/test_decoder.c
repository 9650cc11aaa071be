/* Tests the decoder NAME without a model: ./test_NAME NAME.so */
#include <kaskad/extend.h>
#include <stdio.h>

enum { END, START, VOCABULARY = 7 };

/* After token t comes t + 2, and after the last tokens the end. */
static float scores[2 * VOCABULARY];

static bool start(ksk_l2r *self, int sentences, const int32_t *const *sources, const int *lengths,
                  ksk_error *err)
{
    (void)self, (void)sources, (void)lengths;
    return sentences <= 2 || ksk_fail(err, KSK_BAD_ARGUMENT, "more sentences than this test has");
}

static bool step(ksk_l2r *self, int rows, const int32_t *parents, const int32_t *tokens,
                 float **logits, ksk_error *err)
{
    (void)self, (void)parents, (void)err;
    for (int i = 0; i < rows; i++)
        for (int t = 0; t < VOCABULARY; t++) {
            const int next = tokens[i] + 2 < VOCABULARY ? tokens[i] + 2 : END;
            scores[i * VOCABULARY + t] = t == next ? 4 : 0;
        }
    *logits = scores;
    return true;
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    ksk_l2r scorer = {.vocabulary = VOCABULARY,
                      .start_id = START,
                      .end_id = END,
                      .pad_id = -1,
                      .max_source = 10,
                      .max_target = 10,
                      .start = start,
                      .step = step};
    const int32_t source = 3, *const sources[] = {&source, &source};
    const int lengths[] = {1, 1};
    const uint64_t numbers[] = {0, 1};
    const ksk_decode_options options = ksk_decode_defaults();
    ksk_nbest results[2] = {{0}};
    if (!ksk_decoder_find("NAME")->decode(&scorer, 2, sources, lengths, &options, numbers, results,
                                          &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    static const int32_t expected[] = {3, 5, END};
    bool ok = true;
    for (int i = 0; i < 2; i++) {
        const ksk_hypothesis *const best = &results[i].hypotheses[0];
        ok = ok && results[i].count == 1 && best->length == 3 && best->finished;
        for (int t = 0; ok && t < best->length; t++)
            ok = best->ids[t] == expected[t];
        ksk_nbest_clear(&results[i]);
    }
    puts(ok ? "NAME: all as it should be" : "NAME: other tokens than expected");
    return !ok;
}
