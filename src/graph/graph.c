/* Tracing: model code calls the functions of kaskad/graph.h, which append values and nodes. */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kaskad/memory.h"
#include "tensor/module.h"
#include "tensor/tensor.h"

ksk_graph *ksk_graph_new(void)
{
    ksk_graph *graph = ksk_calloc(1, sizeof *graph);
    if (!graph || !ksk_grow(&graph->values, &graph->value_room, 1, sizeof *graph->values)) {
        ksk_free(graph);
        return NULL;
    }
    graph->values[0] = (graph_value){.kind = VALUE_NONE, .cache = -1};
    graph->value_count = 1;
    return graph;
}

void ksk_graph_free(ksk_graph *graph)
{
    if (!graph)
        return;
    for (size_t i = 0; i < graph->value_count; i++) {
        ksk_free(graph->values[i].name);
        ksk_module_release(graph->values[i].module);
        ksk_tensor_release(graph->values[i].constant);
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        ksk_free(graph->nodes[i].attributes);
        ksk_free(graph->nodes[i].inputs);
    }
    for (size_t i = 0; i < graph->size_count; i++)
        ksk_free(graph->sizes[i]);
    ksk_free(graph->values);
    ksk_free(graph->nodes);
    ksk_free(graph->sizes);
    ksk_free(graph);
}

/* --- errors --------------------------------------------------------------------------------- */

const ksk_error *ksk_graph_error(const ksk_graph *graph)
{
    return graph->error.status == KSK_OK ? NULL : &graph->error;
}

ksk_sym ksk_graph_fail(ksk_graph *graph, ksk_status status, const char *format, ...)
{
    if (graph->error.status == KSK_OK) {
        va_list args;
        va_start(args, format);
        graph->error.status = status;
        vsnprintf(graph->error.message, sizeof graph->error.message, format, args);
        va_end(args);
    }
    return ksk_none(graph);
}

static ksk_sym fail_memory(ksk_graph *graph)
{
    return ksk_graph_fail(graph, KSK_OUT_OF_MEMORY, "out of memory while tracing");
}

/* --- sizes ---------------------------------------------------------------------------------- */

ksk_size ksk_fixed(int64_t size)
{
    return (ksk_size){size, 0};
}

ksk_size ksk_named(ksk_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->size_count; i++)
        if (strcmp(graph->sizes[i], name) == 0)
            return (ksk_size){0, (int32_t)i + 1};
    char *copy = ksk_strdup(name);
    if (!copy ||
        !ksk_grow(&graph->sizes, &graph->size_room, graph->size_count + 1, sizeof *graph->sizes)) {
        ksk_free(copy);
        fail_memory(graph);
        return ksk_fixed(0);
    }
    graph->sizes[graph->size_count++] = copy;
    return (ksk_size){0, (int32_t)graph->size_count};
}

ksk_shape ksk_shape1(ksk_size a)
{
    return (ksk_shape){1, {a}};
}

ksk_shape ksk_shape2(ksk_size a, ksk_size b)
{
    return (ksk_shape){2, {a, b}};
}

bool ksk_size_equal(ksk_size a, ksk_size b)
{
    return a.name == b.name && (a.name || a.fixed == b.fixed);
}

static int describe_size(const ksk_graph *graph, ksk_size size, char *text, size_t room)
{
    return size.name ? snprintf(text, room, "%s", graph->sizes[size.name - 1])
                     : snprintf(text, room, "%lld", (long long)size.fixed);
}

void ksk_graph_describe(const ksk_graph *graph, ksk_dtype dtype, ksk_shape shape, char *text,
                        size_t size)
{
    size_t at = (size_t)snprintf(text, size, "%s [", ksk_dtype_name(dtype));
    for (int i = 0; i < shape.rank && at < size; i++) {
        if (i > 0)
            at += (size_t)snprintf(text + at, size - at, ", ");
        if (at < size)
            at += (size_t)describe_size(graph, shape.size[i], text + at, size - at);
    }
    if (at < size)
        snprintf(text + at, size - at, "]");
}

/* --- values --------------------------------------------------------------------------------- */

static ksk_sym add_value(ksk_graph *graph, graph_value value, const char *name)
{
    if (graph->error.status != KSK_OK)
        return ksk_none(graph);
    if (name && !(value.name = ksk_strdup(name)))
        return fail_memory(graph);
    if (!ksk_grow(&graph->values, &graph->value_room, graph->value_count + 1,
                  sizeof *graph->values)) {
        ksk_free(value.name);
        return fail_memory(graph);
    }
    value.module = ksk_module_share(value.module);
    value.constant = ksk_tensor_share(value.constant);
    graph->values[graph->value_count] = value;
    return (ksk_sym){graph, (int32_t)graph->value_count++};
}

ksk_sym ksk_none(ksk_graph *graph)
{
    return (ksk_sym){graph, 0};
}

bool ksk_is_none(ksk_sym sym)
{
    return sym.value == 0;
}

bool ksk_sym_same(ksk_sym a, ksk_sym b)
{
    return a.graph == b.graph && a.value == b.value;
}

ksk_dtype ksk_sym_dtype(ksk_sym sym)
{
    return sym.graph->values[sym.value].dtype;
}

ksk_shape ksk_sym_shape(ksk_sym sym)
{
    return sym.graph->values[sym.value].shape;
}

ksk_sym ksk_input(ksk_graph *graph, const char *name, ksk_dtype dtype, ksk_shape shape)
{
    const graph_value value = {.kind = VALUE_INPUT,
                               .dtype = dtype,
                               .shape = shape,
                               .position = graph->inputs,
                               .cache = -1};
    const ksk_sym sym = add_value(graph, value, name);
    graph->inputs += !ksk_is_none(sym);
    return sym;
}

