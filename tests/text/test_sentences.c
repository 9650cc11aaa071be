/* Where sentences end, and that nothing is lost. A case is its sentences with | between them. */
#include "rows.h"

#include "kaskad/memory.h"
#include "text/sentences.h"
#include "text/utf8.h"

static const char *const cases[] = {
    /* German */
    "Das ist ein Satz.| Das ist noch einer.",
    "Wir kommen am 3. Oktober.| Dann feiern wir.",
    "Am 3. 10. 1990 war es so weit.| Viele feierten.",
    "Der 2. Weltkrieg endete 1945.| Danach kam der Wiederaufbau.",
    "Im 19. Jahrhundert gab es z. B. Dampfmaschinen.| Sie waren laut.",
    "Es gibt z.B. Äpfel, Birnen usw. in der Kiste.| Nimm dir etwas.",
    "Wir kauften Brot, Milch usw.| Danach gingen wir heim.",
    "Dr. Müller und Prof. Dr. Schmidt kamen um 17.30 Uhr.| Frau Dr. h. c. Meier fehlte.",
    "Siehe Abb. 3 und Nr. 5, vgl. Kap. 7.| Mehr steht in Bd. 2.",
    "Herr J. R. Meier wohnt in der Hauptstr. 5 in Köln.| Er ist neu hier.",
    "Er sagte: „Ich komme morgen.“| Dann ging er.",
    "„Halt!“ rief er.| „Wer da?“| Niemand antwortete.",
    "»Komm!«| »Gleich.«",
    "Wirklich?!| Ja …| Na gut.",
    "Er wartete ... und wartete.| Nichts geschah.",
    "Das kostet 3,50 €.| Das andere 1.000.000 Euro.| Teuer!",
    "Ludwig der 14. starb 1715.| Ludwig der 15. folgte.",
    "Er feierte seinen 40. Geburtstag in Bonn.| Alle kamen.",
    "Um 300 v. Chr. lebte Euklid.| Im Jahr 50 n. Chr. nicht mehr.",
    "Das gilt für GmbHs, d. h. Firmen.| Und für Vereine.",
    "1. Einleitung| \n\n 2. Grundlagen",
    "Es war 1989.| Die Mauer fiel.",
    "Über uns.| Österreich ist schön.| Ärger gab es nie.",
    "(Das steht im Anhang.)| Weiter geht es hier.",
    "Die Seite https://example.org/a.html?x=1.5!y ist neu.| Version 2.0.1 auch.",
    /* English */
    "This is one.| This is two!| Is this three?| Yes.",
    "Mr. Smith met Mrs. Jones at 5 p.m. in St. Louis.| They talked.",
    "He lives in the U.S. and works for Acme Inc. in Ohio.| She doesn't.",
    "She moved to the U.S.| He stayed.",
    "We use tools, e.g. hammers, i.e. heavy ones.| Good.",
    "The U.S. Army and J. K. Rowling's fans met Dr. No. 7 on Jan. 5.| It rained.",
    "\"Stop!\" he said.| \"Why?\"| \"Because.\"",
    "He said \"no.\"| She said “yes.”| (They agreed.)| [Later.]",
    "Pi is 3.14159.| E is 2.71828.",
    "Go to www.example.com/index.html or mail a.b@c.org.| Thanks.",
    "It cost $5.| He paid $10.50.",
    "Wait... what?| Yes... | No.",
    "See Fig. 2, pp. 3 and vol. 12.| Then read on.",
    "Vitamin D.| The sun makes it.",
    /* others */
    "我能吞下玻璃。|它不伤身体！|真的吗？|真的。",
    "「行こう。」|彼は言った。| はい。",
    "Où est-il ?| Là.| ¿Qué?| ¡Nada!",
    "Привет.| Как дела?| Хорошо. да.",
    "no capital letters. none at all.",
    "No end",
    "...",
    "?",
    "Erste Zeile\nzweite Zeile.| \n Dritte Zeile.",
    "Titel|\n \nText ohne Punkt|\n\n\nNoch einer.",
};

/* The text of a case without its bars, and where the sentences should begin and end. */
static ksk_spans read_case(const char *given, char *text)
{
    ksk_spans spans = {0};
    size_t begin = 0, end = 0;
    for (const char *c = given;; c++) {
        if (*c && *c != '|') {
            text[end++] = *c;
            continue;
        }
        const char *sentence = text + begin;
        size_t length = end - begin;
        ksk_utf8_strip_right(&sentence, &length);
        ksk_utf8_strip_left(&sentence, &length);
        if (length)
            assert_true(ksk_spans_add(&spans, (size_t)(sentence - text),
                                      (size_t)(sentence - text) + length));
        begin = end;
        if (!*c)
            break;
    }
    text[end] = '\0';
    return spans;
}

static void sentences_end_where_they_should(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000];
        ksk_spans expected = read_case(cases[i], text), got = {0};
        assert_true(ksk_sentences_split(text, strlen(text), &got, NULL));
        if (got.count != expected.count ||
            memcmp(got.spans, expected.spans, got.count * sizeof *got.spans)) {
            print_message("in: %s\n", cases[i]);
            for (size_t j = 0; j < got.count; j++)
                print_message("    [%.*s]\n", (int)(got.spans[j].end - got.spans[j].begin),
                              text + got.spans[j].begin);
            wrong++;
        }
        ksk_free(got.spans);
        ksk_free(expected.spans);
    }
    assert_int_equal(wrong, 0);
}

