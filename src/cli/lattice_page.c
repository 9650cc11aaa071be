#include "cli/lattice_page.h"

#include <inttypes.h>
#include <math.h>

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char style[] =
    "<style>\n"
    ":root { --paper: #fbfaf7; --ink: #1d1d1b; --soft: #62625c; --line: #d6d3ca; --heat: 208 60%;"
    " --cell: #fff; --mark: #b3470b; }\n"
    "@media (prefers-color-scheme: dark) { :root { --paper: #16171a; --ink: #e9e7e1;"
    " --soft: #a3a29b; --line: #3b3d43; --heat: 208 45%; --cell: #1f2126; --mark: #ff9d5c; } }\n"
    "body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 80rem;"
    " padding: 0 1rem 7rem; background: var(--paper); color: var(--ink); }\n"
    "h1 { font-size: 1.3rem; margin: 1rem 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .2rem;"
    " scroll-margin-top: 3.5rem; }\n"
    "p { margin: .3rem 0; max-width: 46rem; } .soft { color: var(--soft); }\n"
    "nav { position: sticky; top: 0; z-index: 1; background: var(--paper); padding: .5rem 0;"
    " border-bottom: 1px solid var(--line); display: flex; gap: .3rem; overflow-x: auto; }\n"
    "nav a { color: inherit; padding: .3rem .7rem; border: 1px solid var(--line);"
    " border-radius: 1rem; text-decoration: none; white-space: nowrap; }\n"
    ":focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; }\n"
    "dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .5rem"
    " 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }\n"
    ".lattice { display: flex; gap: .4rem; overflow-x: auto; padding: .4rem .2rem .8rem;"
    " align-items: flex-start; }\n"
    ".lattice > div { flex: none; min-width: 6rem; }\n"
    ".lattice h3 { font-size: .8rem; font-weight: 600; margin: 0 0 .2rem; color: var(--soft); }\n"
    ".lattice ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 2px; }\n"
    "button { font: inherit; font-size: .85rem; width: 100%; display: flex; gap: .5rem;"
    " justify-content: space-between; text-align: start; color: inherit; cursor: pointer;"
    " padding: .15rem .4rem; border: 1px solid transparent; border-radius: .3rem;"
    " background: linear-gradient(hsl(var(--heat) 50% / calc(var(--h, 0) * .42)) 0 0),"
    " var(--cell); }\n"
    "button b { font-weight: 500; white-space: nowrap; } button i { font-style: normal; "
    "font-variant-numeric: tabular-nums; color: var(--soft); }\n"
    ".no { background: none; color: var(--soft); } .no b { text-decoration: line-through; }\n"
    ".yes { border-color: var(--mark); } .yes b { font-weight: 700; color: var(--mark); }\n"
    ".near { box-shadow: inset 3px 0 var(--mark); }\n"
    ".more { font-size: .8rem; color: var(--soft); padding: .1rem .4rem; }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums; }\n"
    "th, td { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--line); }\n"
    "th { font-weight: 600; } td.yes { font-weight: 700; color: var(--mark); border: 0;"
    " border-bottom: 1px solid var(--line); } .scroll { overflow-x: auto; }\n"
    "#say { position: fixed; inset: auto 0 0; background: var(--cell); padding: .6rem 1rem;"
    " border-top: 1px solid var(--line); font-size: .9rem; min-height: 1.4em; }\n"
    "@media print { nav, #say { display: none; } .lattice { overflow: visible; flex-wrap: wrap; } }"
    "\n</style>\n";

/* Arrows go from candidate to candidate; the one in focus is told of, and those that it overlaps
 * with are marked. */
static const char script[] =
    "<script>\n"
    "const say = document.getElementById('say');\n"
    "const columns = section => [...section.querySelectorAll('.lattice > div')];\n"
    "const cells = column => column ? [...column.querySelectorAll('button')] : [];\n"
    "function tell(cell) {\n"
    "  const column = cell.closest('.lattice > div'), all = columns(cell.closest('section'));\n"
    "  const at = all.indexOf(column), mine = cell.dataset.t.split(' ');\n"
    "  document.querySelectorAll('.near').forEach(c => c.classList.remove('near'));\n"
    "  for (const other of cells(all[at + 1]))\n"
    "    if (mine.slice(1).join(' ') === other.dataset.t.split(' ').slice(0, -1).join(' '))\n"
    "      other.classList.add('near');\n"
    "  for (const other of cells(all[at - 1]))\n"
    "    if (other.dataset.t.split(' ').slice(1).join(' ') === mine.slice(0, -1).join(' '))\n"
    "      other.classList.add('near');\n"
    "  say.textContent = column.querySelector('h3').textContent + ': ' + cell.title;\n"
    "}\n"
    "document.addEventListener('focusin', e => e.target.matches('.lattice button') &&"
    " tell(e.target));\n"
    "document.addEventListener('keydown', e => {\n"
    "  if (!e.target.matches('.lattice button')) return;\n"
    "  const column = e.target.closest('.lattice > div');\n"
    "  const all = columns(e.target.closest('section')), at = all.indexOf(column);\n"
    "  const row = cells(column).indexOf(e.target);\n"
    "  const step = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0]"
    " }[e.key];\n"
    "  if (!step) return;\n"
    "  const there = cells(all[at + step[0]]);\n"
    "  const next = there[step[0] ? Math.min(row, there.length - 1) : row + step[1]];\n"
    "  if (next) { next.focus(); e.preventDefault(); }\n"
    "});\n"
    "</script>\n";

