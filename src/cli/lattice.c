/* kaskad lattice: what the cascade did for one sentence, as a page. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cascade.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/lattice_page.h"
#include "cli/lines.h"
#include "kaskad/memory.h"

static const char precisions[] = "f32|bf16|int8";

typedef struct settings {
    const char *model, *out, *sentence;
    int precision, pruned;
    ksk_cascade_given cascade;
    bool json;
} settings;

static bool parse(int argc, char **argv, settings *s, int *status)
{
    ksk_texts rest = {.count = 0};
    const ksk_option options[] = {
        KSK_NEEDED("model", 'm', "DIR", "checkpoint of a Markov Transformer", &s->model),
        KSK_TEXT("out", 'o', "FILE", "the page; - is the standard output", &s->out),
        KSK_FLAG("json", 0, "numbers instead of a page, an object a line of the standard input",
                 &s->json),
        KSK_CHOICE("precision", 0, precisions, "of the products (f32)", &s->precision),
        KSK_INT("pruned", 0, "N", "list the N best that were pruned at each position (8)",
                &s->pruned, 0, 1024),
        KSK_HEADING("Cascade"),
        KSK_CASCADE_OPTIONS(&s->cascade),
        KSK_OPTIONS_END,
    };
    if (!ksk_options_parse(&ksk_command_lattice, options, argc, argv, &rest, status))
        return false;
    s->sentence = rest.count ? rest.at[0] : NULL;
    if (s->json ? rest.count <= 1 && !s->out : rest.count == 1 && s->out)
        return true;
    ksk_complain("lattice takes one sentence, in quotes, and --out, or --json; `kaskad lattice "
                 "--help` says more");
    *status = KSK_EXIT_USAGE;
    return false;
}

/* --- the file -----------------------------------------------------------------------------------
 */

static bool fail_write(const char *path)
{
    return !ksk_complain("cannot write %s: %s", path, strerror(errno));
}

/* Aside, then under its name: the page is whole or is not there. */
static bool write_file(const ksk_lattice_page *page, const char *out)
{
    const size_t size = strlen(out) + 32;
    char *aside = ksk_malloc(size);
    if (!aside)
        return !ksk_complain("out of memory");
    snprintf(aside, size, "%s.tmp-%ld", out, (long)getpid());
    FILE *file = fopen(aside, "we");
    bool ok = file != NULL;
    if (file) {
        ksk_lattice_page_write(page, file);
        ok = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
        ok = fclose(file) == 0 && ok && rename(aside, out) == 0;
        if (!ok) {
            const int reason = errno;
            unlink(aside);
            errno = reason;
        }
    }
    ksk_free(aside);
    return ok || fail_write(out);
}

static bool write_page(const ksk_lattice_page *page, const char *out)
{
    if (strcmp(out, "-") != 0)
        return write_file(page, out);
    ksk_lattice_page_write(page, stdout);
    return true;
}

/* --- the work -----------------------------------------------------------------------------------
 */

static ksk_translate_options translate_options(const settings *s, const ksk_model *model,
                                               const ksk_cascade_watcher *watcher)
{
    ksk_translate_options options = ksk_translate_defaults(model);
    ksk_cascade_options *const cascade = &options.decode.cascade;
    options.decoder = "cascade";
    options.long_lines = KSK_LONG_ERROR;
    options.decode.n_best = 1;
    cascade->watcher = watcher;
    ksk_cascade_set(&s->cascade, cascade);
    return options;
}

/* One sentence at a time, with the record as what the cascade is watched by. */
typedef struct job {
    const settings *settings;
    const ksk_model *model;
    ksk_translator *translator;
    ksk_lattice_record record;
    int32_t end;
} job;

static bool translate(job *j, const char *sentence, ksk_translation *translation, ksk_error *err)
{
    ksk_lattice_record_clear(&j->record);
    j->record.pruned = j->settings->pruned;
    j->record.end = j->end;
    return ksk_translate(j->translator, 1, &sentence, translation, err) &&
           (!j->record.failed || ksk_fail_memory(err)) &&
           (j->record.output ||
            ksk_fail(err, KSK_BAD_ARGUMENT, "the sentence is empty: there is no lattice"));
}

