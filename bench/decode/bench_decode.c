/* Decoding: tokens a second, latency, and how near that is to what the machine could do.
 *
 *     bench_decode [MODEL] [--batches 1,8,32,128] [--decoders greedy,beam]
 *                  [--precisions f32,bf16,int8] [--lengths short,long] …   (--help)
 *
 * For each combination sentences are translated by the library: all of them in one call (tokens a
 * second; the median of several), and a batch a call (the latency of a batch: median, 95 per cent).
 * The floor is the least time that the products of that work can take: for each, the larger of its
 * operations at the rate of a loop of nothing but multiply-and-adds, and its weights at the
 * bandwidth over a buffer as large as all weights that a step reads; both are measured in the same
 * run, with as many threads. What was multiplied is counted by a profile in a pass of its own.
 *
 * Further: time per token as the target grows, time from the program's start to its first line, and
 * its memory as it goes on. */
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/model.h"
#include "graph/plan.h"
#include "graph/profile.h"
#include "kaskad/kaskad.h"
#include "program.h"
#include "scorer/plans.h"
#include "tensor/limits.h"

enum { most_lines = 4096, most_bytes = 1 << 16, precisions = 3, most_items = 16 };

static const char *const precision_names[] = {"f32", "bf16", "int8"};

typedef struct settings {
    const char *model, *text, *program, *json;
    const char *batches, *decoders, *precisions, *lengths, *targets;
    int threads, beam, sentences, joined, repeats, max_length, starts, memory_lines;
} settings;

static void die(const char *what)
{
    fprintf(stderr, "bench_decode: %s\n", what);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory)
        die("out of memory");
    return memory;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value that a share of the samples does not exceed; sorts them. */
static double quantile(double *samples, int count, double share)
{
    qsort(samples, (size_t)count, sizeof *samples, by_value);
    const int at = (int)ceil(share * count) - 1;
    return samples[at < 0 ? 0 : at];
}

static double median(double *samples, int count)
{
    return quantile(samples, count, 0.5);
}

/* "a,b,c" cut into its items. */
static int cut(const char *list, char *copy, size_t size, char **items)
{
    int count = 0;
    snprintf(copy, size, "%s", list);
    for (char *item = strtok(copy, ","); item && count < most_items; item = strtok(NULL, ","))
        items[count++] = item;
    return count;
}

/* --- text --------------------------------------------------------------------------------------
 */

typedef struct text {
    char *lines[most_lines];
    int count;
} text;

/* The first columns of a file's lines. */
static void read_text(text *t, const char *path)
{
    static char line[most_bytes];
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    while (t->count < most_lines && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\t\r\n")] = '\0';
        if (line[0])
            t->lines[t->count++] = need(strdup(line));
    }
    fclose(file);
    if (t->count == 0)
        die("the text is empty");
}

/* `count` sentences, each of `joined` lines in a row; beyond the end from the beginning. */
static char **join_lines(const text *t, int count, int joined)
{
    char **sentences = need(calloc((size_t)count, sizeof *sentences));
    for (int i = 0; i < count; i++) {
        size_t size = 0;
        FILE *out = need(open_memstream(&sentences[i], &size));
        for (int j = 0; j < joined; j++)
            fprintf(out, "%s%s", j ? " " : "", t->lines[(i * joined + j) % t->count]);
        if (fclose(out) != 0)
            die("out of memory");
    }
    return sentences;
}

static void free_sentences(char **sentences, int count)
{
    for (int i = 0; i < count; i++)
        free(sentences[i]);
    free(sentences);
}

/* --- the machine -------------------------------------------------------------------------------
 */

/* What bounds a precision, all threads together. */
typedef struct limit {
    ksk_model *model;
    double step_bytes;                 /* of weights that a step reads */
    double step_reading, rate;         /* bytes, operations a second */
    double other_bytes, other_reading; /* of the plan that was asked for last */
} limit;

static double reading(limit *l, double bytes, ksk_pool *pool)
{
    if (bytes == l->step_bytes)
        return l->step_reading;
    if (bytes != l->other_bytes)
        l->other_reading = ksk_limit_bytes((size_t)bytes, pool);
    l->other_bytes = bytes;
    return l->other_reading;
}

