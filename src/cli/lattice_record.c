#include "cli/lattice_record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kaskad/memory.h"

/* A candidate on its way into a column: an edge, or a word of round 0. */
typedef struct entry {
    float value;
    int from, to; /* states of an edge; the word's id */
} entry;

static int by_value(const void *a, const void *b)
{
    const entry *const x = a, *const y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return x->from != y->from ? x->from - y->from : x->to - y->to;
}

static const int32_t *state_of(const ksk_cascade_view *v, int node, int k)
{
    return v->tokens + ((size_t)node * (size_t)v->topk + (size_t)k) * (size_t)v->room;
}

/* --- making room --------------------------------------------------------------------------------
 */

static bool open_round(ksk_lattice_record *r, ksk_round_record *round, int length, int positions)
{
    const size_t most = (size_t)r->topk + (size_t)r->pruned, n = (size_t)positions;
    round->length = length;
    round->best = -INFINITY;
    round->columns = ksk_calloc(n, sizeof *round->columns);
    round->tokens = ksk_calloc(n * most, (size_t)length * sizeof *round->tokens);
    round->of_length = ksk_calloc((size_t)r->hi + 1, sizeof *round->of_length);
    if (!round->columns || !round->tokens || !round->of_length)
        return false;
    for (round->positions = 0; round->positions < positions; round->positions++) {
        ksk_column *const column = &round->columns[round->positions];
        column->candidates = ksk_calloc(most, sizeof *column->candidates);
        if (!column->candidates)
            return false;
        for (size_t i = 0; i < most; i++)
            column->candidates[i].tokens =
                round->tokens + ((size_t)round->positions * most + i) * (size_t)length;
    }
    return true;
}

static int32_t *add(ksk_column *column, float value)
{
    ksk_candidate *const candidate = &column->candidates[column->count++];
    candidate->value = value;
    return candidate->tokens;
}

void ksk_lattice_record_clear(ksk_lattice_record *record)
{
    for (int i = 0; i < KSK_MOST_ROUNDS; i++) {
        ksk_round_record *const round = &record->rounds[i];
        for (int l = 0; round->columns && l < round->positions; l++)
            ksk_free(round->columns[l].candidates);
        ksk_free(round->columns);
        ksk_free(round->tokens);
        ksk_free(round->of_length);
    }
    ksk_free(record->output);
    *record = (ksk_lattice_record){.count = 0};
}

/* --- round 0 ------------------------------------------------------------------------------------
 */

static bool is_state(const ksk_cascade_view *v, int node, int32_t token)
{
    for (int k = 0; k < v->counts[node]; k++)
        if (state_of(v, node, k)[0] == token)
            return true;
    return false;
}

/* The words behind those that were kept, best first, into entries [pruned]. */
static int find_pruned(const ksk_cascade_view *v, int node, int pruned, entry *entries)
{
    const float *const row = v->log_probs + (size_t)node * (size_t)v->vocabulary;
    int count = 0;
    for (int id = 0; id < v->vocabulary; id++) {
        if (!isfinite(row[id]) || (count == pruned && !(row[id] > entries[count - 1].value)) ||
            is_state(v, node, id))
            continue;
        int at = count < pruned ? count++ : count - 1;
        for (; at > 0 && entries[at - 1].value < row[id]; at--)
            entries[at] = entries[at - 1];
        entries[at] = (entry){row[id], 0, id};
    }
    return count;
}

static void fill_words(const ksk_lattice_record *r, const ksk_cascade_view *v,
                       const ksk_round_record *round, int node, entry *entries)
{
    ksk_column *const column = &round->columns[node];
    const bool scored = v->log_probs && node < v->hi;
    for (int k = 0; k < v->counts[node]; k++) {
        const int32_t token = state_of(v, node, k)[0];
        const bool word = scored && token >= 0 && token != r->end;
        *add(column, word ? v->log_probs[(size_t)node * (size_t)v->vocabulary + (size_t)token]
                          : NAN) = token;
        column->candidates[column->count - 1].kept = true;
    }
    column->kept = column->count;
    if (!scored)
        return;
    const int count = r->pruned ? find_pruned(v, node, r->pruned, entries) : 0;
    for (int i = 0; i < count; i++)
        *add(column, entries[i].value) = entries[i].to;
    column->more = v->vocabulary - column->count;
}

/* --- other rounds -------------------------------------------------------------------------------
 */

static float marginal(const ksk_cascade_view *v, int edge, int from, int to)
{
    const size_t K = (size_t)v->topk, l = (size_t)edge;
    return v->alpha[l * K + (size_t)from] + v->potentials[(l * K + (size_t)from) * K + (size_t)to] +
           v->beta[(l + 1) * K + (size_t)to];
}

static void fill_edges(const ksk_lattice_record *r, const ksk_cascade_view *v,
                       ksk_round_record *round, int edge, entry *entries)
{
    ksk_column *const column = &round->columns[edge];
    size_t count = 0;
    for (int k = 0; k < v->counts[edge]; k++)
        for (int n = 0; n < v->counts[edge + 1]; n++) {
            const float value = marginal(v, edge, k, n);
            if (isfinite(value))
                entries[count++] = (entry){value, k, n};
        }
    qsort(entries, count, sizeof *entries, by_value);
    for (size_t i = 0; i < count && column->count < r->topk + r->pruned; i++) {
        int32_t *const tokens = add(column, entries[i].value);
        memcpy(tokens, state_of(v, edge, entries[i].from), (size_t)v->order * sizeof *tokens);
        tokens[v->order] = state_of(v, edge + 1, entries[i].to)[v->order - 1];
    }
    column->more = (int64_t)count - column->count;
    if (count && entries[0].value > round->best)
        round->best = entries[0].value;
}

