/* MarianTokenizer: SentencePiece splits, vocab.json numbers, special tokens stand apart. */
#include "text/tokenizer.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kaskad/memory.h"
#include "text/json.h"
#include "text/lossless.h"
#include "text/sentencepiece.h"
#include "text/specials.h"
#include "text/utf8.h"

#define BLANK "\xE2\x96\x81" /* U+2581, which stands for a space in pieces */

typedef struct side {
    ksk_sentencepiece *model;
    ksk_vocabulary *vocabulary;
    int32_t unknown;
    int32_t limit; /* one more than the largest id */
} side;

struct ksk_tokenizer {
    char *directory;
    side source, target; /* target.vocabulary may be source.vocabulary */
    ksk_specials specials;
    bool separate, clean_up, split_specials, lossless;
};

/* --- loading ---- */

/* An .spm file in memory. */
typedef struct spm {
    char *path, *bytes;
    size_t size;
} spm;

static bool read_spm(spm *file, const char *directory, const char *name, ksk_error *err)
{
    file->path = ksk_path(directory, name);
    if (!file->path)
        return ksk_fail_memory(err);
    file->bytes = ksk_file_read(file->path, (size_t)256 << 20, &file->size, err);
    return file->bytes;
}

static ksk_sentencepiece *load_spm(const spm *file, ksk_error *err)
{
    return ksk_sentencepiece_load(file->bytes, file->size, file->path, err);
}

/* Two sides with the same file share one model, which takes longest of all to make. */
static bool load_models(ksk_tokenizer *tokenizer, ksk_error *err)
{
    spm source = {0}, target = {0};
    bool loaded = read_spm(&source, tokenizer->directory, "source.spm", err) &&
                  read_spm(&target, tokenizer->directory, "target.spm", err) &&
                  (tokenizer->source.model = load_spm(&source, err));
    if (loaded) {
        const bool same =
            source.size == target.size && memcmp(source.bytes, target.bytes, source.size) == 0;
        tokenizer->target.model = same ? tokenizer->source.model : load_spm(&target, err);
        loaded = tokenizer->target.model;
    }
    ksk_free(source.path);
    ksk_free(source.bytes);
    ksk_free(target.path);
    ksk_free(target.bytes);
    return loaded;
}

static bool read_config(ksk_tokenizer *tokenizer, const json_t *config, ksk_error *err)
{
    if (json_object_size(json_object_get(config, "sp_model_kwargs")))
        return ksk_fail(err, KSK_UNSUPPORTED,
                        "tokenizer_config.json: sp_model_kwargs changes how pieces are chosen, "
                        "which kaskad does not do; remove it");
    tokenizer->separate = json_is_true(json_object_get(config, "separate_vocabs"));
    tokenizer->clean_up = json_is_true(json_object_get(config, "clean_up_tokenization_spaces"));
    tokenizer->lossless = json_is_true(json_object_get(config, "kaskad_lossless"));
    tokenizer->split_specials =
        tokenizer->lossless || json_is_true(json_object_get(config, "split_special_tokens"));
    return true;
}

static bool load_vocabularies(ksk_tokenizer *tokenizer, ksk_error *err)
{
    side *source = &tokenizer->source, *target = &tokenizer->target;
    source->vocabulary = ksk_vocabulary_load(tokenizer->directory, "vocab.json", err);
    if (!source->vocabulary)
        return false;
    target->vocabulary = tokenizer->separate
                             ? ksk_vocabulary_load(tokenizer->directory, "target_vocab.json", err)
                             : source->vocabulary;
    return target->vocabulary;
}

