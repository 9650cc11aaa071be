/* Tokens per second of a training step, and the memory that it takes.
 *
 *     bench_step [MODEL] [--batches FILE] [--tokens N] [--length L] [--threads T] [--steps S]
 *
 * MODEL is a directory with a config.json (models/tatoeba-deu-eng); the weights are drawn. The
 * batches are those of FILE (a pair a line, "1 2 3<TAB>4 5 6", an empty line between batches), or
 * one of about N target tokens in random sentences of L/2 to 3L/2 tokens. After a step to warm up,
 * S steps are timed (dropout 0.1, label smoothing 0.1, Adam) and one JSON line is printed: target
 * tokens per second over all steps and of the best one, seconds per step, peak resident MiB. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "io/checkpoint.h"
#include "kaskad/memory.h"
#include "train/step.h"

static void die(const char *what)
{
    fprintf(stderr, "bench_step: %s\n", what);
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

/* --- batches -----------------------------------------------------------------------------------
 */

typedef struct side {
    int32_t **ids;
    int *lengths;
    size_t id_room, length_room;
} side;

typedef struct pairs {
    int count;
    int64_t tokens;
    side source, target;
} pairs;

typedef struct batches {
    pairs *list;
    size_t count, room;
} batches;

static void add_side(side *s, int at, const int32_t *ids, int length)
{
    const size_t count = (size_t)at + 1;
    if (!ksk_grow(&s->ids, &s->id_room, count, sizeof *s->ids) ||
        !ksk_grow(&s->lengths, &s->length_room, count, sizeof *s->lengths))
        die("out of memory");
    s->ids[at] = need(ksk_malloc((size_t)length * sizeof **s->ids));
    memcpy(s->ids[at], ids, (size_t)length * sizeof *ids);
    s->lengths[at] = length;
}

static pairs *new_batch(batches *all)
{
    if (!ksk_grow(&all->list, &all->room, all->count + 1, sizeof *all->list))
        die("out of memory");
    all->list[all->count] = (pairs){0};
    return &all->list[all->count++];
}

enum { longest = 4096 };

static void draw_batch(batches *all, int64_t tokens, int length, int vocabulary)
{
    const ksk_key key = ksk_key_from_seed(1);
    uint64_t draw = 0;
    int32_t ids[longest];
    pairs *batch = new_batch(all);
    while (batch->tokens < tokens) {
        side *sides[] = {&batch->source, &batch->target};
        for (int s = 0; s < 2; s++) {
            const int count =
                length / 2 + 1 + (int)(ksk_random_bits(key, draw++) % (uint32_t)length);
            for (int i = 0; i < count; i++)
                ids[i] = (int32_t)(ksk_random_bits(key, draw++) % (uint32_t)vocabulary);
            add_side(sides[s], batch->count, ids, count);
        }
        batch->tokens += batch->target.lengths[batch->count++];
    }
}

static void read_ids(char *text, side *s, int at)
{
    int32_t ids[longest];
    int count = 0;
    for (char *word = strtok(text, " \n"); word && count < longest; word = strtok(NULL, " \n"))
        ids[count++] = (int32_t)strtol(word, NULL, 10);
    add_side(s, at, ids, count);
}

static void read_batches(batches *all, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    pairs *batch = NULL;
    if (!file)
        die(strerror(errno));
    while (getline(&line, &room, file) > 0) {
        char *tab = strchr(line, '\t');
        if (!tab) {
            batch = NULL;
            continue;
        }
        batch = batch ? batch : new_batch(all);
        *tab = '\0';
        read_ids(line, &batch->source, batch->count);
        read_ids(tab + 1, &batch->target, batch->count);
        batch->tokens += batch->target.lengths[batch->count++];
    }
    free(line);
    fclose(file);
}

/* --- steps -------------------------------------------------------------------------------------
 */

