#include "text/sentencepiece.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <string>
#include <unordered_map>
#include <vector>

#include "kaskad/memory.h"
#include "text/charsmap.h"
#include "text/utf8.h"

struct ksk_sentencepiece {
    sentencepiece::SentencePieceProcessor processor;
};

namespace
{

using sentencepiece::util::Status;

/* Runs `body` and turns what it throws into an error: nothing of C++ may leave this file. */
template <typename Result, typename Body> Result guard(ksk_error *err, Result failed, Body body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        ksk_fail_memory(err);
    } catch (const std::exception &exception) {
        ksk_fail(err, KSK_BAD_FORMAT, "SentencePiece: %s", exception.what());
    } catch (...) {
        ksk_fail(err, KSK_BAD_FORMAT, "SentencePiece: unknown failure");
    }
    return failed;
}

/* The status as an error; SentencePiece's messages span lines and start with a source position. */
bool check(const Status &status, ksk_status kind, const char *what, ksk_error *err)
{
    if (status.ok())
        return true;
    std::string message = status.message();
    std::replace(message.begin(), message.end(), '\n', ' ');
    return ksk_fail(err, kind, "%s: %s", what, message.c_str());
}

char *copy_text(const std::string &text, ksk_error *err)
{
    char *copy = static_cast<char *>(ksk_malloc(text.size() + 1));
    if (!copy)
        ksk_fail_memory(err);
    else
        std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

/* The training lines, repaired; empty ones are left out. */
class lines final : public sentencepiece::SentenceIterator
{
  public:
    lines(const char *const *texts, size_t count) : texts_(texts), count_(count)
    {
        find();
    }
    bool done() const override
    {
        return at_ >= count_;
    }
    void Next() override
    {
        at_++;
        find();
    }
    const std::string &value() const override
    {
        return line_;
    }
    Status status() const override
    {
        return Status();
    }

  private:
    void find()
    {
        while (at_ < count_ && !*texts_[at_])
            at_++;
        if (at_ >= count_)
            return;
        ksk_bytes clean = {};
        const bool fits = ksk_utf8_repair(texts_[at_], std::strlen(texts_[at_]), &clean, nullptr);
        if (fits)
            line_.assign(clean.bytes, clean.count);
        ksk_free(clean.bytes);
        if (!fits)
            throw std::bad_alloc();
    }

    const char *const *texts_;
    const size_t count_;
    size_t at_ = 0;
    std::string line_;
};

const char *flag(bool value)
{
    return value ? "true" : "false";
}

/* The symbols as one line of comma-separated values, each in quotes. */
std::string join_symbols(const ksk_sentencepiece_options &options)
{
    std::string joined;
    for (int i = 0; i < options.symbol_count; i++) {
        joined += i ? ",\"" : "\"";
        for (const char *c = options.symbols[i]; *c; c++)
            joined.append(*c == '"' ? 2 : 1, *c);
        joined += '"';
    }
    return joined;
}

using settings = std::unordered_map<std::string, std::string>;

settings make_settings(const ksk_sentencepiece_options &options, size_t longest)
{
    settings result = {
        {"model_type", options.bpe ? "bpe" : "unigram"},
        {"vocab_size", std::to_string(options.vocabulary)},
        {"hard_vocab_limit", flag(!options.soft_limit)},
        {"character_coverage", std::to_string(options.coverage)},
        {"byte_fallback", flag(options.byte_fallback)},
        {"normalization_rule_name", options.normalizer},
        {"remove_extra_whitespaces", flag(!options.keep_spaces)},
        {"split_digits", flag(options.split_digits)},
        {"max_sentence_length", std::to_string(3 * longest + 1)}, /* U+FFFD may triple a byte */
        {"unk_id", "0"},
        {"bos_id", "1"},
        {"eos_id", "2"},
        {"pad_id", "3"},
        {"num_threads", "1"},
        {"shuffle_input_sentence", "false"},
        {"minloglevel", "3"},
    };
    if (options.symbol_count)
        result["user_defined_symbols"] = join_symbols(options);
    return result;
}

/* What the library would stop the process for is refused here. */
bool check_training(const char *const *texts, size_t count,
                    const ksk_sentencepiece_options &options, size_t *longest, ksk_error *err)
{
    *longest = 0;
    for (size_t i = 0; i < count; i++)
        *longest = std::max(*longest, std::strlen(texts[i]));
    if (!*longest)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "no text to learn a vocabulary from");
    if (*longest > (1u << 29))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a line of %zu bytes: the limit is 512 MB",
                        *longest);
    if (options.vocabulary < 1 || options.coverage < 0.98 || options.coverage > 1)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "a vocabulary of %d pieces with coverage %g: the size must be positive and "
                        "the coverage between 0.98 and 1",
                        options.vocabulary, options.coverage);
    const std::string name = options.normalizer;
    for (const char *known : {"identity", "nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"})
        if (name == known)
            return true;
    return ksk_fail(err, KSK_BAD_ARGUMENT, "unknown normaliser \"%s\"", options.normalizer);
}

} // namespace

