#include "scorer/head.h"

#include <string.h>

#include "graph/graph.h"
#include "graph/ops/ops.h"
#include "kaskad/memory.h"
#include "tensor/packing.h"
#include "tensor/product.h"

struct ksk_head {
    ksk_tensor *weight; /* [vocabulary, width], of any type of floats, or packed */
    ksk_tensor *bias;   /* f32 [vocabulary], or NULL */
    int64_t width;
};

/* --- the weights --------------------------------------------------------------------------------
 */

/* The tensor of a value that never changes; NULL for others. Caller releases. */
static ksk_tensor *tensor_of(const ksk_graph *graph, int32_t number)
{
    const graph_value *value = &graph->values[number];
    if (value->kind == VALUE_CONSTANT)
        return ksk_tensor_share(value->constant);
    if (value->kind == VALUE_PARAM)
        return ksk_tensor_share(ksk_module_tensor(value->module, value->name));
    return NULL;
}

static const graph_node *node_of(ksk_sym sym)
{
    const graph_value *value = &sym.graph->values[sym.value];
    return value->kind == VALUE_RESULT ? &sym.graph->nodes[value->node] : NULL;
}

/* Weight and bias of the product; with UNSUPPORTED when they are not the model's own. */
static bool take_weights(ksk_head *head, ksk_sym logits, ksk_error *err)
{
    const graph_node *node = node_of(logits);
    const bool product = node && node->op == &ksk_op_linear;
    const int32_t bias = product ? node->inputs[LINEAR_BIAS] : 0;
    ksk_tensor *narrow = bias ? tensor_of(logits.graph, bias) : NULL;
    head->weight = product ? tensor_of(logits.graph, node->inputs[LINEAR_WEIGHT]) : NULL;
    if (!head->weight || (bias && !narrow)) {
        ksk_tensor_release(narrow);
        return ksk_fail(err, KSK_UNSUPPORTED,
                        "choosing among tokens needs a model whose logits are a product with "
                        "weights of its own");
    }
    head->width = ksk_tensor_size(head->weight, 1);
    head->bias = narrow ? ksk_tensor_convert(narrow, KSK_F32, err) : NULL;
    ksk_tensor_release(narrow);
    return !bias || head->bias;
}

ksk_head *ksk_head_new(ksk_sym logits, ksk_error *err)
{
    const ksk_error *failed = ksk_graph_error(logits.graph);
    ksk_head *head = failed ? NULL : ksk_calloc(1, sizeof *head);
    if (failed)
        ksk_fail(err, failed->status, "%s", failed->message);
    else if (!head)
        ksk_fail_memory(err);
    else if (take_weights(head, logits, err))
        return head;
    ksk_head_free(head);
    return NULL;
}

void ksk_head_free(ksk_head *head)
{
    if (!head)
        return;
    ksk_tensor_release(head->weight);
    ksk_tensor_release(head->bias);
    ksk_free(head);
}

/* --- choices ------------------------------------------------------------------------------------
 */

static void widen_row(const ksk_tensor *weight, int64_t row, int64_t width, float *to)
{
    if (weight->packing) {
        ksk_packing_row(weight, row, to);
        return;
    }
    const uint16_t *half = (const uint16_t *)ksk_tensor_data(weight) + row * width;
    switch (ksk_tensor_dtype(weight)) {
    case KSK_BF16: /* in line, for this is most of what a choice costs */
        for (int64_t j = 0; j < width; j++) {
            const uint32_t bits = (uint32_t)half[j] << 16;
            memcpy(to + j, &bits, sizeof bits);
        }
        break;
    case KSK_F16:
        for (int64_t j = 0; j < width; j++)
            to[j] = ksk_f16_to_f32(half[j]);
        break;
    default:
        memcpy(to, ksk_tensor_f32(weight) + row * width, (size_t)width * sizeof *to);
    }
}

static bool pack(ksk_choice *choice, const ksk_head *head, ksk_error *err)
{
    float *rows = ksk_malloc((size_t)choice->count * (size_t)head->width * sizeof *rows);
    if (!rows)
        return ksk_fail_memory(err);
    for (int i = 0; i < choice->count; i++) {
        widen_row(head->weight, choice->tokens[i], head->width, rows + i * head->width);
        if (head->bias)
            choice->bias[i] = ksk_tensor_f32(head->bias)[choice->tokens[i]];
        else
            choice->bias[i] = 0;
    }
    choice->packed = ksk_packed_new(ksk_kernels_best(), KSK_PRECISION_F32, choice->count,
                                    head->width, rows, head->width, err);
    ksk_free(rows);
    return choice->packed;
}

bool ksk_choice_make(ksk_choice *choice, const ksk_head *head, int count, const int32_t *tokens,
                     ksk_error *err)
{
    const size_t bytes = (size_t)count * sizeof *tokens;
    if (choice->packed && choice->count == count && memcmp(choice->tokens, tokens, bytes) == 0)
        return true;
    ksk_packed_free(choice->packed);
    choice->packed = NULL;
    choice->count = 0;
    if (!ksk_grow(&choice->tokens, &choice->token_room, (size_t)count, sizeof *choice->tokens) ||
        !ksk_grow(&choice->bias, &choice->bias_room, (size_t)count, sizeof *choice->bias))
        return ksk_fail_memory(err);
    memcpy(choice->tokens, tokens, bytes);
    choice->count = count;
    choice->width = head->width;
    if (pack(choice, head, err))
        return true;
    choice->count = 0;
    return false;
}

void ksk_choice_clear(ksk_choice *choice)
{
    ksk_packed_free(choice->packed);
    ksk_free(choice->tokens);
    ksk_free(choice->bias);
    *choice = (ksk_choice){.count = 0};
}

int ksk_token_place(const int32_t *tokens, int count, int32_t token)
{
    int low = 0, high = count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (tokens[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && tokens[low] == token ? low : -1;
}

void ksk_choice_logits(const ksk_choice *choice, int64_t rows, const float *x, float *logits)
{
    const ksk_epilogue epilogue = {.bias = choice->bias, .activation = KSK_IDENTITY};
    ksk_product(choice->packed, rows, x, choice->width, &epilogue, logits, choice->count, NULL,
                NULL);
}