static limit measure_limit(const settings *s, ksk_precision precision, ksk_pool *pool)
{
    ksk_error err = {0};
    const ksk_load_options options = {.precision = precision};
    limit l = {.model = ksk_model_load(s->model, &options, &err)};
    const ksk_seq2seq_plans *plans =
        l.model ? ksk_model_plans(l.model, KSK_TO_GENERATE, &err) : NULL;
    if (!plans)
        die(err.message);
    l.step_bytes = (double)plans->step->weight_bytes;
    l.step_reading = ksk_limit_bytes(plans->step->weight_bytes, pool);
    l.rate = ksk_limit_operations(ksk_kernels_best(), precision, pool);
    return l;
}

static json_t *print_limit(const limit *l, ksk_precision precision)
{
    printf("%-5s  a step reads %.1f MB of weights at %.1f GB/s: %.0f us; %.0f GFLOP/s at most\n",
           precision_names[precision], 1e-6 * l->step_bytes, 1e-9 * l->step_reading,
           1e6 * l->step_bytes / l->step_reading, 1e-9 * l->rate);
    return json_pack("{s:s, s:f, s:f, s:f}", "precision", precision_names[precision],
                     "step_weight_bytes", l->step_bytes, "bytes_per_second", l->step_reading,
                     "operations_per_second", l->rate);
}

/* --- one combination ---------------------------------------------------------------------------
 */

typedef struct row {
    const char *decoder, *length;
    ksk_precision precision;
    int batch, sentences;
    int64_t tokens;                   /* of the targets, end tokens included */
    double seconds, fastest, slowest; /* of all sentences in one call */
    double latency, latency95, alone; /* of a batch; of all batches, one after the other */
    double floor;                     /* seconds */
} row;

static ksk_translator *new_translator(const settings *s, const ksk_model *model,
                                      const char *decoder, int batch, int exact_length)
{
    ksk_error err = {0};
    ksk_translate_options options = ksk_translate_defaults(model);
    options.decoder = decoder;
    options.decode.beams = strcmp(decoder, "beam") == 0 ? s->beam : 1;
    options.threads = s->threads;
    options.batch_size = batch;
    if (s->max_length)
        options.decode.max_length = s->max_length;
    if (exact_length)
        options.decode.min_length = options.decode.max_length = exact_length + 1;
    ksk_translator *translator = ksk_translator_new(model, &options, &err);
    if (!translator)
        die(err.message);
    return translator;
}

/* Seconds of one call; `tokens` gets how many came out. */
static double translate(ksk_translator *translator, char *const *sentences, int count,
                        int64_t *tokens)
{
    ksk_error err = {0};
    ksk_translation *out = need(calloc((size_t)count, sizeof *out));
    const double begin = now();
    if (!ksk_translate(translator, count, (const char *const *)sentences, out, &err))
        die(err.message);
    const double seconds = now() - begin;
    *tokens = 0;
    for (int i = 0; i < count; i++) {
        *tokens += out[i].alternatives[0].id_count;
        ksk_translation_clear(&out[i]);
    }
    free(out);
    return seconds;
}

/* The least time of the products of a call. */
static double floor_of(ksk_translator *translator, char *const *sentences, int count, limit *l,
                       ksk_pool *pool)
{
    ksk_error err = {0};
    int64_t tokens;
    int entries;
    double sum = 0;
    ksk_profile *profile = ksk_profile_start(&err);
    if (!profile)
        die(err.message);
    translate(translator, sentences, count, &tokens);
    ksk_profile_stop(profile);
    ksk_entry *list = ksk_profile_entries(profile, &entries, &err);
    if (!list)
        die(err.message);
    for (int i = 0; i < entries; i++) {
        const double plan = (double)list[i].activity.sizes[PRODUCT_PLAN_BYTES];
        if (ksk_entry_is_product(&list[i]))
            sum += fmax(list[i].operations / l->rate, list[i].bytes / reading(l, plan, pool));
    }
    ksk_free(list);
    ksk_profile_free(profile);
    return sum;
}

static void measure_latency(const settings *s, ksk_translator *translator, char *const *sentences,
                            row *r)
{
    const int batches = (r->sentences + r->batch - 1) / r->batch;
    double *samples = need(calloc((size_t)(batches * s->repeats), sizeof *samples));
    int count = 0;
    for (int repeat = 0; repeat < s->repeats; repeat++)
        for (int first = 0; first < r->sentences; first += r->batch) {
            const int left = r->sentences - first;
            int64_t tokens;
            samples[count] = translate(translator, sentences + first,
                                       left < r->batch ? left : r->batch, &tokens);
            r->alone += samples[count++] / s->repeats;
        }
    r->latency = median(samples, count);
    r->latency95 = quantile(samples, count, 0.95);
    free(samples);
}

