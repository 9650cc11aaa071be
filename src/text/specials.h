/* Special tokens: texts that are one token wherever they stand, and those that decoding leaves out.
 * The rules are those of transformers' PreTrainedTokenizer. */
#ifndef KSK_TEXT_SPECIALS_H
#define KSK_TEXT_SPECIALS_H

#include <jansson.h>

#include "text/vocabulary.h"

typedef struct ksk_special {
    char *text;
    size_t length;
    int32_t id;
    bool named;                   /* has a role (end, padding, …): left out when decoding */
    bool strip_left, strip_right; /* swallows the white space before it, behind it */
} ksk_special;

typedef struct ksk_specials {
    ksk_special *list;
    size_t count, capacity;
    int32_t end, padding; /* ids */
    char *unknown;        /* the text of the unknown token */
} ksk_specials;

/* Fills `specials` (zeroed) from tokenizer_config.json, read into `config`: its
 * added_tokens_decoder, or, where it has none, special_tokens_map.json and added_tokens.json; then
 * the roles eos_token ("</s>" if not given), unk_token ("<unk>"), pad_token ("<pad>") and the
 * others. One that the vocabulary lacks gets the next free id. Free in any case. Errors: BAD_FILE,
 * BAD_FORMAT, OUT_OF_MEMORY; UNSUPPORTED for tokens that match whole words only. */
bool ksk_specials_load(ksk_specials *specials, const char *directory, const json_t *config,
                       const ksk_vocabulary *vocabulary, ksk_error *err);
void ksk_specials_free(ksk_specials *specials);

/* The first special token in `text` [length], the longest of those that start there, and where it
 * starts; NULL if there is none. */
const ksk_special *ksk_specials_find(const ksk_specials *specials, const char *text, size_t length,
                                     size_t *at);

/* The special token of an id or a text, NULL if there is none. */
const ksk_special *ksk_specials_by_id(const ksk_specials *specials, int32_t id);
const ksk_special *ksk_specials_by_text(const ksk_specials *specials, const char *text,
                                        size_t length);

#endif
