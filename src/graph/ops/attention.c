/* Scaled dot-product attention (Vaswani et al. 2017, "Attention Is All You Need") over packed rows.
 *
 * Each query row has a span of keys, so full, causal, cross and cached attention differ only in the
 * numbers that are passed in. */
#include <math.h>
#include <string.h>

#include "graph/ops/ops.h"
#include "tensor/kernels.h"

enum { Q, K, V, SPANS, INDEX };

typedef struct attention_attributes {
    int heads;
} attention_attributes;

ksk_sym ksk_attention(ksk_sym q, ksk_sym k, ksk_sym v, ksk_sym spans, ksk_sym index, int heads)
{
    return ksk_apply(&ksk_op_attention, &(const attention_attributes){heads}, 5,
                     (const ksk_sym[]){q, k, v, spans, index});
}

static bool spans_fit(ksk_shaping *s)
{
    const ksk_shape spans = ksk_sym_shape(s->inputs[SPANS]);
    if (ksk_sym_dtype(s->inputs[SPANS]) == KSK_I32 && spans.rank == 2 && spans.size[1].fixed == 2)
        return ksk_expect_same_rows(s, Q, SPANS, "attention: spans");
    ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT, "attention: spans must be i32 [rows, 2]");
    return false;
}

static void shape(ksk_shaping *s)
{
    const attention_attributes *attributes = s->attributes;
    if (!ksk_expect_matrix(s, Q, "attention: q") || !ksk_expect_matrix(s, K, "attention: k") ||
        !ksk_expect_matrix(s, V, "attention: v") ||
        !ksk_expect_same_rows(s, K, V, "attention: v") || !spans_fit(s))
        return;
    if (!ksk_is_none(s->inputs[INDEX]) && !ksk_expect_ids(s, INDEX, "attention: index"))
        return;
    const int64_t width = ksk_shaping_columns(s, Q);
    if (attributes->heads < 1 || width % attributes->heads || ksk_shaping_columns(s, K) != width ||
        ksk_shaping_columns(s, V) != width) {
        ksk_graph_fail(s->graph, KSK_BAD_ARGUMENT,
                       "attention: widths %lld, %lld, %lld do not fit %d heads", (long long)width,
                       (long long)ksk_shaping_columns(s, K), (long long)ksk_shaping_columns(s, V),
                       attributes->heads);
        return;
    }
    ksk_shape_like_first(s);
}

static bool check(const ksk_call *call, ksk_error *err)
{
    const ksk_operand *index = &call->inputs[INDEX];
    const int32_t(*spans)[2] = call->inputs[SPANS].data;
    const int32_t *keys = index->data;
    const int64_t limit = keys ? index->rows : call->inputs[K].rows;
    for (int64_t i = 0; i < call->inputs[Q].rows; i++)
        if (spans[i][0] < 0 || spans[i][1] < 0 || spans[i][0] > limit - spans[i][1])
            return ksk_fail(err, KSK_BAD_ARGUMENT,
                            "attention: span %d+%d of row %lld, of %lld keys", spans[i][0],
                            spans[i][1], (long long)i, (long long)limit);
    for (int64_t i = 0; keys && i < index->rows; i++)
        if (keys[i] < 0 || keys[i] >= call->inputs[K].rows)
            return ksk_fail(err, KSK_BAD_ARGUMENT, "attention: key %d at %lld", keys[i],
                            (long long)i);
    return true;
}

/* Of operands without numbers, which are measured before there are any: as many as there are keys.
 */
static int64_t longest_span(const ksk_call *call)
{
    const int32_t(*spans)[2] = call->inputs[SPANS].data;
    int64_t longest = 1;
    if (!spans)
        return call->inputs[K].rows > 0 ? call->inputs[K].rows : 1;
    for (int64_t i = 0; i < call->inputs[Q].rows; i++)
        longest = spans[i][1] > longest ? spans[i][1] : longest;
    return longest;
}

/* --- the plain kernel --- */

