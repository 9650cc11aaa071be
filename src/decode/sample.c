/* Ancestral sampling: each token is drawn from the model's distribution given those before.
 *
 * Temperature (Ackley, Hinton and Sejnowski 1985) divides the logits; top-k (Fan, Lewis and Dauphin
 * 2018, "Hierarchical Neural Story Generation") keeps the k likeliest tokens; top-p (Holtzman et
 * al. 2020, "The Curious Case of Neural Text Degeneration") the fewest whose mass reaches p.
 *
 * A draw inverts the cumulative distribution in the order of token ids. The number behind token t
 * of sample s of sentence i belongs to (seed, i, s, t) alone, so neither batching nor the number of
 * samples changes a sample. */
#include <math.h>

#include "decode/decoders.h"
#include "kaskad/memory.h"
#include "kaskad/search.h"

typedef struct sampler {
    const ksk_decode_options *options;
    float *mass;    /* [vocabulary] */
    float *kept;    /* [top_k], a heap, its smallest first */
    int32_t *order; /* [vocabulary], a heap, the likeliest token first */
} sampler;

static void heat(const void *settings, ksk_scores *s)
{
    const float temperature = ((const sampler *)settings)->options->temperature;
    for (int i = 0; i < s->vocabulary; i++)
        s->values[i] /= temperature;
}

/* Replaces the heap's smallest value. */
static void replace_smallest(float *heap, int count, float value)
{
    int at = 0;
    for (int child = 1; child < count; at = child, child = 2 * child + 1) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (value <= heap[child])
            break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

/* Tokens as likely as the k-th stay too. */
static void keep_top_k(const void *settings, ksk_scores *s)
{
    const sampler *const state = settings;
    const int k = state->options->top_k;
    if (k >= s->vocabulary)
        return;
    for (int i = 0; i < k; i++)
        state->kept[i] = -INFINITY;
    for (int i = 0; i < s->vocabulary; i++)
        if (s->values[i] > state->kept[0])
            replace_smallest(state->kept, k, s->values[i]);
    for (int i = 0; i < s->vocabulary; i++)
        if (s->values[i] < state->kept[0])
            s->values[i] = -INFINITY;
}

/* Of equal tokens the higher comes first, as in a stable ascending sort read from its end. */
static bool likelier(const float *values, int32_t a, int32_t b)
{
    return values[a] > values[b] || (values[a] == values[b] && a > b);
}

static void sink(int32_t *heap, int count, int at, const float *values)
{
    const int32_t token = heap[at];
    for (int child = 2 * at + 1; child < count; at = child, child = 2 * child + 1) {
        if (child + 1 < count && likelier(values, heap[child + 1], heap[child]))
            child++;
        if (!likelier(values, heap[child], token))
            break;
        heap[at] = heap[child];
    }
    heap[at] = token;
}

/* exp(x − max) into mass; returns its sum, 0 when no value is above minus infinity. */
static double weigh(const float *values, int n, float *mass)
{
    float top = -INFINITY;
    for (int i = 0; i < n; i++)
        top = values[i] > top ? values[i] : top;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        mass[i] = values[i] > -INFINITY ? expf(values[i] - top) : 0;
        sum += mass[i];
    }
    return sum;
}

/* Takes tokens from the likeliest on while those before hold less than p of the mass. Tokens below
 * (1 - p) / n of the mass cannot be among them: even all together they hold less than 1 - p. */
static void keep_top_p(const void *settings, ksk_scores *s)
{
    const sampler *const state = settings;
    const double total = weigh(s->values, s->vocabulary, state->mass);
    const double limit = (double)state->options->top_p * total;
    const double least = (total - limit) / s->vocabulary;
    int left = 0;
    for (int32_t i = 0; i < s->vocabulary; i++)
        if ((double)state->mass[i] >= least)
            state->order[left++] = i;
        else
            s->values[i] = -INFINITY;
    for (int i = left / 2 - 1; i >= 0; i--)
        sink(state->order, left, i, s->values);
    for (double before = 0; left > 0 && before < limit;) {
        before += (double)state->mass[state->order[0]];
        state->order[0] = state->order[--left];
        if (left > 0)
            sink(state->order, left, 0, s->values);
    }
    for (int i = 0; i < left; i++)
        s->values[state->order[i]] = -INFINITY;
}

