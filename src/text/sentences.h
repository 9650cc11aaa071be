/* Cutting text: a paragraph into sentences, a sentence that is too long into pieces. Nothing is
 * changed and nothing is lost: spans point into the text. */
#ifndef KSK_TEXT_SENTENCES_H
#define KSK_TEXT_SENTENCES_H

#include <stddef.h>

#include "kaskad/error.h"
#include "text/tokenizer.h"

/* Bytes [begin, end) of a text. */
typedef struct ksk_span {
    size_t begin, end;
} ksk_span;

/* A growing list of spans; zero it first, free spans with ksk_free. */
typedef struct ksk_spans {
    ksk_span *spans;
    size_t count, capacity;
} ksk_spans;

/* Appends the sentences of `text` [length], in order, each without white space at its ends; what
 * lies between them, before and behind is white space only, so that sentences and gaps together are
 * the text. A text of white space has no sentences.
 *
 * A sentence ends at . ! ? … (with the quotes and brackets that close behind them) before white
 * space, at 。！？ anywhere, and at an empty line. It does not end before a small letter, nor after
 * a full stop that belongs to an abbreviation, an initial, an ordinal ("3. Oktober") or a number at
 * the start of a sentence ("1. Start"). The word lists are German and English; other languages
 * that write with the same marks are cut by the rest of the rules.
 * Errors: OUT_OF_MEMORY. */
bool ksk_sentences_split(const char *text, size_t length, ksk_spans *spans, ksk_error *err);

/* Appends spans that together are all of `text` [length >= 1], each of at most `most` tokens for
 * `tokenizer` as a source, the end token counted; one span if the text fits. Cuts lie, where
 * possible in the second half of what would fit, behind punctuation and its white space, else
 * behind white space, else between characters. Errors: BAD_ARGUMENT (one character alone has more
 * than `most` tokens), OUT_OF_MEMORY. */
bool ksk_sentences_cut(const ksk_tokenizer *tokenizer, const char *text, size_t length, size_t most,
                       ksk_spans *spans, ksk_error *err);

/* Appends a span. False when memory runs out. */
bool ksk_spans_add(ksk_spans *spans, size_t begin, size_t end);

#endif