static int64_t key_at(const ksk_call *call, int64_t at)
{
    const int32_t *index = call->inputs[INDEX].data;
    return index ? index[at] : at;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += (double)a[j] * b[j];
    return sum;
}

static double score(const float *q, const float *k, int64_t width)
{
    return dot(q, k, width) / sqrt((double)width);
}

/* log Σ exp of the row's scores. */
static double log_sum(const ksk_call *call, int64_t row, int64_t column, int64_t width)
{
    const int32_t *span = (const int32_t *)call->inputs[SPANS].data + 2 * row;
    const float *q = ksk_row(&call->inputs[Q], row) + column;
    double max = -INFINITY, sum = 0;
    for (int64_t at = span[0]; at < span[0] + span[1]; at++)
        max = fmax(max, score(q, ksk_row(&call->inputs[K], key_at(call, at)) + column, width));
    for (int64_t at = span[0]; at < span[0] + span[1]; at++)
        sum += exp(score(q, ksk_row(&call->inputs[K], key_at(call, at)) + column, width) - max);
    return max + log(sum);
}

static void attend(const ksk_call *call, int64_t row, int64_t column, int64_t width)
{
    const int32_t *span = (const int32_t *)call->inputs[SPANS].data + 2 * row;
    const float *q = ksk_row(&call->inputs[Q], row) + column;
    float *y = ksk_row(&call->outputs[0], row) + column;
    const double norm = log_sum(call, row, column, width);
    for (int64_t j = 0; j < width; j++) {
        double mixed = 0;
        for (int64_t at = span[0]; at < span[0] + span[1]; at++) {
            const int64_t key = key_at(call, at);
            const double weight =
                exp(score(q, ksk_row(&call->inputs[K], key) + column, width) - norm);
            mixed += weight * ksk_row(&call->inputs[V], key)[column + j];
        }
        y[j] = (float)mixed;
    }
}

static void reference(const ksk_call *call)
{
    const attention_attributes *attributes = call->attributes;
    const int64_t width = call->inputs[Q].columns / attributes->heads;
    for (int64_t i = 0; i < call->inputs[Q].rows; i++)
        for (int h = 0; h < attributes->heads; h++)
            attend(call, i, h * width, width);
}

/* --- the fast kernel --- */

typedef struct attention_job {
    const ksk_call *call;
    int64_t longest;
    int slices;
} attention_job;

static void run_slice(void *context, int slice)
{
    const attention_job *job = context;
    const ksk_call *call = job->call;
    const attention_attributes *attributes = call->attributes;
    const ksk_operand *q = &call->inputs[Q], *k = &call->inputs[K], *v = &call->inputs[V],
                      *y = &call->outputs[0];
    const int64_t width = q->columns / attributes->heads;
    call->kernels->attention(q->rows * slice / job->slices, q->rows * (slice + 1) / job->slices,
                             attributes->heads, width, 1 / sqrtf((float)width), q->data, q->stride,
                             k->data, k->stride, v->data, v->stride, call->inputs[SPANS].data,
                             call->inputs[INDEX].data,
                             (float *)call->scratch + slice * job->longest, y->data, y->stride);
}

enum { most_slices = 16, cost_worth_a_slice = 65536 };

static attention_job plan_slices(const ksk_call *call)
{
    const ksk_operand *q = &call->inputs[Q];
    const int64_t longest = (longest_span(call) + 15) / 16 * 16;
    int64_t slices = q->rows * longest * q->columns * 2 / cost_worth_a_slice;
    slices = slices > q->rows ? q->rows : slices;
    slices = slices > most_slices ? most_slices : slices < 1 ? 1 : slices;
    return (attention_job){call, longest, (int)slices};
}

static size_t scratch(const ksk_call *call)
{
    const attention_job job = plan_slices(call);
    return (size_t)(job.longest * job.slices) * sizeof(float);
}

