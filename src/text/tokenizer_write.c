/* A tokenizer's files out of a trained SentencePiece model, for kaskad and for transformers. */
#include <jansson.h>

#include "base/file.h"
#include "kaskad/memory.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"

typedef struct content {
    const void *bytes; /* [size], or */
    size_t size;
    const json_t *json;
    ksk_file_writer *writer;
    ksk_error *err;
} content;

static int put_json(const char *bytes, size_t size, void *context)
{
    const content *what = context;
    return ksk_file_put(what->writer, bytes, size, what->err) ? 0 : -1;
}

/* Dumping fails because a write failed, which has filled the error, or for want of memory. */
static bool put(void *context, ksk_file_writer *writer, ksk_error *err)
{
    content *what = context;
    if (!what->json)
        return ksk_file_put(writer, what->bytes, what->size, err);
    ksk_error problem = {0};
    what->writer = writer;
    what->err = &problem;
    if (json_dump_callback(what->json, put_json, what, JSON_INDENT(1)) == 0)
        return true;
    return problem.status ? ksk_fail(err, problem.status, "%s", problem.message)
                          : ksk_fail_memory(err);
}

static bool write_file(const char *directory, const char *name, content what, ksk_error *err)
{
    char *path = ksk_path(directory, name);
    const bool written = path ? ksk_file_replace(path, put, &what, err) : ksk_fail_memory(err);
    ksk_free(path);
    return written;
}

static bool write_json(const char *directory, const char *name, json_t *json, ksk_error *err)
{
    if (!json)
        return ksk_fail_memory(err);
    const bool written = write_file(directory, name, (content){.json = json}, err);
    json_decref(json);
    return written;
}

/* {"piece": id}; NULL when memory runs out. */
static json_t *number_pieces(const ksk_sentencepiece *model)
{
    json_t *ids = json_object();
    const int size = ksk_sentencepiece_size(model);
    for (int id = 0; ids && id < size; id++)
        if (json_object_set_new(ids, ksk_sentencepiece_piece(model, id), json_integer(id))) {
            json_decref(ids);
            return NULL;
        }
    return ids;
}

static json_t *describe(const ksk_tokenizer_options *options)
{
    json_t *config = json_pack("{s:s*, s:s*, s:i, s:b, s:s, s:s, s:s, s:s}", "source_lang",
                               options->source_language, "target_lang", options->target_language,
                               "model_max_length", options->max_tokens, "separate_vocabs", 0,
                               "eos_token", "</s>", "unk_token", "<unk>", "pad_token", "<pad>",
                               "tokenizer_class", "MarianTokenizer");
    if (config && options->lossless &&
        (json_object_set_new(config, "split_special_tokens", json_true()) ||
         json_object_set_new(config, "kaskad_lossless", json_true()))) {
        json_decref(config);
        return NULL;
    }
    return config;
}

static bool has_specials(const ksk_sentencepiece *model, ksk_error *err)
{
    const char *const needed[] = {"<unk>", "</s>", "<pad>"};
    const int unknown = ksk_sentencepiece_id(model, needed[0]);
    for (int i = 1; i < 3; i++)
        if (ksk_sentencepiece_id(model, needed[i]) == unknown)
            return ksk_fail(err, KSK_BAD_FORMAT,
                            "the SentencePiece model has no piece %s, which a translator needs",
                            needed[i]);
    return true;
}

ksk_tokenizer_options ksk_tokenizer_defaults(void)
{
    return (ksk_tokenizer_options){.max_tokens = 512, .lossless = true};
}

bool ksk_tokenizer_write(const char *directory, const void *bytes, size_t size,
                         const ksk_tokenizer_options *options, ksk_error *err)
{
    ksk_sentencepiece *model = ksk_sentencepiece_load(bytes, size, "the vocabulary", err);
    if (!model)
        return false;
    const content spm = {.bytes = bytes, .size = size};
    const bool written = has_specials(model, err) &&
                         write_file(directory, "source.spm", spm, err) &&
                         write_file(directory, "target.spm", spm, err) &&
                         write_json(directory, "vocab.json", number_pieces(model), err) &&
                         write_json(directory, "tokenizer_config.json", describe(options), err);
    ksk_sentencepiece_free(model);
    return written;
}