static ksk_shape tensor_shape(const ksk_tensor *tensor)
{
    ksk_shape shape = {.rank = ksk_tensor_rank(tensor)};
    for (int i = 0; i < shape.rank; i++)
        shape.size[i] = ksk_fixed(ksk_tensor_size(tensor, i));
    return shape;
}

ksk_sym ksk_param(ksk_graph *graph, const ksk_module *module, const char *name)
{
    const ksk_tensor *tensor = module ? ksk_module_tensor(module, name) : NULL;
    if (!tensor)
        return ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "module %s has no parameter '%s'",
                              module ? ksk_module_type(module) : "(none)", name);
    for (size_t i = 1; i < graph->value_count; i++) {
        const graph_value *known = &graph->values[i];
        if (known->kind == VALUE_PARAM && known->module == module && strcmp(known->name, name) == 0)
            return (ksk_sym){graph, (int32_t)i};
    }
    /* Packed weights are floats as far as shapes go, which compiling widens or reads narrow. */
    const graph_value value = {.kind = VALUE_PARAM,
                               .dtype = tensor->packing ? KSK_BF16 : ksk_tensor_dtype(tensor),
                               .shape = tensor_shape(tensor),
                               .cache = -1,
                               .module = module};
    return add_value(graph, value, name);
}

ksk_sym ksk_leaf(ksk_graph *graph, const ksk_module *tree, int leaf)
{
    int own = leaf;
    const ksk_module *owner = ksk_module_owner(tree, &own);
    if (!owner)
        return ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "the tree has no leaf %d", leaf);
    return ksk_param(graph, owner, ksk_module_own_name(owner, own));
}

ksk_sym ksk_constant(ksk_graph *graph, const ksk_tensor *tensor)
{
    if (!tensor)
        return fail_memory(graph);
    const graph_value value = {.kind = VALUE_CONSTANT,
                               .dtype = ksk_tensor_dtype(tensor),
                               .shape = tensor_shape(tensor),
                               .cache = -1,
                               .constant = (ksk_tensor *)tensor};
    return add_value(graph, value, NULL);
}

ksk_sym ksk_cache(ksk_graph *graph, const char *name, const char *slots, int64_t width)
{
    const graph_value value = {.kind = VALUE_CACHE,
                               .dtype = KSK_F32,
                               .shape = ksk_shape2(ksk_named(graph, slots), ksk_fixed(width)),
                               .cache = (int)graph->value_count};
    return add_value(graph, value, name);
}

/* --- nodes ---------------------------------------------------------------------------------- */

static bool add_node(ksk_graph *graph, const ksk_op *op, const void *attributes, int count,
                     const ksk_sym *inputs)
{
    graph_node node = {.op = op,
                       .input_count = count,
                       .inputs = ksk_calloc((size_t)count, sizeof *node.inputs),
                       .attributes = ksk_calloc(1, op->attribute_size + 1)};
    if (!node.inputs || !node.attributes ||
        !ksk_grow(&graph->nodes, &graph->node_room, graph->node_count + 1, sizeof *graph->nodes)) {
        ksk_free(node.inputs);
        ksk_free(node.attributes);
        fail_memory(graph);
        return false;
    }
    for (int i = 0; i < count; i++)
        node.inputs[i] = inputs[i].value;
    if (op->attribute_size)
        memcpy(node.attributes, attributes, op->attribute_size);
    graph->nodes[graph->node_count++] = node;
    return true;
}

/* Only the first size of a value may be named: the rest is what a row looks like. */
static bool output_fits(ksk_graph *graph, const ksk_op *op, ksk_shape shape)
{
    for (int i = 1; i < shape.rank; i++) {
        if (shape.size[i].name) {
            ksk_graph_fail(graph, KSK_UNSUPPORTED, "%s: only the first size may be named",
                           op->name);
            return false;
        }
    }
    return true;
}

ksk_sym ksk_apply(const ksk_op *op, const void *attributes, int count, const ksk_sym *inputs)
{
    ksk_graph *graph = inputs[0].graph;
    if (graph->error.status != KSK_OK)
        return ksk_none(graph);
    if (count < op->min_inputs || count > op->max_inputs)
        return ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "%s: %d inputs, expected %d to %d", op->name,
                              count, op->min_inputs, op->max_inputs);
    for (int i = 0; i < count; i++)
        if (inputs[i].graph != graph)
            return ksk_graph_fail(graph, KSK_BAD_ARGUMENT, "%s: input %d is of another graph",
                                  op->name, i);
    ksk_shaping shaping = {
        .graph = graph, .attributes = attributes, .inputs = inputs, .input_count = count};
    op->shape(&shaping);
    if (graph->error.status != KSK_OK || !add_node(graph, op, attributes, count, inputs))
        return ksk_none(graph);
    graph_node *node = &graph->nodes[graph->node_count - 1];
    node->first_output = (int32_t)graph->value_count;
    const int cache = graph->values[inputs[0].value].cache;
    for (int i = 0; i < op->outputs; i++) {
        if (!output_fits(graph, op, shaping.output_shape[i]))
            return ksk_none(graph);
        const graph_value value = {.kind = VALUE_RESULT,
                                   .dtype = shaping.output_dtype[i],
                                   .shape = shaping.output_shape[i],
                                   .position = i,
                                   .node = (int)graph->node_count - 1,
                                   .cache = op->appends && i == 0 ? cache : -1};
        add_value(graph, value, NULL);
    }
    return graph->error.status == KSK_OK ? (ksk_sym){graph, node->first_output} : ksk_none(graph);
}

ksk_sym ksk_output(ksk_sym first, int output)
{
    return ksk_is_none(first) ? first : (ksk_sym){first.graph, first.value + output};
}