static void print_rounds(const ksk_lattice_record *r)
{
    for (int i = 0; i < r->count; i++) {
        fputs(i ? "}, {" : "[{", stdout);
        ksk_json_name("rows", true);
        ksk_json_integer(r->rounds[i].rows);
        ksk_json_name("candidates", false);
        ksk_json_integer(ksk_round_candidates(&r->rounds[i]));
        ksk_json_name("kept", false);
        ksk_json_integer(ksk_round_kept(&r->rounds[i]));
    }
    fputs("}]", stdout);
}

static void print_json(const job *j, const char *sentence, const ksk_translation *t)
{
    putchar('{');
    ksk_json_name("source", true);
    ksk_json_text(sentence);
    ksk_json_name("text", false);
    ksk_json_text(t->text);
    ksk_json_name("tokens", false);
    ksk_json_integer(t->alternatives[0].id_count);
    ksk_json_name("score", false);
    ksk_json_number(t->alternatives[0].score);
    ksk_json_name("lo", false);
    ksk_json_integer(j->record.lo);
    ksk_json_name("hi", false);
    ksk_json_integer(j->record.hi);
    ksk_json_name("rounds", false);
    print_rounds(&j->record);
    puts("}");
}

static bool show(job *j, const char *sentence)
{
    ksk_error err = {0};
    ksk_translation translation = {.text = NULL};
    bool ok = translate(j, sentence, &translation, &err);
    const ksk_lattice_page page = {j->model, sentence, &translation, &j->record};
    if (!ok)
        ksk_complain("%s", err.message);
    else if (j->settings->json)
        print_json(j, sentence, &translation);
    else
        ok = write_page(&page, j->settings->out);
    ksk_translation_clear(&translation);
    return ok;
}

/* The sentence of the command line, or those of the standard input. */
static bool show_all(job *j)
{
    ksk_line line;
    ksk_lines_status status = KSK_LINES_END;
    ksk_lines *lines = j->settings->sentence ? NULL : ksk_lines_open("-");
    bool ok = j->settings->sentence ? show(j, j->settings->sentence) : lines != NULL;
    while (lines && ok && (status = ksk_lines_next(lines, true, &line)) == KSK_LINES_LINE) {
        ok = show(j, line.text);
        ksk_line_free(&line);
    }
    ksk_lines_close(lines);
    return ok && status == KSK_LINES_END;
}

static bool work(const settings *s, const ksk_model *model)
{
    int count;
    ksk_error err = {0};
    job j = {.settings = s, .model = model};
    int32_t *const end = ksk_model_encode(model, KSK_SIDE_TARGET, "", &count, &err);
    const ksk_cascade_watcher watcher = {ksk_lattice_see, &j.record};
    const ksk_translate_options options = translate_options(s, model, &watcher);
    if (end)
        j.translator = ksk_translator_new(model, &options, &err);
    if (end)
        j.end = end[count];
    bool ok = j.translator != NULL;
    if (!ok)
        ksk_complain("%s", err.message);
    ok = ok && show_all(&j);
    ksk_translator_free(j.translator);
    ksk_lattice_record_clear(&j.record);
    ksk_free(end);
    return ok;
}

static int run(int argc, char **argv)
{
    settings s = {.cascade = KSK_CASCADE_NOT_GIVEN, .pruned = 8};
    int status;
    if (!parse(argc, argv, &s, &status))
        return status;
    ksk_error err = {0};
    const ksk_load_options load = {.precision = (ksk_precision)s.precision};
    ksk_model *model = ksk_model_load(s.model, &load, &err);
    if (!model)
        return ksk_complain("%s", err.message);
    const bool ok = work(&s, model);
    ksk_model_free(model);
    return ok && ksk_flush_output() ? KSK_EXIT_OK : KSK_EXIT_FAILURE;
}

const ksk_command ksk_command_lattice = {
    .name = "lattice",
    .arguments = "-m DIR \"SENTENCE\" --out FILE.html [OPTIONS]",
    .summary = "Show what the cascade did for a sentence, as a page",
    .details =
        "Round by round: the candidates at each position, what was pruned, the max-marginals, the\n"
        "path chosen, the lengths that competed. The page needs no network. With --json, the "
        "rounds'\n"
        "rows, candidates and survivors of each line of the standard input instead.",
    .example =
        "  kaskad lattice -m models/tatoeba-deu-eng-markov 'Das ist gut.' --out lattice.html",
    .run = run,
};