static void measure_row(const settings *s, const text *t, limit *l, ksk_pool *pool, row *r)
{
    const int least = s->threads * r->batch;
    r->sentences = s->sentences > least ? s->sentences : least;
    char **sentences = join_lines(t, r->sentences, strcmp(r->length, "long") == 0 ? s->joined : 1);
    ksk_translator *translator = new_translator(s, l->model, r->decoder, r->batch, 0);
    r->floor = floor_of(translator, sentences, r->sentences, l, pool);
    double *samples = need(calloc((size_t)s->repeats, sizeof *samples));
    for (int i = 0; i < s->repeats; i++)
        samples[i] = translate(translator, sentences, r->sentences, &r->tokens);
    r->seconds = median(samples, s->repeats);
    r->fastest = samples[0];
    r->slowest = samples[s->repeats - 1];
    measure_latency(s, translator, sentences, r);
    ksk_translator_free(translator);
    free_sentences(sentences, r->sentences);
    free(samples);
}

static json_t *print_row(const row *r)
{
    printf("%-5s %-7s %-6s %5d %9d %8lld %9.0f %10.2f %10.2f %9.3f %7.0f%% %7.0f%%\n",
           precision_names[r->precision], r->decoder, r->length, r->batch, r->sentences,
           (long long)r->tokens, (double)r->tokens / r->seconds, 1e3 * r->latency,
           1e3 * r->latency95, r->floor, 100 * r->floor / r->seconds, 100 * r->floor / r->alone);
    fflush(stdout);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
                     "precision", precision_names[r->precision], "decoder", r->decoder, "length",
                     r->length, "batch", r->batch, "sentences", r->sentences, "tokens",
                     (json_int_t)r->tokens, "seconds", r->seconds, "fastest", r->fastest, "slowest",
                     r->slowest, "tokens_per_second", (double)r->tokens / r->seconds, "latency",
                     r->latency, "latency95", r->latency95, "floor", r->floor, "alone", r->alone);
}

static void sweep(const settings *s, const text *t, limit *limits, ksk_pool *pool, json_t *rows)
{
    char copies[3][200];
    char *decoders[most_items], *lengths[most_items], *batches[most_items];
    const int decoder_count = cut(s->decoders, copies[0], sizeof copies[0], decoders),
              length_count = cut(s->lengths, copies[1], sizeof copies[1], lengths),
              batch_count = cut(s->batches, copies[2], sizeof copies[2], batches);
    printf("\n%-5s %-7s %-6s %5s %9s %8s %9s %10s %10s %9s %8s %8s\n", "", "decoder", "length",
           "batch", "sentences", "tokens", "tokens/s", "median ms", "95 % ms", "floor s", "of it",
           "alone");
    for (int length = 0; length < length_count; length++)
        for (int batch = 0; batch < batch_count; batch++)
            for (int decoder = 0; decoder < decoder_count; decoder++)
                for (int p = 0; p < precisions; p++) {
                    row r = {.decoder = decoders[decoder],
                             .length = lengths[length],
                             .precision = (ksk_precision)p,
                             .batch = atoi(batches[batch])};
                    if (!limits[p].model)
                        continue;
                    if (r.batch < 1)
                        die("--batches: numbers from 1 on");
                    measure_row(s, t, &limits[p], pool, &r);
                    json_array_append_new(rows, print_row(&r));
                }
    printf("tokens/s: all sentences in one call, median of %d; ms: a call a batch; floor: least "
           "time of the products,\nand the share reached, in one call and with a call a batch\n",
           s->repeats);
}

/* --- as the target grows -----------------------------------------------------------------------
 */

/* Microseconds a token of targets of exactly `length` tokens, one sentence at a time. */
static double token_time(const settings *s, const text *t, const ksk_model *model, int length)
{
    enum { sentences = 5 };
    double samples[sentences];
    ksk_translator *translator = new_translator(s, model, "greedy", 1, length);
    for (int i = 0; i < sentences; i++) {
        int64_t tokens;
        translate(translator, &t->lines[i % t->count], 1, &tokens); /* the caches have grown */
        const double seconds = translate(translator, &t->lines[i % t->count], 1, &tokens);
        samples[i] = 1e6 * seconds / (double)tokens;
    }
    ksk_translator_free(translator);
    return median(samples, sentences);
}