static bool is_edge(const ksk_cascade_view *v, int node, int from, int to)
{
    const size_t K = (size_t)v->topk;
    return isfinite(v->potentials[((size_t)node * K + (size_t)from) * K + (size_t)to]);
}

/* Whether the model had to be asked what follows the state: what is not padding, behind what is not
 * the end. */
static bool is_asked(const ksk_lattice_record *r, const ksk_cascade_view *v, int node, int k)
{
    const int32_t last = state_of(v, node, k)[v->order - 1];
    bool asked = false;
    for (int n = 0; last >= 0 && last != r->end && !asked && n < v->counts[node + 1]; n++)
        asked = state_of(v, node + 1, n)[v->order - 1] >= 0 && is_edge(v, node, k, n);
    return asked;
}

static int64_t count_rows(const ksk_lattice_record *r, const ksk_cascade_view *v)
{
    int64_t rows = v->round == 0 ? v->hi : 0;
    for (int l = 0; v->round > 0 && l < v->length - v->order; l++)
        for (int k = 0; k < v->counts[l]; k++)
            rows += is_asked(r, v, l, k);
    return rows;
}

/* The end stands in a state of one node at least that is no later than it. */
static void fill_lengths(const ksk_lattice_record *r, const ksk_cascade_view *v,
                         const ksk_round_record *round)
{
    for (int n = 0; n <= r->hi; n++) {
        const int node = n > v->order ? n - v->order : 0;
        round->of_length[n] = -INFINITY;
        for (int k = 0; n > 0 && k < v->counts[node]; k++) {
            const size_t at = (size_t)node * (size_t)v->topk + (size_t)k;
            const float score = v->alpha[at] + v->beta[at];
            if (state_of(v, node, k)[n - 1 - node] == r->end && score > round->of_length[n])
                round->of_length[n] = score;
        }
    }
}

int64_t ksk_round_candidates(const ksk_round_record *round)
{
    int64_t sum = 0;
    for (int l = 0; l < round->positions; l++)
        sum += round->columns[l].count + round->columns[l].more;
    return sum;
}

int64_t ksk_round_kept(const ksk_round_record *round)
{
    int64_t sum = 0;
    for (int l = 0; l < round->positions; l++)
        sum += round->columns[l].kept;
    return sum;
}

/* --- what became of candidates ------------------------------------------------------------------
 */

static bool is_kept(const ksk_cascade_view *v, int node, const int32_t *tokens)
{
    for (int k = 0; k < v->counts[node]; k++)
        if (!memcmp(state_of(v, node, k), tokens, (size_t)v->order * sizeof *tokens))
            return true;
    return false;
}

/* The states of this round are what was kept of the candidates before. */
static void mark_kept(const ksk_round_record *before, const ksk_cascade_view *v)
{
    for (int l = 0; l < before->positions; l++) {
        ksk_column *const column = &before->columns[l];
        column->kept = v->counts[l];
        for (int i = 0; i < column->count; i++)
            column->candidates[i].kept = is_kept(v, l, column->candidates[i].tokens);
    }
}

static void mark_chosen(const ksk_lattice_record *r)
{
    for (int i = 0; i < r->count; i++)
        for (int l = 0; l < r->rounds[i].positions; l++) {
            const ksk_column *const column = &r->rounds[i].columns[l];
            for (int c = 0; c < column->count; c++)
                column->candidates[c].chosen =
                    !memcmp(column->candidates[c].tokens, r->output + l,
                            (size_t)r->rounds[i].length * sizeof *r->output);
        }
}

static bool take_output(ksk_lattice_record *r, const ksk_cascade_view *v)
{
    r->output = ksk_calloc((size_t)r->length, sizeof *r->output);
    if (!r->output)
        return false;
    memcpy(r->output, state_of(v, 0, v->path[0]), (size_t)v->order * sizeof *r->output);
    for (int l = 1; l <= r->length - v->order; l++)
        r->output[v->order + l - 1] = state_of(v, l, v->path[l])[v->order - 1];
    mark_chosen(r);
    return true;
}

/* --- a round ------------------------------------------------------------------------------------
 */

static bool record_round(ksk_lattice_record *r, const ksk_cascade_view *v)
{
    ksk_round_record *const round = &r->rounds[r->count];
    const bool first = v->round == 0;
    const size_t K = (size_t)v->topk, most = first ? (size_t)r->pruned + 1 : K * K;
    entry *entries = ksk_calloc(most, sizeof *entries);
    const bool ok = entries && open_round(r, round, first ? 1 : v->order + 1,
                                          first ? v->length : v->length - v->order);
    for (int l = 0; ok && l < round->positions; l++) {
        if (first)
            fill_words(r, v, round, l, entries);
        else
            fill_edges(r, v, round, l, entries);
    }
    ksk_free(entries);
    round->rows = count_rows(r, v);
    if (ok && !first)
        fill_lengths(r, v, round);
    return ok;
}

void ksk_lattice_see(void *record, const ksk_cascade_view *v)
{
    ksk_lattice_record *const r = record;
    if (r->failed || r->count == KSK_MOST_ROUNDS)
        return;
    r->topk = v->topk;
    r->lo = v->lo;
    r->hi = v->hi;
    r->length = v->length;
    if (v->round > 1)
        mark_kept(&r->rounds[r->count - 1], v);
    r->failed = !record_round(r, v);
    r->count += !r->failed;
    if (!r->failed && v->path)
        r->failed = !take_output(r, v);
}