static double uniform(const ksk_job *job, int row)
{
    const int owner = job->now.owners[row];
    const uint64_t sentence = job->request->numbers[owner / job->copies];
    const uint64_t sample = (uint64_t)(owner % job->copies);
    const ksk_key seed = ksk_key_from_seed(job->request->options->seed);
    const ksk_key key = ksk_key_split(ksk_key_split(seed, sentence), sample);
    return ksk_random_uniform_double(key, (uint64_t)(job->now.lengths[row] - job->prompt));
}

static int32_t draw(void *settings, const ksk_job *job, int row, float *values, double *log_prob)
{
    const sampler *const state = settings;
    const int vocabulary = job->request->scorer->vocabulary;
    const double total = weigh(values, vocabulary, state->mass);
    const double target = uniform(job, row) * total;
    double below = 0;
    int32_t token = -1;
    for (int32_t i = 0; i < vocabulary && below <= target; i++)
        if (state->mass[i] > 0) {
            below += state->mass[i];
            token = i;
        }
    *log_prob = token < 0 ? 0 : log((double)state->mass[token] / total);
    return token;
}

static bool sampler_init(sampler *state, const ksk_decode_options *options, int vocabulary,
                         ksk_error *err)
{
    *state = (sampler){.options = options};
    const size_t width = (size_t)vocabulary;
    const size_t k = options->top_k < vocabulary ? (size_t)options->top_k : width;
    state->mass = ksk_malloc(width * sizeof *state->mass);
    state->kept = ksk_malloc(k * sizeof *state->kept);
    state->order = ksk_malloc(width * sizeof *state->order);
    return (state->mass && state->kept && state->order) || ksk_fail_memory(err);
}

static void sampler_free(sampler *state)
{
    ksk_free(state->mass);
    ksk_free(state->kept);
    ksk_free(state->order);
}

static bool sample(const ksk_request *request, sampler *state, ksk_error *err)
{
    const ksk_decode_options *const options = request->options;
    ksk_processor warpers[3];
    int count = 0;
    if (options->temperature != 1)
        warpers[count++] = (ksk_processor){"temperature", heat, state};
    if (options->top_k > 0)
        warpers[count++] = (ksk_processor){"top_k", keep_top_k, state};
    if (options->top_p < 1)
        warpers[count++] = (ksk_processor){"top_p", keep_top_p, state};
    ksk_job job;
    const bool ok = ksk_job_begin(&job, request, options->n_best, warpers, count, err) &&
                    ksk_walk(&job, draw, state, err);
    return ksk_job_end(&job, ok);
}

static bool decode(ksk_l2r *scorer, int sentences, const int32_t *const *sources,
                   const int *lengths, const ksk_decode_options *options, const uint64_t *numbers,
                   ksk_nbest *results, ksk_error *err)
{
    const ksk_request request = {scorer, sentences, sources, lengths, options, numbers, results};
    if (!ksk_options_check(options, scorer->vocabulary, scorer->max_target, err))
        return false;
    if (options->temperature == 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "temperature is 0, which leaves nothing to chance; use the greedy decoder");
    sampler state;
    const bool ok =
        sampler_init(&state, options, scorer->vocabulary, err) && sample(&request, &state, err);
    sampler_free(&state);
    return ok;
}

const ksk_decoder ksk_decoder_sample = {
    .name = "sample",
    .citation = "Holtzman et al. 2020, The Curious Case of Neural Text Degeneration",
    .streams = true,
    .joins = true,
    .decode = decode,
};