ksk_sentencepiece *ksk_sentencepiece_load(const void *bytes, size_t size, const char *origin,
                                          ksk_error *err)
{
    ksk_sentencepiece *const none = nullptr;
    if (const char *problem = ksk_charsmap_check(bytes, size)) {
        ksk_fail(err, KSK_BAD_FORMAT, "%s: %s", origin, problem);
        return none;
    }
    return guard(err, none, [&] {
        std::unique_ptr<ksk_sentencepiece> model(new ksk_sentencepiece);
        const std::string_view view(static_cast<const char *>(bytes), size);
        if (!check(model->processor.LoadFromSerializedProto(view), KSK_BAD_FORMAT, origin, err))
            return none;
        return model.release();
    });
}

void ksk_sentencepiece_free(ksk_sentencepiece *model)
{
    delete model;
}

int ksk_sentencepiece_size(const ksk_sentencepiece *model)
{
    return model->processor.GetPieceSize();
}

const char *ksk_sentencepiece_piece(const ksk_sentencepiece *model, int id)
{
    if (id < 0 || id >= model->processor.GetPieceSize())
        return nullptr;
    return model->processor.IdToPiece(id).c_str();
}

int ksk_sentencepiece_id(const ksk_sentencepiece *model, const char *piece)
{
    return model->processor.PieceToId(piece);
}

bool ksk_sentencepiece_encode(const ksk_sentencepiece *model, const char *text, size_t length,
                              ksk_piece_function take, void *context, ksk_error *err)
{
    if (length > (1u << 30))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "a text of %zu bytes: the limit is 1 GB", length);
    return guard(err, false, [&] {
        std::vector<std::string> pieces;
        if (!check(model->processor.Encode(std::string_view(text, length), &pieces), KSK_BAD_FORMAT,
                   "cannot split the text into pieces", err))
            return false;
        for (const std::string &piece : pieces)
            if (!take(context, piece.data(), piece.size()))
                return false;
        return true;
    });
}

char *ksk_sentencepiece_decode(const ksk_sentencepiece *model, const char *const *pieces,
                               size_t count, size_t *length, ksk_error *err)
{
    return guard(err, static_cast<char *>(nullptr), [&] {
        const std::vector<std::string_view> views(pieces, pieces + count);
        std::string text;
        if (!check(model->processor.Decode(views, &text), KSK_BAD_FORMAT, "cannot join the pieces",
                   err))
            return static_cast<char *>(nullptr);
        *length = text.size();
        return copy_text(text, err);
    });
}

ksk_sentencepiece_options ksk_sentencepiece_defaults(void)
{
    ksk_sentencepiece_options options = {};
    options.vocabulary = 8000;
    options.coverage = 0.9995;
    options.byte_fallback = true;
    options.normalizer = "identity";
    options.keep_spaces = true;
    return options;
}

void *ksk_sentencepiece_train(const char *const *texts, size_t count,
                              const ksk_sentencepiece_options *options, size_t *size,
                              ksk_error *err)
{
    return guard(err, static_cast<void *>(nullptr), [&]() -> void * {
        size_t longest;
        if (!check_training(texts, count, *options, &longest, err))
            return nullptr;
        lines iterator(texts, count);
        std::string model;
        const settings arguments = make_settings(*options, longest);
        const Status status =
            sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
        if (!check(status, KSK_BAD_ARGUMENT, "cannot learn the vocabulary", err))
            return nullptr;
        *size = model.size();
        return copy_text(model, err);
    });
}