static ksk_trainer *new_trainer(const char *directory, int threads, int *vocabulary)
{
    ksk_error err = {0};
    ksk_config *config = ksk_config_load(directory, "config.json", &err);
    const ksk_model_type *type =
        config ? ksk_model_type_find(ksk_config_string(config, "model_type", "")) : NULL;
    if (!type)
        die(config ? "no such model_type" : err.message);
    const int positions = ksk_config_int(config, "max_position_embeddings", 512, 1, 1 << 20);
    *vocabulary = ksk_config_int(config, "vocab_size", 1000, 1, 1 << 22);
    ksk_module *declared = type->declare(config, &err);
    ksk_module *module = declared ? ksk_module_init(declared, ksk_key_from_seed(1), &err) : NULL;
    const ksk_sequence_rules rules = {.source_vocabulary = *vocabulary,
                                      .vocabulary = *vocabulary,
                                      .start_id = 1,
                                      .end_id = 2,
                                      .pad_id = -1,
                                      .max_source = positions,
                                      .max_target = positions};
    const ksk_step_options options = {.dropout = 0.1F,
                                      .objective.label_smoothing = 0.1F,
                                      .optimiser = ksk_optimiser_defaults(&ksk_adam),
                                      .threads = threads};
    ksk_trainer *trainer = module ? ksk_trainer_new(type, module, &rules, &options, &err) : NULL;
    if (!trainer)
        die(err.message);
    ksk_module_release(module);
    ksk_module_release(declared);
    ksk_config_free(config);
    return trainer;
}

static void step(ksk_trainer *trainer, const pairs *p, uint64_t number)
{
    ksk_error err = {0};
    double loss;
    int64_t tokens;
    const ksk_batch batch = {p->count, (const int32_t *const *)p->source.ids, p->source.lengths,
                             (const int32_t *const *)p->target.ids, p->target.lengths};
    if (!ksk_trainer_accumulate(trainer, &batch, ksk_key_from_seed(number), &loss, &tokens, &err) ||
        !ksk_trainer_update(trainer, 1e-4F, NULL, &err))
        die(err.message);
}

static void measure(ksk_trainer *trainer, const batches *all, int steps)
{
    double best = 0;
    int64_t tokens = 0;
    step(trainer, &all->list[0], 0);
    const double begin = now();
    for (int i = 0; i < steps; i++) {
        const pairs *batch = &all->list[(size_t)i % all->count];
        const double start = now();
        step(trainer, batch, (uint64_t)i + 1);
        const double rate = (double)batch->tokens / (now() - start);
        best = rate > best ? rate : best;
        tokens += batch->tokens;
    }
    const double seconds = now() - begin;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"tokens_per_second\": %.1f, \"best\": %.1f, \"seconds_per_step\": %.4f, \"mib\": "
           "%.1f}\n",
           (double)tokens / seconds, best, seconds / steps, (double)usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"batches", 1, NULL, 'b'}, {"tokens", 1, NULL, 'n'},
                                          {"length", 1, NULL, 'l'},  {"threads", 1, NULL, 't'},
                                          {"steps", 1, NULL, 's'},   {NULL, 0, NULL, 0}};
    const char *path = NULL;
    long tokens = 4096, length = 20, threads = 2, steps = 3;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        long *const number = c == 'n'   ? &tokens
                             : c == 'l' ? &length
                             : c == 't' ? &threads
                             : c == 's' ? &steps
                                        : NULL;
        if (c == '?')
            return 2;
        if (number)
            *number = strtol(optarg, NULL, 10);
        else
            path = optarg;
    }
    if (optind + 1 < argc || steps < 1 || length < 1 || length > longest / 2)
        die("usage: bench_step [MODEL] [--batches FILE] [--tokens N] [--length L] [--threads T] "
            "[--steps S]");
    int vocabulary = 0;
    const char *model = optind < argc ? argv[optind] : "models/tatoeba-deu-eng";
    ksk_trainer *trainer = new_trainer(model, (int)threads, &vocabulary);
    batches all = {NULL, 0, 0};
    if (path)
        read_batches(&all, path);
    else
        draw_batch(&all, tokens, (int)length, vocabulary);
    if (all.count == 0)
        die("no batches");
    measure(trainer, &all, (int)steps);
    ksk_trainer_free(trainer);
    return 0;
}
