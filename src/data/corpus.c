#include "data/corpus.h"

#include <string.h>

#include "data/reader.h"
#include "kaskad/memory.h"

/* --- text ---------------------------------------------------------------------------------------
 */

void ksk_corpus_clear(ksk_corpus *corpus)
{
    ksk_free(corpus->text);
    ksk_free(corpus->lines);
    *corpus = (ksk_corpus){0};
}

const char *ksk_corpus_source(const ksk_corpus *corpus, size_t pair)
{
    return corpus->text + corpus->lines[pair][0];
}

const char *ksk_corpus_target(const ksk_corpus *corpus, size_t pair)
{
    return corpus->text + corpus->lines[pair][1];
}

static bool fail_pair(const ksk_line_reader *reader, const char *what, ksk_error *err)
{
    return ksk_fail(err, KSK_BAD_FORMAT, "%s:%lld: %s", ksk_line_reader_path(reader),
                    (long long)ksk_line_reader_line(reader), what);
}

static bool add_text(ksk_corpus *corpus, const char *text, size_t length, size_t *at)
{
    if (!ksk_grow(&corpus->text, &corpus->capacity, corpus->size + length + 1, 1))
        return false;
    memcpy(corpus->text + corpus->size, text, length);
    corpus->text[corpus->size + length] = '\0';
    *at = corpus->size;
    corpus->size += length + 1;
    return true;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t")] == '\0';
}

static bool append(ksk_corpus *corpus, const char *source, const char *target, ksk_error *err)
{
    if (!ksk_grow(&corpus->lines, &corpus->line_capacity, corpus->count + 1,
                  sizeof *corpus->lines) ||
        !add_text(corpus, source, strlen(source), &corpus->lines[corpus->count][0]) ||
        !add_text(corpus, target, strlen(target), &corpus->lines[corpus->count][1]))
        return ksk_fail_memory(err);
    corpus->count++;
    return true;
}

/* `reader` is at the line that a complaint names. */
static bool add_pair(ksk_corpus *corpus, const ksk_line_reader *reader, const char *source,
                     const char *target, ksk_error *err)
{
    if (is_blank(source) || is_blank(target))
        return fail_pair(reader, is_blank(source) ? "the source is empty" : "the target is empty",
                         err);
    return append(corpus, source, target, err);
}

static bool room_left(const ksk_corpus *corpus, int64_t limit)
{
    return limit == 0 || (int64_t)corpus->count < limit;
}

static bool read_tsv(ksk_line_reader *reader, int64_t limit, ksk_corpus *corpus, ksk_error *err)
{
    ksk_error problem = {0};
    size_t length;
    char *line;
    while (room_left(corpus, limit) && (line = ksk_line_reader_next(reader, &length, &problem))) {
        char *tab = strchr(line, '\t');
        if (!tab || strchr(tab + 1, '\t'))
            return fail_pair(reader,
                             tab ? "more than one tab; a line is SOURCE<TAB>TARGET"
                                 : "no tab; a line is SOURCE<TAB>TARGET",
                             err);
        *tab = '\0';
        if (!add_pair(corpus, reader, line, tab + 1, err))
            return false;
    }
    return problem.status == KSK_OK || ksk_fail(err, problem.status, "%s", problem.message);
}

static bool read_two(ksk_line_reader *sources, ksk_line_reader *targets, int64_t limit,
                     ksk_corpus *corpus, ksk_error *err)
{
    ksk_error problem = {0};
    while (room_left(corpus, limit)) {
        size_t length;
        const char *source = ksk_line_reader_next(sources, &length, &problem);
        const char *target =
            problem.status == KSK_OK ? ksk_line_reader_next(targets, &length, &problem) : NULL;
        if (problem.status != KSK_OK)
            return ksk_fail(err, problem.status, "%s", problem.message);
        if (!source && !target)
            break;
        if (!source || !target)
            return fail_pair(source ? sources : targets,
                             "the file of the other side has no such line", err);
        if (!add_pair(corpus, is_blank(source) ? sources : targets, source, target, err))
            return false;
    }
    return true;
}

bool ksk_corpus_read(const char *source, const char *target, int64_t limit, ksk_corpus *corpus,
                     ksk_error *err)
{
    ksk_line_reader *first = ksk_line_reader_open(source, err);
    ksk_line_reader *second = first && target ? ksk_line_reader_open(target, err) : NULL;
    bool ok = first && (!target || second);
    ok = ok && (target ? read_two(first, second, limit, corpus, err)
                       : read_tsv(first, limit, corpus, err));
    ksk_line_reader_close(first);
    ksk_line_reader_close(second);
    return ok && (corpus->count > 0 ||
                  ksk_fail(err, KSK_BAD_FORMAT, "%s holds no sentence pair", source));
}

