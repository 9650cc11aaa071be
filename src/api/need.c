/* The most that translating needs, added up from what is known before the first line: the tensors'
 * shapes, the plans' buffers, and how many tokens the options let into a batch. */
#include "api/need.h"

#include <math.h>
#include <string.h>

#include "decode/lattice.h"
#include "graph/plan.h"
#include "scorer/plans.h"
#include "scorer/scorer.h"
#include "tensor/module.h"
#include "tensor/onednn.h"
#include "tensor/packing.h"

/* What was measured of the program with its libraries and an empty input, and of a vocabulary's
 * pieces with their maps, each rounded up. */
enum { program_bytes = 16 << 20, piece_bytes = 256 };

/* Lines that are translated in one call, as `kaskad translate` does it. */
enum { batches_at_once = 8 };

/* A line while it is cut and encoded, for each of its bytes: copies, tokens, the tokenizer's
 * lattice. Bytes that are not UTF-8 take most, since each becomes a character of three. */
enum { line_factor = 750, text_at_once = 4 << 20, text_factor = 4 };

/* --- weights ------------------------------------------------------------------------------------
 */

static int64_t product(const ksk_tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < ksk_tensor_rank(tensor); i++)
        count *= ksk_tensor_size(tensor, i);
    return count;
}

static int64_t stored_bytes(const ksk_tensor *leaf)
{
    return leaf->packing ? (int64_t)leaf->packing->bytes : (int64_t)ksk_tensor_bytes(leaf);
}

/* A matrix in panels, with the sums and scales that int8 has beside it. */
static int64_t packed_bytes(const ksk_tensor *matrix, ksk_precision precision, int panel)
{
    const int64_t rows = (ksk_tensor_size(matrix, 0) + panel - 1) / panel * panel;
    const int64_t columns = ksk_tensor_size(matrix, 1);
    return precision == KSK_PRECISION_INT8   ? rows * ((columns + 3) / 4 * 4 + 8)
           : precision == KSK_PRECISION_BF16 ? rows * columns * 2
                                             : rows * columns * 4;
}

/* Whether products take their weights from copies that the plans make. */
static bool plans_pack(const ksk_model *model)
{
    return model->compile.precision == KSK_PRECISION_F32 ||
           ksk_onednn_wanted(ksk_kernels_best(), model->compile.precision);
}

/* Matrices that are not packed in the file as they are used. */
static bool is_packed_here(const ksk_model *model, const ksk_tensor *leaf)
{
    return ksk_tensor_rank(leaf) == 2 && (plans_pack(model) || !leaf->packing ||
                                          model->stored.precision != model->compile.precision ||
                                          model->stored.panel != ksk_kernels_best()->panel);
}

typedef struct weights {
    int64_t mapped, packed, largest; /* the last: a matrix as floats */
} weights;

static weights measure_weights(const ksk_model *model)
{
    weights w = {0};
    for (int i = 0; i < ksk_module_leaves(model->module); i++) {
        const ksk_tensor *leaf = ksk_module_leaf(model->module, i);
        const int64_t floats = product(leaf) * 4;
        w.mapped += stored_bytes(leaf);
        if (is_packed_here(model, leaf))
            w.packed += packed_bytes(leaf, model->compile.precision, ksk_kernels_best()->panel);
        w.largest = floats > w.largest ? floats : w.largest;
    }
    return w;
}

static int64_t need_of_program(const ksk_model *model)
{
    return program_bytes +
           (int64_t)piece_bytes * (model->rules.source_vocabulary + model->rules.vocabulary);
}

int64_t ksk_model_need(const ksk_model *model)
{
    const weights w = measure_weights(model);
    return need_of_program(model) + w.mapped + w.packed + w.largest;
}

/* --- the sizes of a batch -----------------------------------------------------------------------
 */

/* Most of everything that is decoded together. */
typedef struct bounds {
    int64_t sentences, source; /* tokens of a source */
    int64_t sources;           /* tokens of all sources */
    int64_t length;            /* tokens of an output */
    int64_t rows, entries, slots;
    int64_t block; /* of a Markov Transformer, else 0 */
} bounds;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bounds bound_sources(const ksk_translator *translator)
{
    const ksk_translate_options *o = &translator->options;
    const ksk_sequence_rules *rules = &translator->model->rules;
    bounds b = {.sentences = o->batch_size, .source = rules->max_source, .block = rules->block};
    b.sources = b.sentences * b.source;
    if (o->batch_tokens)
        b.sources = least(b.sources, most(o->batch_tokens, b.source));
    b.sentences = least(b.sentences, b.sources);
    b.length = o->decode.max_length ? o->decode.max_length : rules->max_target;
    return b;
}