static void fast(const ksk_call *call)
{
    attention_job job = plan_slices(call);
    ksk_parallel(call, job.slices, run_slice, &job);
}

/* --- the gradient: q, k, v, spans, index, dy → dq, dk, dv ---
 * With p the weights of a row and head: dv += p · dy, dp = dy · v, ds = p (dp - Σ p dp),
 * dq = Σ ds k / √width, dk += ds q / √width. */

enum { DY = 5 };

static void grad_shape(ksk_shaping *s)
{
    for (int i = 0; i < 3; i++) {
        s->output_dtype[i] = KSK_F32;
        s->output_shape[i] = ksk_sym_shape(s->inputs[i]);
    }
}

static void grad_row(const ksk_call *call, int64_t row, int64_t column, int64_t width)
{
    const int32_t *span = (const int32_t *)call->inputs[SPANS].data + 2 * row;
    const float *q = ksk_row(&call->inputs[Q], row) + column,
                *dy = ksk_row(&call->inputs[DY], row) + column;
    float *dq = ksk_row(&call->outputs[Q], row) + column;
    const double scale = 1 / sqrt((double)width), norm = log_sum(call, row, column, width);
    double mean = 0;
    for (int64_t at = span[0]; at < span[0] + span[1]; at++) {
        const int64_t key = key_at(call, at);
        const double weight = exp(score(q, ksk_row(&call->inputs[K], key) + column, width) - norm);
        mean += weight * dot(dy, ksk_row(&call->inputs[V], key) + column, width);
    }
    for (int64_t at = span[0]; at < span[0] + span[1]; at++) {
        const int64_t key = key_at(call, at);
        const float *k = ksk_row(&call->inputs[K], key) + column;
        float *dk = ksk_row(&call->outputs[K], key) + column,
              *dv = ksk_row(&call->outputs[V], key) + column;
        const double weight = exp(score(q, k, width) - norm);
        const double dp = dot(dy, ksk_row(&call->inputs[V], key) + column, width);
        const double ds = weight * (dp - mean) * scale;
        for (int64_t j = 0; j < width; j++) {
            dq[j] += (float)(ds * k[j]);
            dk[j] += (float)(ds * q[j]);
            dv[j] += (float)(weight * dy[j]);
        }
    }
}

static void clear_rows(const ksk_operand *operand, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        memset(ksk_row(operand, i), 0, (size_t)operand->columns * sizeof(float));
}

static void clear_keys(const ksk_call *call, int64_t first, int64_t last)
{
    clear_rows(&call->outputs[K], first, last);
    clear_rows(&call->outputs[V], first, last);
}

static void grad_reference(const ksk_call *call)
{
    const attention_attributes *attributes = call->attributes;
    const int64_t width = call->inputs[Q].columns / attributes->heads;
    clear_rows(&call->outputs[Q], 0, call->outputs[Q].rows);
    clear_keys(call, 0, call->outputs[K].rows);
    for (int64_t i = 0; i < call->inputs[Q].rows; i++)
        for (int h = 0; h < attributes->heads; h++)
            grad_row(call, i, h * width, width);
}

enum { most_groups = 8 };

/* A slice is one head of one group of rows. Groups share no key, so each sum over the rows that
 * share a key runs in one slice, in order. */
typedef struct grad_job {
    const ksk_call *call;
    ksk_attention_matrices matrices;
    int64_t longest;
    int groups;
    int64_t bounds[most_groups + 1];
} grad_job;

/* Where starts of spans never decrease, as in a batch of sentences, rows can be cut wherever a span
 * starts behind the ends of all before it. */