static bool find_unknown(side *of, const char *unknown, const char *name, ksk_error *err)
{
    of->unknown = ksk_vocabulary_id(of->vocabulary, unknown, strlen(unknown));
    return of->unknown >= 0 || ksk_fail(err, KSK_BAD_FORMAT,
                                        "%s: no piece \"%.60s\", the unknown token", name, unknown);
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void set_limit(side *of, const ksk_specials *specials)
{
    of->limit = ksk_vocabulary_limit(of->vocabulary);
    for (size_t i = 0; i < specials->count; i++)
        of->limit = larger(of->limit, specials->list[i].id + 1);
}

static bool number_specials(ksk_tokenizer *tokenizer, ksk_error *err)
{
    const ksk_specials *specials = &tokenizer->specials;
    set_limit(&tokenizer->source, specials);
    set_limit(&tokenizer->target, specials);
    return find_unknown(&tokenizer->source, specials->unknown, "vocab.json", err) &&
           find_unknown(&tokenizer->target, specials->unknown,
                        tokenizer->separate ? "target_vocab.json" : "vocab.json", err);
}

static bool load_all(ksk_tokenizer *tokenizer, const char *directory, ksk_error *err)
{
    tokenizer->directory = ksk_strdup(directory);
    if (!tokenizer->directory)
        return ksk_fail_memory(err);
    json_t *config = ksk_json_load_optional(directory, "tokenizer_config.json", err);
    const bool loaded = config && read_config(tokenizer, config, err) &&
                        load_vocabularies(tokenizer, err) &&
                        ksk_specials_load(&tokenizer->specials, directory, config,
                                          tokenizer->source.vocabulary, err) &&
                        number_specials(tokenizer, err) && load_models(tokenizer, err);
    json_decref(config);
    return loaded;
}

ksk_tokenizer *ksk_tokenizer_load(const char *directory, ksk_error *err)
{
    ksk_tokenizer *tokenizer = ksk_calloc(1, sizeof *tokenizer);
    if (!tokenizer) {
        ksk_fail_memory(err);
        return NULL;
    }
    if (load_all(tokenizer, directory, err))
        return tokenizer;
    ksk_tokenizer_free(tokenizer);
    return NULL;
}

void ksk_tokenizer_free(ksk_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    if (tokenizer->target.model != tokenizer->source.model)
        ksk_sentencepiece_free(tokenizer->target.model);
    ksk_sentencepiece_free(tokenizer->source.model);
    if (tokenizer->target.vocabulary != tokenizer->source.vocabulary)
        ksk_vocabulary_free(tokenizer->target.vocabulary);
    ksk_vocabulary_free(tokenizer->source.vocabulary);
    ksk_specials_free(&tokenizer->specials);
    ksk_free(tokenizer->directory);
    ksk_free(tokenizer);
}

int ksk_tokenizer_size(const ksk_tokenizer *tokenizer)
{
    return larger(tokenizer->source.limit, tokenizer->target.limit);
}

int ksk_tokenizer_source_size(const ksk_tokenizer *tokenizer)
{
    return tokenizer->source.limit;
}

int ksk_tokenizer_target_size(const ksk_tokenizer *tokenizer)
{
    return tokenizer->target.limit;
}

/* FNV-1a, 64 bits, over the pieces in the order of their ids, each with its NUL. */
static uint64_t hash_pieces(uint64_t value, const ksk_vocabulary *vocabulary)
{
    for (int32_t id = 0; id < ksk_vocabulary_limit(vocabulary); id++) {
        const char *const piece = ksk_vocabulary_piece(vocabulary, id);
        size_t i = 0;
        do
            value = (value ^ (piece ? (unsigned char)piece[i] : 0)) * 0x100000001B3u;
        while (piece && piece[i++]);
    }
    return value;
}

uint64_t ksk_tokenizer_fingerprint(const ksk_tokenizer *tokenizer)
{
    const uint64_t value = hash_pieces(0xCBF29CE484222325u, tokenizer->source.vocabulary);
    return tokenizer->separate ? hash_pieces(value, tokenizer->target.vocabulary) : value;
}

bool ksk_tokenizer_is_joint(const ksk_tokenizer *tokenizer)
{
    return !tokenizer->separate;
}

int32_t ksk_tokenizer_end_id(const ksk_tokenizer *tokenizer)
{
    return tokenizer->specials.end;
}

int32_t ksk_tokenizer_pad_id(const ksk_tokenizer *tokenizer)
{
    return tokenizer->specials.padding;
}

int32_t ksk_tokenizer_unknown_id(const ksk_tokenizer *tokenizer)
{
    return tokenizer->source.unknown;
}

/* --- encoding ---- */

typedef struct encoding {
    const ksk_tokenizer *tokenizer;
    const side *side;
    ksk_ids *ids;
    ksk_error *err;
} encoding;

static bool add_id(const encoding *job, int32_t id)
{
    ksk_ids *ids = job->ids;
    if (!ksk_grow(&ids->ids, &ids->capacity, ids->count + 1, sizeof *ids->ids))
        return ksk_fail_memory(job->err);
    ids->ids[ids->count++] = id;
    return true;
}

/* A special token's id counts before the vocabulary's, a piece of neither is unknown. */
static bool add_piece(void *context, const char *piece, size_t length)
{
    const encoding *job = context;
    const ksk_special *special = ksk_specials_by_text(&job->tokenizer->specials, piece, length);
    if (special)
        return add_id(job, special->id);
    const int32_t id = ksk_vocabulary_id(job->side->vocabulary, piece, length);
    return add_id(job, id < 0 ? job->side->unknown : id);
}

/* How many bytes a ">>language<<" prefix takes; 0 if there is none. */
static size_t prefix_length(const encoding *job, const char *text, size_t length)
{
    if (length < 2 || memcmp(text, ">>", 2) != 0)
        return 0;
    const char *end = memmem(text, length, "<<", 2);
    const size_t prefix = end ? (size_t)(end - text) + 2 : 0;
    if (!job->tokenizer->lossless)
        return prefix;
    const side *source = &job->tokenizer->source;
    const bool known =
        job->side == source && ksk_vocabulary_id(source->vocabulary, text, prefix) >= 0;
    return known ? prefix : 0;
}

/* A stretch of text without special tokens. */
static bool encode_plain(encoding *job, const char *text, size_t length)
{
    if (!length)
        return true;
    const size_t prefix = prefix_length(job, text, length);
    if (prefix && !add_piece(job, text, prefix))
        return false;
    return ksk_sentencepiece_encode(job->side->model, text + prefix, length - prefix, add_piece,
                                    job, job->err);
}

/* Special tokens, and what stands between them. */
static bool encode_with_specials(encoding *job, const char *text, size_t length)
{
    const ksk_special *before = NULL;
    for (;;) {
        size_t at;
        const ksk_special *special =
            ksk_specials_find(&job->tokenizer->specials, text, length, &at);
        const char *plain = text;
        size_t plain_length = special ? at : length;
        if (special && special->strip_left)
            ksk_utf8_strip_right(&plain, &plain_length);
        if (before && before->strip_right)
            ksk_utf8_strip_left(&plain, &plain_length);
        if (!encode_plain(job, plain, plain_length))
            return false;
        if (!special)
            return true;
        if (!add_id(job, special->id))
            return false;
        text += at + special->length;
        length -= at + special->length;
        before = special;
    }
}

static bool encode_escaped(encoding *job, const char *text, size_t length)
{
    ksk_bytes escaped = {0};
    const bool encoded = ksk_lossless_escape(text, length, &escaped)
                             ? encode_plain(job, escaped.bytes, escaped.count)
                             : ksk_fail_memory(job->err);
    ksk_free(escaped.bytes);
    return encoded;
}

static bool encode_clean(encoding *job, const char *text, size_t length)
{
    const ksk_tokenizer *tokenizer = job->tokenizer;
    return tokenizer->lossless         ? encode_escaped(job, text, length)
           : tokenizer->split_specials ? encode_plain(job, text, length)
                                       : encode_with_specials(job, text, length);
}

static bool encode(const ksk_tokenizer *tokenizer, const side *of, const char *text, size_t length,
                   ksk_ids *ids, int *replaced, ksk_error *err)
{
    encoding job = {tokenizer, of, ids, err};
    const size_t before = ids->count;
    ksk_bytes clean = {0};
    const bool encoded =
        ksk_utf8_repair(text, length, &clean, replaced)
            ? encode_clean(&job, clean.bytes, clean.count) && add_id(&job, tokenizer->specials.end)
            : ksk_fail_memory(err);
    if (!encoded)
        ids->count = before;
    ksk_free(clean.bytes);
    return encoded;
}

bool ksk_tokenizer_encode_source(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err)
{
    return encode(tokenizer, &tokenizer->source, text, length, ids, replaced, err);
}

bool ksk_tokenizer_encode_target(const ksk_tokenizer *tokenizer, const char *text, size_t length,
                                 ksk_ids *ids, int *replaced, ksk_error *err)
{
    return encode(tokenizer, &tokenizer->target, text, length, ids, replaced, err);
}

/* --- decoding ---- */

/* Replaces every `from` by `to`, which is not longer. */
static void replace_all(ksk_bytes *text, const char *from, const char *to)
{
    const size_t from_length = strlen(from), to_length = strlen(to);
    size_t kept = 0;
    for (size_t at = 0; at < text->count;) {
        if (text->count - at >= from_length && !memcmp(text->bytes + at, from, from_length)) {
            memcpy(text->bytes + kept, to, to_length);
            kept += to_length;
            at += from_length;
        } else {
            text->bytes[kept++] = text->bytes[at++];
        }
    }
    text->count = kept;
}

/* The reference's clean-up, in its order. */
static void clean_up_spaces(ksk_bytes *text)
{
    static const char *const rules[][2] = {
        {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
        {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        replace_all(text, rules[i][0], rules[i][1]);
}

typedef struct decoding {
    const ksk_tokenizer *tokenizer;
    const char **pieces; /* waiting to be joined */
    size_t waiting;
    ksk_bytes text;
    bool begun; /* something stands in `text`, even if empty */
    ksk_error *err;
} decoding;

/* Parts are separated by one space. */
static bool add_part(decoding *job, const char *part, size_t length)
{
    if ((job->begun && !ksk_bytes_add(&job->text, " ", 1)) ||
        !ksk_bytes_add(&job->text, part, length))
        return ksk_fail_memory(job->err);
    job->begun = true;
    return true;
}

static bool add_joined(decoding *job, char *joined, size_t length, bool last)
{
    if (job->tokenizer->lossless)
        return ksk_lossless_unescape(joined, length, &job->text) || ksk_fail_memory(job->err);
    ksk_bytes spaced = {joined, length, length};
    replace_all(&spaced, BLANK, " ");
    const char *part = joined;
    length = spaced.count;
    ksk_utf8_strip_left(&part, &length);
    ksk_utf8_strip_right(&part, &length);
    return (!length && !last) || add_part(job, part, length);
}

/* Joins the waiting pieces. */
static bool flush(decoding *job, bool last)
{
    if (!job->waiting)
        return true;
    size_t length;
    char *joined = ksk_sentencepiece_decode(job->tokenizer->target.model, job->pieces, job->waiting,
                                            &length, job->err);
    job->waiting = 0;
    const bool added = joined && add_joined(job, joined, length, last);
    ksk_free(joined);
    return added;
}

static const char *piece_of(const ksk_tokenizer *tokenizer, const ksk_vocabulary *vocabulary,
                            int32_t id)
{
    const ksk_special *special = ksk_specials_by_id(&tokenizer->specials, id);
    return special ? special->text : ksk_vocabulary_piece(vocabulary, id);
}

const char *ksk_tokenizer_source_piece(const ksk_tokenizer *tokenizer, int32_t id)
{
    return piece_of(tokenizer, tokenizer->source.vocabulary, id);
}

const char *ksk_tokenizer_target_piece(const ksk_tokenizer *tokenizer, int32_t id)
{
    return piece_of(tokenizer, tokenizer->target.vocabulary, id);
}

static bool decode_id(decoding *job, int32_t id)
{
    const ksk_tokenizer *tokenizer = job->tokenizer;
    if (id < 0)
        return ksk_fail(job->err, KSK_BAD_ARGUMENT, "%d is no token id", (int)id);
    const char *piece = ksk_tokenizer_target_piece(tokenizer, id);
    if (!piece)
        return true;
    const ksk_special *special = ksk_specials_by_text(&tokenizer->specials, piece, strlen(piece));
    if (special && special->named)
        return true;
    if (special)
        return flush(job, false) && add_part(job, special->text, special->length);
    job->pieces[job->waiting++] = piece;
    return true;
}

static bool decode_all(decoding *job, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!decode_id(job, ids[i]))
            return false;
    if (!flush(job, true))
        return false;
    if (job->tokenizer->clean_up && !job->tokenizer->lossless)
        clean_up_spaces(&job->text);
    return true;
}

char *ksk_tokenizer_decode_bytes(const ksk_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                 size_t *length, ksk_error *err)
{
    decoding job = {.tokenizer = tokenizer, .err = err};
    job.pieces = ksk_calloc(count, sizeof *job.pieces);
    char *text = NULL;
    if (!job.pieces) {
        ksk_fail_memory(err);
    } else if (decode_all(&job, ids, count)) {
        if (length)
            *length = job.text.count;
        text = ksk_bytes_text(&job.text);
        if (!text)
            ksk_fail_memory(err);
    }
    ksk_free(job.text.bytes);
    ksk_free(job.pieces);
    return text;
}

char *ksk_tokenizer_decode(const ksk_tokenizer *tokenizer, const int32_t *ids, size_t count,
                           ksk_error *err)
{
    return ksk_tokenizer_decode_bytes(tokenizer, ids, count, NULL, err);
}

/* --- saving ---- */

/* Copies a file if it is there, or fails when it must be. */
static bool copy(const char *from, const char *to, const char *name, bool needed, ksk_error *err)
{
    char *source = ksk_path(from, name), *target = ksk_path(to, name);
    const bool copied =
        source && target ? (!needed && access(source, F_OK)) || ksk_file_copy(source, target, err)
                         : ksk_fail_memory(err);
    ksk_free(source);
    ksk_free(target);
    return copied;
}

bool ksk_tokenizer_save(const ksk_tokenizer *tokenizer, const char *directory, ksk_error *err)
{
    const char *from = tokenizer->directory;
    return copy(from, directory, "source.spm", true, err) &&
           copy(from, directory, "target.spm", true, err) &&
           copy(from, directory, "vocab.json", true, err) &&
           (!tokenizer->separate || copy(from, directory, "target_vocab.json", true, err)) &&
           copy(from, directory, "tokenizer_config.json", false, err) &&
           copy(from, directory, "special_tokens_map.json", false, err) &&
           copy(from, directory, "added_tokens.json", false, err);
}