/* --- text ---------------------------------------------------------------------------------------
 */

static void put_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        const char *const entity = *text == '&'   ? "&amp;"
                                   : *text == '<' ? "&lt;"
                                   : *text == '>' ? "&gt;"
                                   : *text == '"' ? "&quot;"
                                                  : NULL;
        if (entity)
            fputs(entity, file);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
}

static void put_token(const ksk_lattice_page *page, ksk_side side, int32_t id, FILE *file)
{
    const char *const piece = id < 0 ? "·" : ksk_model_piece(page->model, side, id);
    if (piece)
        put_text(file, piece);
    else
        fprintf(file, "%" PRId32, id);
}

static void put_tokens(const ksk_lattice_page *page, ksk_side side, const int32_t *ids, int count,
                       FILE *file)
{
    for (int i = 0; i < count; i++) {
        if (i)
            fputc(' ', file);
        put_token(page, side, ids[i], file);
    }
}

/* How far a max-marginal is below the best, at most 0; sums in another order may differ by a hair.
 */
static double below(const ksk_round_record *round, float value)
{
    const double distance = (double)value - (double)round->best;
    return distance > -0.005 ? 0 : distance;
}

static double shown_value(const ksk_round_record *round, float value)
{
    return round->length == 1 ? (double)value : below(round, value);
}

/* --- candidates ---------------------------------------------------------------------------------
 */

/* What the line at the bottom of the page says. */
static void put_title(const ksk_lattice_page *page, const ksk_round_record *round,
                      const ksk_candidate *candidate, bool last, FILE *file)
{
    put_tokens(page, KSK_SIDE_TARGET, candidate->tokens, round->length, file);
    if (isnan(candidate->value))
        fputs(" — there in any case, so that outputs of every length can end", file);
    else if (round->length == 1)
        fprintf(file, " — log-probability %.2f", (double)candidate->value);
    else
        fprintf(file, " — max-marginal %.2f, %.2f below the best path", (double)candidate->value,
                fabs(below(round, candidate->value)));
    if (!last)
        fputs(candidate->kept ? ", kept" : ", pruned", file);
    if (candidate->chosen)
        fputs(", part of the output", file);
}

static void put_candidate(const ksk_lattice_page *page, const ksk_round_record *round,
                          const ksk_candidate *candidate, bool last, FILE *file)
{
    const double shown = shown_value(round, candidate->value);
    const double heat = isnan(shown) ? 0.5 : fmax(0, 1 + shown / 8);
    fprintf(file, "<li><button class=\"%s\" style=\"--h:%.2f\" data-t=\"",
            candidate->chosen         ? "yes"
            : candidate->kept || last ? ""
                                      : "no",
            heat);
    for (int i = 0; i < round->length; i++)
        fprintf(file, "%s%" PRId32, i ? " " : "", candidate->tokens[i]);
    fputs("\" title=\"", file);
    put_title(page, round, candidate, last, file);
    fputs("\"><b>", file);
    put_tokens(page, KSK_SIDE_TARGET, candidate->tokens, round->length, file);
    if (isnan(candidate->value))
        fputs("</b><i></i></button>\n", file);
    else
        fprintf(file, "</b><i>%.2f</i></button>\n", shown);
}

static void put_column(const ksk_lattice_page *page, const ksk_round_record *round, int position,
                       bool last, FILE *file)
{
    const ksk_column *const column = &round->columns[position];
    fprintf(file, "<div><h3>position %d</h3><ol>\n", position + 1);
    for (int i = 0; i < column->count; i++)
        put_candidate(page, round, &column->candidates[i], last, file);
    fputs("</ol>", file);
    if (column->more)
        fprintf(file, "<div class=\"more\">and %" PRId64 " more</div>", column->more);
    fputs("</div>\n", file);
}

/* --- rounds -------------------------------------------------------------------------------------
 */

static void put_explanation(const ksk_round_record *round, bool last, FILE *file)
{
    const int64_t candidates = ksk_round_candidates(round), kept = ksk_round_kept(round);
    if (round->length == 1)
        fprintf(file,
                "<p>Every position by itself: the words that fit best, with their "
                "log-probabilities. Of %" PRId64 ", %" PRId64 " are kept. ",
                candidates, kept);
    else
        fprintf(file,
                "<p>Sequences of %d tokens, each given up to %d before it. The number is the score "
                "of the best complete path through it, below that of the best path of all. ",
                round->length, round->length - 1);
    if (round->length > 1 && last)
        fprintf(file, "The best path of %" PRId64 " sequences is the output. ", candidates);
    else if (round->length > 1)
        fprintf(file, "Of %" PRId64 " on a path, %" PRId64 " are kept. ", candidates, kept);
    fprintf(file, "Rows that the model scored: %" PRId64 ".</p>\n", round->rows);
}

