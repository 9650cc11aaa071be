/* Reverse mode: walks the nodes from the loss back to what it depends on; each operation appends
 * the gradients of its inputs, and gradients that meet are added. What turns out not to be needed,
 * compile leaves out. */
#include <string.h>

#include "graph/graph.h"
#include "graph/program.h"
#include "kaskad/memory.h"

/* Marks what depends on any of `wrt`. */
static void mark_dependants(const ksk_graph *graph, size_t nodes, bool *depends)
{
    for (size_t i = 0; i < nodes; i++) {
        const graph_node *node = &graph->nodes[i];
        bool any = false;
        for (int j = 0; j < node->input_count; j++)
            any |= depends[node->inputs[j]];
        for (int j = 0; any && j < node->op->outputs; j++)
            depends[node->first_output + j] = true;
    }
}

static void accumulate(ksk_sym *total, ksk_sym more)
{
    if (ksk_is_none(*total))
        *total = more;
    else if (!ksk_is_none(more))
        *total = ksk_add(*total, more);
}

static void visit(ksk_graph *graph, size_t at, const bool *depends, ksk_sym *grads)
{
    const graph_node node = graph->nodes[at]; /* a copy: the operation appends nodes */
    ksk_sym inputs[KSK_MAX_INPUTS], outputs[4], output_grads[4], input_grads[KSK_MAX_INPUTS];
    bool flows = false;
    for (int i = 0; i < node.op->outputs; i++) {
        outputs[i] = (ksk_sym){graph, node.first_output + i};
        output_grads[i] = grads[node.first_output + i];
        flows |= !ksk_is_none(output_grads[i]);
    }
    if (!flows || !depends[node.first_output])
        return;
    if (!node.op->grad) {
        ksk_graph_fail(graph, KSK_UNSUPPORTED, "grad: operation '%s' has no gradient",
                       node.op->name);
        return;
    }
    for (int i = 0; i < node.input_count; i++) {
        inputs[i] = (ksk_sym){graph, node.inputs[i]};
        input_grads[i] = ksk_none(graph);
    }
    node.op->grad(graph, node.attributes, inputs, outputs, output_grads, input_grads);
    for (int i = 0; i < node.input_count; i++)
        if (depends[node.inputs[i]])
            accumulate(&grads[node.inputs[i]], input_grads[i]);
}

static ksk_sym one(ksk_graph *graph)
{
    ksk_tensor *tensor = ksk_tensor_new(KSK_F32, 1, (const int64_t[]){1}, NULL);
    if (tensor)
        *(float *)ksk_tensor_fill(tensor) = 1;
    const ksk_sym sym = ksk_constant(graph, tensor);
    ksk_tensor_release(tensor);
    return sym;
}

static bool is_scalar(ksk_sym loss)
{
    const ksk_shape shape = ksk_sym_shape(loss);
    return ksk_sym_dtype(loss) == KSK_F32 && shape.rank == 1 && !shape.size[0].name &&
           shape.size[0].fixed == 1;
}

void ksk_grad(ksk_sym loss, int count, const ksk_sym *wrt, ksk_sym *result)
{
    ksk_graph *graph = loss.graph;
    const size_t values = graph->value_count, nodes = graph->node_count;
    bool *depends = ksk_calloc(values, sizeof *depends);
    ksk_sym *grads = ksk_calloc(values, sizeof *grads);
    for (int i = 0; i < count; i++)
        result[i] = ksk_none(graph);
    if (!depends || !grads)
        ksk_graph_fail(graph, KSK_OUT_OF_MEMORY, "out of memory in grad");
    else if (!is_scalar(loss))
        ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "grad: the loss must be f32 [1]");
    else {
        for (size_t i = 0; i < values; i++)
            grads[i] = ksk_none(graph);
        for (int i = 0; i < count; i++)
            depends[wrt[i].value] = true;
        mark_dependants(graph, nodes, depends);
        grads[loss.value] = one(graph);
        for (size_t i = nodes; i-- > 0;)
            visit(graph, i, depends, grads);
        for (int i = 0; i < count; i++)
            result[i] = grads[wrt[i].value];
    }
    ksk_free(depends);
    ksk_free(grads);
}