/* Rows of a left-to-right decoder: hypotheses, each of which may have a chain of slots of its own;
 * of a Markov Transformer, a block each. */
static bounds bound_rows(const ksk_translator *translator)
{
    const ksk_decode_options *o = &translator->options.decode;
    bounds b = bound_sources(translator);
    const int64_t copies = translator->decoder->searches ? most(o->beams, o->n_best) : o->n_best;
    b.rows = b.sentences * copies;
    b.entries = b.slots = b.rows * b.length;
    if (b.block)
        b.rows = b.entries = b.slots = b.rows * b.block;
    return b;
}

/* Bytes of a sentence's lattice and candidates, and of its scores, as the cascade counts them. */
static double lattice_bytes(const ksk_translator *translator, int64_t length, double *scores)
{
    const ksk_cascade_options *c = &translator->options.decode.cascade;
    const double hi = (double)length, vocabulary = translator->model->rules.vocabulary;
    const int rounds = c->rounds ? c->rounds : translator->model->rules.block;
    *scores = 4 * (c->support > 0 ? hi * fmax(vocabulary, c->topk * hi * c->support)
                                  : hi * c->topk * vocabulary);
    return ksk_lattice_bytes((ksk_window){2, (int)length}, c->topk, rounds) +
           hi * c->topk * c->topk * 16;
}

/* Rows of a cascade: the states of all positions, as many sentences at once as its memory takes.
 * A round's rows have the slots of those before them. */
static bounds bound_states(const ksk_translator *translator, int64_t *search)
{
    const ksk_translate_options *o = &translator->options;
    const ksk_cascade_options *c = &o->decode.cascade;
    const ksk_sequence_rules *rules = &translator->model->rules;
    bounds b = bound_sources(translator);
    const double slope = isnan(c->length_a) ? rules->length_a : c->length_a;
    const double offset = isnan(c->length_b) ? rules->length_b : c->length_b;
    const double longest = slope * (double)b.source + offset + 1 + c->delta;
    double scores;
    b.length = o->decode.max_length ? o->decode.max_length - 1 : rules->max_target;
    b.length = longest < (double)b.length ? most(2, (int64_t)longest) : b.length;
    const double lattice = lattice_bytes(translator, b.length, &scores);
    const double fitting = floor(fmax(1, (double)c->memory / (lattice + scores)));
    const double together = fmin((double)b.sentences, fitting);
    b.rows = (int64_t)together * b.length * c->topk;
    b.entries = b.rows * b.block;
    b.slots = 2 * b.rows * b.block;
    *search = (int64_t)(together * (c->support ? lattice + scores : lattice));
    return b;
}

static int64_t size_of(const void *context, const char *name)
{
    const bounds *b = context;
    return strcmp(name, "rows") == 0      ? b->rows
           : strcmp(name, "entries") == 0 ? b->entries
           : strcmp(name, "slots") == 0   ? b->slots
                                          : b->sources; /* source rows, source slots */
}

/* --- a scorer and its search --------------------------------------------------------------------
 */

typedef struct seat_need {
    int64_t weights, largest_plan, caches, layers, search;
} seat_need;

static void add_plan(seat_need *need, const ksk_plan *plan, const bounds *b)
{
    if (!plan)
        return;
    const ksk_plan_room room = ksk_plan_measure(plan, size_of, b, most(b->source, b->length));
    need->weights += room.weights;
    need->largest_plan = most(need->largest_plan, room.weights);
    need->caches = most(need->caches, room.caches);
    need->layers = most(need->layers, room.arena + room.scratch + room.outputs);
}

/* Ids of both fronts, chains of slots before and after a step, free slots, results; of sources what
 * ragged rows have. */
static int64_t bookkeeping(const bounds *b)
{
    return b->rows * b->length * 12 + b->entries * 12 + b->slots * 8 + b->sources * 28;
}