static void measure_curve(const settings *s, const text *t, const limit *limits, json_t *curve)
{
    char copy[200], *items[most_items];
    const int count = cut(s->targets, copy, sizeof copy, items);
    printf("\nus a token, greedy, one sentence at a time, by target length\n");
    for (int p = 0; p < precisions; p++) {
        double first = 0;
        if (!limits[p].model)
            continue;
        printf("%-5s", precision_names[p]);
        for (int i = 0; i < count; i++) {
            const int length = atoi(items[i]);
            if (length < 2)
                die("--targets: numbers from 2 on");
            const double us = token_time(s, t, limits[p].model, length);
            first = i ? first : us;
            printf("  %d: %.0f (%.2f x)", length, us, us / first);
            json_array_append_new(curve,
                                  json_pack("{s:s, s:i, s:f}", "precision", precision_names[p],
                                            "length", length, "microseconds_per_token", us));
        }
        putchar('\n');
    }
}

/* --- the program -------------------------------------------------------------------------------
 */

static void measure_start(const settings *s, const text *t, const limit *limits, json_t *starts)
{
    double *samples = need(calloc((size_t)s->starts, sizeof *samples));
    for (int p = 0; p < precisions; p++) {
        const call how = {s->program, s->model, precision_names[p], s->threads, 1};
        if (!limits[p].model)
            continue;
        if (program_first_line(&how, t->lines[0]) < 0)
            die("the program failed; name another with --program");
        for (int i = 0; i < s->starts; i++)
            samples[i] = program_first_line(&how, t->lines[0]);
        const double middle = median(samples, s->starts);
        printf("\n%s: first line %.1f ms after the start (median of %d; fastest %.1f)",
               precision_names[p], 1e3 * middle, s->starts, 1e3 * samples[0]);
        json_array_append_new(starts, json_pack("{s:s, s:f, s:f}", "precision", precision_names[p],
                                                "seconds", middle, "fastest", samples[0]));
    }
    putchar('\n');
    free(samples);
}

static double checkpoint_megabytes(const settings *s)
{
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/model.safetensors", s->model);
    return stat(path, &status) == 0 ? 1e-6 * (double)status.st_size : 0;
}

static void measure_memory(const settings *s, const text *t, const limit *limits, json_t *memory)
{
    enum { marks = 10 };
    const double checkpoint = checkpoint_megabytes(s);
    printf("\nresident MB after each tenth of %d lines, batch 1; checkpoint %.1f MB\n",
           s->memory_lines, checkpoint);
    for (int p = 0; p < precisions; p++) {
        const call how = {s->program, s->model, precision_names[p], s->threads, 1};
        double megabytes[marks];
        if (!limits[p].model)
            continue;
        if (!program_memory(&how, (const char *const *)t->lines, t->count, s->memory_lines, marks,
                            megabytes))
            die("the program failed; name another with --program");
        json_t *list = json_array();
        printf("%-5s", precision_names[p]);
        for (int i = 0; i < marks; i++) {
            printf(" %7.1f", megabytes[i]);
            json_array_append_new(list, json_real(megabytes[i]));
        }
        putchar('\n');
        json_array_append_new(
            memory, json_pack("{s:s, s:f, s:I, s:o}", "precision", precision_names[p], "checkpoint",
                              checkpoint, "lines", (json_int_t)s->memory_lines, "megabytes", list));
    }
}

/* --- settings ----------------------------------------------------------------------------------
 */

static const char usage[] =
    "usage: bench_decode [MODEL] [OPTIONS]\n"
    "  MODEL              a checkpoint (models/tatoeba-deu-eng)\n"
    "  --text FILE        its lines' first columns (data/tatoeba-deu-eng/test.tsv)\n"
    "  --batches LIST     1,8,32,128; or none\n"
    "  --decoders LIST    greedy,beam\n"
    "  --precisions LIST  f32,bf16,int8\n"
    "  --lengths LIST     short,long\n"
    "  --joined N         lines that make a long sentence (6)\n"
    "  --sentences N      at least so many, and a batch for each thread (64)\n"
    "  --threads N        2\n"
    "  --beam N           5\n"
    "  --max-length N     0: the model's own (0)\n"
    "  --repeats N        3\n"
    "  --targets LIST     lengths for the time per token, or none (20,50,100,150,200)\n"
    "  --starts N         times that the program is started, or 0 (15)\n"
    "  --memory N         lines to translate for the memory's curve, as 50000; 0: none (0)\n"
    "  --program FILE     kaskad (build/kaskad)\n"
    "  --json FILE        everything as JSON too\n";