static void put_round(const ksk_lattice_page *page, int number, FILE *file)
{
    const ksk_round_record *const round = &page->record->rounds[number];
    const bool last = number == page->record->count - 1;
    fprintf(file, "<section aria-labelledby=\"round-%d\"><h2 id=\"round-%d\">Round %d</h2>\n",
            number, number, number);
    put_explanation(round, last, file);
    fprintf(file,
            "<div class=\"lattice\" role=\"group\" tabindex=\"0\" aria-label=\"Candidates of round "
            "%d at each position\">\n",
            number);
    for (int l = 0; l < round->positions; l++)
        put_column(page, round, l, last, file);
    fputs("</div></section>\n", file);
}

/* --- lengths ------------------------------------------------------------------------------------
 */

static void put_length_row(const ksk_lattice_record *r, int length, FILE *file)
{
    fprintf(file, "<tr><th scope=\"row\">%d</th>", length);
    for (int i = 1; i < r->count; i++) {
        const double distance = below(&r->rounds[i], r->rounds[i].of_length[length]);
        if (isfinite(distance))
            fprintf(file, "<td%s>%.2f</td>", distance == 0 ? " class=\"yes\"" : "", distance);
        else
            fputs("<td>–</td>", file);
    }
    fputs("</tr>\n", file);
}

static void put_lengths(const ksk_lattice_record *r, FILE *file)
{
    fputs("<section aria-labelledby=\"lengths\"><h2 id=\"lengths\">Lengths</h2>\n<p>Outputs of "
          "these lengths, the end counted, compete in one lattice. The best path of each, below "
          "the best of all, round by round.</p>\n<div class=\"scroll\" tabindex=\"0\" "
          "role=\"group\" aria-label=\"Lengths\"><table><thead><tr><th scope=\"col\">tokens</th>",
          file);
    for (int i = 1; i < r->count; i++)
        fprintf(file, "<th scope=\"col\">round %d</th>", i);
    fputs("</tr></thead><tbody>\n", file);
    for (int n = r->lo; n <= r->hi; n++)
        put_length_row(r, n, file);
    fputs("</tbody></table></div></section>\n", file);
}

/* --- the page -----------------------------------------------------------------------------------
 */

static void put_summary(const ksk_lattice_page *page, FILE *file)
{
    const ksk_translation *const t = page->translation;
    const ksk_lattice_record *const r = page->record;
    fputs("<h1>What the cascade did</h1>\n<dl><dt>source</dt><dd>", file);
    put_text(file, page->source);
    fputs("</dd><dt>its tokens</dt><dd>", file);
    put_tokens(page, KSK_SIDE_SOURCE, t->source_ids, t->source_id_count, file);
    fputs("</dd><dt>output</dt><dd><strong>", file);
    put_text(file, t->text);
    fputs("</strong></dd><dt>its tokens</dt><dd>", file);
    put_tokens(page, KSK_SIDE_TARGET, t->alternatives[0].ids, t->alternatives[0].id_count, file);
    fprintf(file,
            "</dd><dt>score</dt><dd>%.3f, its log-probability when each token sees up to %d before "
            "it</dd><dt>settings</dt><dd>%d states at a position, %d rounds, lengths from %d to %d "
            "tokens</dd></dl>\n",
            t->alternatives[0].score, r->count - 1, r->topk, r->count, r->lo, r->hi);
    fputs("<p class=\"soft\">Framed: part of the output. Struck out: pruned. The stronger the "
          "colour, the nearer to the best path. Arrow keys go from candidate to candidate; a bar "
          "at the left "
          "marks those that overlap with the one in focus.</p>\n",
          file);
}

static void put_nav(const ksk_lattice_record *r, FILE *file)
{
    fputs("<nav aria-label=\"Rounds\">", file);
    for (int i = 0; i < r->count; i++)
        fprintf(file, "<a href=\"#round-%d\">Round %d</a>", i, i);
    fputs("<a href=\"#lengths\">Lengths</a></nav>\n", file);
}

void ksk_lattice_page_write(const ksk_lattice_page *page, FILE *file)
{
    fputs(head, file);
    fputs("<title>Cascade: ", file);
    put_text(file, page->source);
    fputs("</title>\n", file);
    fputs(style, file);
    put_summary(page, file);
    put_nav(page->record, file);
    fputs("<main>\n", file);
    for (int i = 0; i < page->record->count; i++)
        put_round(page, i, file);
    put_lengths(page->record, file);
    fputs("</main>\n<div id=\"say\" role=\"status\">Choose a candidate to read about it "
          "here.</div>\n",
          file);
    fputs(script, file);
    fputs("</html>\n", file);
}