/* Sentences in order, white space between them and nothing else. */
static void check_gaps(void *context, const json_t *row)
{
    (void)context;
    size_t length, at = 0;
    const char *text = cell(row, 0, &length);
    ksk_spans spans = {0};
    assert_true(ksk_sentences_split(text, length, &spans, NULL));
    for (size_t i = 0; i <= spans.count; i++) {
        const size_t begin = i < spans.count ? spans.spans[i].begin : length;
        const char *gap = text + at;
        assert_true(begin >= at);
        size_t left = begin - at;
        ksk_utf8_strip_left(&gap, &left);
        assert_int_equal(left, 0);
        if (i < spans.count) {
            assert_true(spans.spans[i].end > begin);
            at = spans.spans[i].end;
        }
    }
    ksk_free(spans.spans);
}

static void gaps_are_white_space(void **state)
{
    (void)state;
    assert_int_equal(each_row("tokenizer/hard.jsonl", check_gaps, NULL), 2400);
    ksk_spans spans = {0};
    assert_true(ksk_sentences_split(" \xE3\x80\x80\n", 5, &spans, NULL));
    assert_int_equal(spans.count, 0);
}

typedef struct cutting {
    const ksk_tokenizer *tokenizer;
    size_t most;
} cutting;

static void check_pieces(const cutting *with, const char *text, size_t length)
{
    ksk_spans spans = {0};
    ksk_error err = {0};
    if (!ksk_sentences_cut(with->tokenizer, text, length, with->most, &spans, &err))
        fail_msg("%s", err.message);
    size_t at = 0;
    for (size_t i = 0; i < spans.count; i++) {
        assert_int_equal(spans.spans[i].begin, at);
        at = spans.spans[i].end;
        assert_true(at > spans.spans[i].begin);
        ksk_ids ids = {0};
        assert_true(ksk_tokenizer_encode_source(with->tokenizer, text + spans.spans[i].begin,
                                                at - spans.spans[i].begin, &ids, NULL, NULL));
        assert_in_range(ids.count, 1, with->most);
        ksk_free(ids.ids);
    }
    assert_int_equal(at, length);
    ksk_free(spans.spans);
}

static void check_row(void *context, const json_t *row)
{
    size_t length;
    const char *text = cell(row, 0, &length);
    check_pieces(context, text, length);
}

static ksk_tokenizer *load(const char *directory)
{
    ksk_tokenizer *tokenizer = ksk_tokenizer_load(directory, NULL);
    assert_non_null(tokenizer);
    return tokenizer;
}

static void pieces_fit_and_nothing_is_lost(void **state)
{
    (void)state;
    const char *const directories[] = {KSK_FIXTURES "/tokenizer/nmt",
                                       KSK_FIXTURES "/tokenizer/lossless"};
    for (int i = 0; i < 2; i++) {
        ksk_tokenizer *tokenizer = load(directories[i]);
        each_row("tokenizer/hard.jsonl", check_row, &(cutting){tokenizer, 23});
        each_row("tokenizer/hard.jsonl", check_row, &(cutting){tokenizer, 150});
        char bad[500];
        memset(bad, 0x80, sizeof bad);
        check_pieces(&(cutting){tokenizer, 20}, bad, sizeof bad);
        ksk_tokenizer_free(tokenizer);
    }
}

static void expect_pieces(const ksk_tokenizer *tokenizer, size_t most, const char *given)
{
    char text[1000], joined[1000] = "";
    size_t length = 0;
    for (const char *c = given; *c; c++)
        if (*c != '|')
            text[length++] = *c;
    ksk_spans spans = {0};
    assert_true(ksk_sentences_cut(tokenizer, text, length, most, &spans, NULL));
    for (size_t i = 0; i < spans.count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%.*s", i ? "|" : "",
                 (int)(spans.spans[i].end - spans.spans[i].begin), text + spans.spans[i].begin);
    assert_string_equal(joined, given);
    ksk_free(spans.spans);
}

static void cuts_lie_at_the_best_boundaries(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(KSK_FIXTURES "/tokenizer/nmt");
    expect_pieces(tokenizer, 100, "Tom ist da, und er ist hier.");
    expect_pieces(tokenizer, 8, "Tom ist da, |und er ist hier, |und Tom ist hier.");
    expect_pieces(tokenizer, 5, "Tom ist nicht hier |und er ist nicht |da.");
#define ACCENTED "e\xCC\x81" /* an e with its accent apart */
    expect_pieces(tokenizer, 5,
                  ACCENTED ACCENTED ACCENTED "|" ACCENTED ACCENTED ACCENTED "|" ACCENTED);
    ksk_tokenizer_free(tokenizer);
}

static void too_few_tokens_are_refused(void **state)
{
    (void)state;
    ksk_tokenizer *tokenizer = load(KSK_FIXTURES "/tokenizer/lossless");
    ksk_spans spans = {0};
    ksk_error err = {0};
    assert_false(ksk_sentences_cut(tokenizer, "a 東", 5, 3, &spans, &err));
    assert_int_equal(err.status, KSK_BAD_ARGUMENT);
    assert_int_equal(spans.count, 0);
    ksk_free(spans.spans);
    ksk_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_end_where_they_should),
        cmocka_unit_test(gaps_are_white_space),
        cmocka_unit_test(pieces_fit_and_nothing_is_lost),
        cmocka_unit_test(cuts_lie_at_the_best_boundaries),
        cmocka_unit_test(too_few_tokens_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