static void end_with_usage(bool asked)
{
    fputs(usage, asked ? stdout : stderr);
    exit(asked ? 0 : 2);
}

/* One option: where its text or its number goes. */
typedef struct target {
    const char *name, **text;
    int *number, least;
} target;

static void set(const target *to, const char *value)
{
    char *end;
    if (to->text) {
        *to->text = value;
        return;
    }
    const long number = strtol(value, &end, 10);
    if (end == value || *end || number < to->least || number > 100000000)
        die("a number is wrong; see --help");
    *to->number = (int)number;
}

static settings read_settings(int argc, char **argv)
{
    settings s = {.model = "models/tatoeba-deu-eng",
                  .text = "data/tatoeba-deu-eng/test.tsv",
                  .program = "build/kaskad",
                  .batches = "1,8,32,128",
                  .decoders = "greedy,beam",
                  .precisions = "f32,bf16,int8",
                  .lengths = "short,long",
                  .targets = "20,50,100,150,200",
                  .threads = 2,
                  .beam = 5,
                  .sentences = 64,
                  .joined = 6,
                  .repeats = 3,
                  .starts = 15};
    const target targets[] = {
        {"text", &s.text, NULL, 0},
        {"batches", &s.batches, NULL, 0},
        {"decoders", &s.decoders, NULL, 0},
        {"precisions", &s.precisions, NULL, 0},
        {"lengths", &s.lengths, NULL, 0},
        {"targets", &s.targets, NULL, 0},
        {"program", &s.program, NULL, 0},
        {"json", &s.json, NULL, 0},
        {"joined", NULL, &s.joined, 1},
        {"sentences", NULL, &s.sentences, 1},
        {"threads", NULL, &s.threads, 1},
        {"beam", NULL, &s.beam, 1},
        {"max-length", NULL, &s.max_length, 0},
        {"repeats", NULL, &s.repeats, 1},
        {"starts", NULL, &s.starts, 0},
        {"memory", NULL, &s.memory_lines, 0},
    };
    enum { count = sizeof targets / sizeof *targets };
    struct option known[count + 2] = {{NULL, 0, NULL, 0}};
    for (int i = 0; i < count; i++)
        known[i] = (struct option){targets[i].name, required_argument, NULL, 'A' + i};
    known[count] = (struct option){"help", no_argument, NULL, 'h'};
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (c < 'A' || c >= 'A' + count)
            end_with_usage(c == 'h');
        set(&targets[c - 'A'], optarg);
    }
    if (optind + 1 < argc)
        end_with_usage(false);
    s.model = optind < argc ? argv[optind] : s.model;
    return s;
}

static bool asked_for(const settings *s, int precision)
{
    char copy[200], *items[most_items];
    const int count = cut(s->precisions, copy, sizeof copy, items);
    for (int i = 0; i < count; i++)
        if (strcmp(items[i], precision_names[precision]) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    const settings s = read_settings(argc, argv);
    static text t;
    limit limits[precisions] = {{.model = NULL}};
    ksk_pool *pool = need(ksk_pool_new(s.threads, NULL));
    json_t *rows = json_array(), *curve = json_array(), *starts = json_array(),
           *memory = json_array(), *machine = json_array();
    read_text(&t, s.text);
    printf("%s, %d threads, %s\n", s.model, s.threads, ksk_isa());
    for (int p = 0; p < precisions; p++)
        if (asked_for(&s, p)) {
            limits[p] = measure_limit(&s, (ksk_precision)p, pool);
            json_array_append_new(machine, print_limit(&limits[p], (ksk_precision)p));
        }
    if (strcmp(s.batches, "none") != 0)
        sweep(&s, &t, limits, pool, rows);
    if (strcmp(s.targets, "none") != 0)
        measure_curve(&s, &t, limits, curve);
    if (s.starts)
        measure_start(&s, &t, limits, starts);
    if (s.memory_lines)
        measure_memory(&s, &t, limits, memory);
    json_t *all = json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:o}", "model", s.model, "threads",
                            s.threads, "isa", ksk_isa(), "limits", machine, "rows", rows, "curve",
                            curve, "start", starts, "memory", memory);
    if (s.json && json_dump_file(all, s.json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0)
        die("cannot write the JSON file");
    json_decref(all);
    for (int p = 0; p < precisions; p++)
        ksk_model_free(limits[p].model);
    for (int i = 0; i < t.count; i++)
        free(t.lines[i]);
    ksk_pool_free(pool);
    return 0;
}