static void cut_rows(grad_job *job)
{
    const int32_t(*spans)[2] = job->call->inputs[SPANS].data;
    const int64_t rows = job->call->inputs[Q].rows;
    int32_t start = 0, end = 0;
    bool ordered = job->call->inputs[INDEX].data == NULL;
    job->groups = 1;
    for (int64_t i = 0; i < rows && ordered; i++) {
        if (spans[i][1] == 0)
            continue;
        ordered = spans[i][0] >= start;
        if (spans[i][0] >= end && job->groups < most_groups &&
            i * most_groups >= rows * job->groups)
            job->bounds[job->groups++] = i;
        start = spans[i][0];
        end = start + spans[i][1] > end ? start + spans[i][1] : end;
    }
    job->groups = ordered ? job->groups : 1;
    job->bounds[0] = 0;
    job->bounds[job->groups] = rows;
}

static ksk_attention_matrices matrices_of(const ksk_call *call)
{
    const ksk_operand *in = call->inputs, *out = call->outputs;
    return (ksk_attention_matrices){.q = in[Q].data,
                                    .k = in[K].data,
                                    .v = in[V].data,
                                    .dy = in[DY].data,
                                    .q_stride = in[Q].stride,
                                    .k_stride = in[K].stride,
                                    .v_stride = in[V].stride,
                                    .dy_stride = in[DY].stride,
                                    .dq = out[Q].data,
                                    .dk = out[K].data,
                                    .dv = out[V].data,
                                    .dq_stride = out[Q].stride,
                                    .dk_stride = out[K].stride,
                                    .dv_stride = out[V].stride,
                                    .spans = in[SPANS].data,
                                    .index = in[INDEX].data};
}

/* Room for a slice's two rows of weights, in floats. */
static int64_t grad_room(int64_t longest)
{
    return (2 * longest + 15) / 16 * 16;
}

static void grad_slice(void *context, int slice)
{
    const grad_job *job = context;
    const attention_attributes *attributes = job->call->attributes;
    const int64_t width = job->call->inputs[Q].columns / attributes->heads;
    const int group = slice / attributes->heads, head = slice % attributes->heads;
    job->call->kernels->attention_grad(
        job->bounds[group], job->bounds[group + 1], head * width, width, 1 / sqrtf((float)width),
        &job->matrices, (float *)job->call->scratch + slice * grad_room(job->longest));
}

static size_t grad_scratch(const ksk_call *call)
{
    const attention_attributes *attributes = call->attributes;
    return (size_t)(grad_room(longest_span(call)) * attributes->heads * most_groups) *
           sizeof(float);
}

static void grad_fast(const ksk_call *call)
{
    const attention_attributes *attributes = call->attributes;
    grad_job job = {.call = call, .matrices = matrices_of(call), .longest = longest_span(call)};
    cut_rows(&job);
    ksk_over_rows(call, call->outputs[K].rows, call->outputs[K].columns, clear_keys);
    ksk_parallel(call, job.groups * attributes->heads, grad_slice, &job);
}

static const ksk_op attention_grad = {.name = "attention_grad",
                                      .min_inputs = 6,
                                      .max_inputs = 6,
                                      .outputs = 3,
                                      .attribute_size = sizeof(attention_attributes),
                                      .shape = grad_shape,
                                      .check = check,
                                      .reference = grad_reference,
                                      .fast = grad_fast,
                                      .scratch = grad_scratch};

static void grad(ksk_graph *graph, const void *attributes, const ksk_sym *inputs,
                 const ksk_sym *outputs, const ksk_sym *output_grads, ksk_sym *input_grads)
{
    (void)graph, (void)outputs;
    const ksk_sym first =
        ksk_apply(&attention_grad, attributes, 6,
                  (const ksk_sym[]){inputs[Q], inputs[K], inputs[V], inputs[SPANS], inputs[INDEX],
                                    output_grads[0]});
    for (int i = 0; i < 3; i++)
        input_grads[i] = ksk_output(first, i);
}

const ksk_op ksk_op_attention = {.name = "attention",
                                 .min_inputs = 5,
                                 .max_inputs = 5,
                                 .outputs = 1,
                                 .attribute_size = sizeof(attention_attributes),
                                 .shape = shape,
                                 .check = check,
                                 .reference = reference,
                                 .fast = fast,
                                 .grad = grad,
                                 .scratch = scratch};