static seat_need measure_seat(const ksk_translator *translator)
{
    const bool cascades = translator->decoder->decode_markov;
    int64_t lattices = 0;
    const bounds b = cascades ? bound_states(translator, &lattices) : bound_rows(translator);
    seat_need need = {.search = lattices + bookkeeping(&b)};
    const ksk_purpose purpose = ksk_scorer_purpose(translator->decoder, translator->shortlist);
    const ksk_seq2seq_plans *plans = ksk_model_plans(translator->model, purpose, NULL);
    add_plan(&need, plans->remember, &b);
    add_plan(&need, plans->step, &b);
    add_plan(&need, plans->project, &b);
    if (translator->shortlist) /* chosen rows of the last product, in f32, and their logits */
        need.layers +=
            translator->model->rules.vocabulary *
            ((b.rows + (int64_t)ksk_tensor_size(ksk_module_leaf(translator->model->module, 0), 1)) *
             4);
    return need;
}

/* A line that is as long as may be, the text of a window, and what comes out. */
static int64_t need_of_text(const ksk_translator *translator)
{
    const ksk_translate_options *o = &translator->options;
    const int64_t length =
        o->decode.max_length ? o->decode.max_length : translator->model->rules.max_target;
    const int64_t window =
        least(text_at_once, batches_at_once * o->batch_size * most(o->line_limit, 1));
    return o->line_limit * line_factor + window * text_factor +
           (int64_t)batches_at_once * o->batch_size * o->decode.n_best * length * 16;
}

void ksk_translator_need(const ksk_translator *translator, ksk_memory_need *need)
{
    const ksk_model *model = translator->model;
    const weights w = measure_weights(model);
    const seat_need seat = measure_seat(translator);
    const int64_t threads = translator->options.threads, seats = threads > 1 ? threads + 1 : 1;
    *need = (ksk_memory_need){.program = need_of_program(model),
                              .weights = w.mapped,
                              .caches = seats * seat.caches,
                              .layers = seats * seat.layers,
                              .search = seats * seat.search + need_of_text(translator)};
    if (plans_pack(model))
        need->weights += seat.weights;
    else
        need->weights += w.packed;
    /* Packing is over before decoding begins. */
    const int64_t passing = plans_pack(model) ? seat.largest_plan : 0;
    need->layers = most(need->layers, passing - need->caches - need->search);
    need->total = need->program + need->weights + need->caches + need->layers + need->search;
}

/* --- limits -------------------------------------------------------------------------------------
 */

static long long megabytes(int64_t bytes)
{
    return (long long)((bytes + (1 << 20) - 1) >> 20);
}

bool ksk_model_fits(const ksk_model *model, int64_t limit, ksk_error *err)
{
    const int64_t need = limit ? ksk_model_need(model) : 0;
    return need <= limit ||
           ksk_fail(err, KSK_OUT_OF_MEMORY,
                    "%s needs %lld MiB with its weights in %s; the memory limit is %lld MiB. %s",
                    model->directory, megabytes(need), ksk_precision_name(model->compile.precision),
                    megabytes(limit),
                    model->compile.precision == KSK_PRECISION_INT8
                        ? "Raise it"
                        : "Raise it, or compute in int8");
}

bool ksk_translator_fits(const ksk_translator *translator, ksk_error *err)
{
    const ksk_translate_options *o = &translator->options;
    const bool cascades = translator->decoder->decode_markov;
    ksk_memory_need n;
    if (!o->memory_limit)
        return true;
    ksk_translator_need(translator, &n);
    return n.total <= o->memory_limit ||
           ksk_fail(
               err, KSK_OUT_OF_MEMORY,
               "translating may need %lld MiB (program %lld, weights %lld, caches %lld, layers "
               "%lld, search and text %lld); the memory limit is %lld MiB. Raise it, or lower "
               "the batch size (%d), threads (%d), max_length (%d), %s (%d) or the line limit, or "
               "set the batch's tokens%s",
               megabytes(n.total), megabytes(n.program), megabytes(n.weights), megabytes(n.caches),
               megabytes(n.layers), megabytes(n.search), megabytes(o->memory_limit), o->batch_size,
               o->threads, o->decode.max_length, cascades ? "topk" : "beams",
               cascades ? o->decode.cascade.topk : o->decode.beams,
               translator->model->compile.precision == KSK_PRECISION_INT8 ? ""
                                                                          : ", or compute in int8");
}