static bool add_source(ksk_corpus *corpus, const ksk_line_reader *reader, const char *source,
                       ksk_error *err)
{
    if (is_blank(source) || strchr(source, '\t'))
        return fail_pair(reader, is_blank(source) ? "the source is empty" : "a tab in a source",
                         err);
    return append(corpus, source, "", err);
}

bool ksk_corpus_read_sources(const char *path, int64_t limit, ksk_corpus *corpus, ksk_error *err)
{
    ksk_error problem = {0};
    size_t length;
    const char *line;
    ksk_line_reader *reader = ksk_line_reader_open(path, err);
    bool ok = reader != NULL;
    while (ok && room_left(corpus, limit) &&
           (line = ksk_line_reader_next(reader, &length, &problem)))
        ok = add_source(corpus, reader, line, err);
    if (ok && problem.status != KSK_OK)
        ok = ksk_fail(err, problem.status, "%s", problem.message);
    ksk_line_reader_close(reader);
    return ok && (corpus->count > 0 || ksk_fail(err, KSK_BAD_FORMAT, "%s holds no sentence", path));
}

/* --- ids ----------------------------------------------------------------------------------------
 */

void ksk_pairs_clear(ksk_pairs *pairs)
{
    ksk_free(pairs->ids);
    ksk_free(pairs->pairs);
    *pairs = (ksk_pairs){0};
}

static bool add_ids(ksk_pairs *pairs, const ksk_ids *side, size_t *at, int *length)
{
    if (!ksk_grow(&pairs->ids, &pairs->id_capacity, pairs->id_count + side->count,
                  sizeof *pairs->ids))
        return false;
    memcpy(pairs->ids + pairs->id_count, side->ids, side->count * sizeof *side->ids);
    *at = pairs->id_count;
    *length = (int)side->count;
    pairs->id_count += side->count;
    return true;
}

static bool add_encoded(ksk_pairs *pairs, size_t line, const ksk_ids *source, const ksk_ids *target)
{
    if (!ksk_grow(&pairs->pairs, &pairs->capacity, pairs->count + 1, sizeof *pairs->pairs))
        return false;
    ksk_pair *pair = &pairs->pairs[pairs->count];
    pair->line = line;
    if (!add_ids(pairs, source, &pair->source, &pair->source_length) ||
        !add_ids(pairs, target, &pair->target, &pair->target_length))
        return false;
    pairs->source_tokens += pair->source_length;
    pairs->target_tokens += pair->target_length;
    pairs->count++;
    return true;
}

bool ksk_pairs_encode(const ksk_corpus *corpus, const ksk_tokenizer *tokenizer, int64_t longest,
                      ksk_pairs *pairs, ksk_error *err)
{
    ksk_ids source = {0}, target = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < corpus->count; i++) {
        const char *from = ksk_corpus_source(corpus, i), *to = ksk_corpus_target(corpus, i);
        source.count = target.count = 0;
        ok = ksk_tokenizer_encode_source(tokenizer, from, strlen(from), &source, NULL, err) &&
             ksk_tokenizer_encode_target(tokenizer, to, strlen(to), &target, NULL, err);
        if (!ok)
            break;
        if ((int64_t)source.count > longest || (int64_t)target.count > longest)
            pairs->left_out++;
        else
            ok = add_encoded(pairs, i, &source, &target) || ksk_fail_memory(err);
    }
    ksk_free(source.ids);
    ksk_free(target.ids);
    return ok && (pairs->count > 0 ||
                  ksk_fail(err, KSK_BAD_FORMAT, "every sentence pair has more than %lld tokens",
                           (long long)longest));
}

void ksk_pairs_length_line(const ksk_pairs *pairs, double *a, double *b)
{
    const double n = (double)pairs->count;
    double x = 0, y = 0, xx = 0, xy = 0; /* means, then sums about them */
    for (size_t i = 0; i < pairs->count; i++) {
        x += (pairs->pairs[i].source_length - 1) / n;
        y += (pairs->pairs[i].target_length - 1) / n;
    }
    for (size_t i = 0; i < pairs->count; i++) {
        const double dx = pairs->pairs[i].source_length - 1 - x;
        xx += dx * dx;
        xy += dx * (pairs->pairs[i].target_length - 1 - y);
    }
    *a = xx > 0 ? xy / xx : 1;
    *b = y - *a * x;
}
