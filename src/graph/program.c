#include "graph/program.h"

#include <string.h>

#include "kaskad/memory.h"
#include "tensor/module.h"

int32_t ksk_program_add(ksk_program *program, program_value value)
{
    if (!ksk_grow(&program->values, &program->value_room, (size_t)program->value_count + 1,
                  sizeof *program->values)) {
        ksk_tensor_release(value.tensor);
        ksk_free(value.name);
        return -1;
    }
    program->values[program->value_count] = value;
    return program->value_count++;
}

static bool copy_sizes(ksk_program *program, const ksk_graph *graph)
{
    program->sizes = ksk_calloc(graph->size_count + 1, sizeof *program->sizes);
    if (!program->sizes)
        return false;
    program->size_count = (int)graph->size_count;
    for (size_t i = 0; i < graph->size_count; i++)
        if (!(program->sizes[i] = ksk_strdup(graph->sizes[i])))
            return false;
    return true;
}

/* A leaf of the free tree is an input of each run; any other parameter is a constant. */
static program_value copy_value(const ksk_graph *graph, const graph_value *from,
                                const ksk_module *free)
{
    program_value value = {.kind = from->kind,
                           .dtype = from->dtype,
                           .shape = from->shape,
                           .position = from->position,
                           .cache = from->cache};
    const ksk_tensor *tensor = from->constant;
    if (from->kind == VALUE_PARAM) {
        const int leaf = free ? ksk_module_leaf_of(free, from->module, from->name) : -1;
        tensor = leaf < 0 ? ksk_module_tensor(from->module, from->name) : NULL;
        if (leaf >= 0) {
            value.kind = VALUE_INPUT;
            value.position = graph->inputs + leaf;
        }
    }
    value.tensor = ksk_tensor_share(tensor);
    return value;
}

/* Values keep their numbers, so that nodes can be copied as they are. */
static bool copy_values(ksk_program *program, const ksk_graph *graph, const ksk_module *free)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        const graph_value *from = &graph->values[i];
        program_value value = copy_value(graph, from, free);
        value.name = from->name ? ksk_strdup(from->name) : NULL;
        if (ksk_program_add(program, value) < 0 || (from->name && !value.name))
            return false;
    }
    return true;
}

static bool copy_outputs(ksk_program *program, int count, const ksk_sym *outputs)
{
    program->outputs = ksk_calloc((size_t)count, sizeof *program->outputs);
    if (!program->outputs)
        return false;
    program->output_count = count;
    for (int i = 0; i < count; i++) {
        program->outputs[i] = outputs[i].value;
        program->values[outputs[i].value].output = true;
        program->values[outputs[i].value].uses++;
    }
    return true;
}

/* Which nodes the outputs need: a node does if one of its outputs is used, and then so are its
 * inputs. Nodes come after what they use, so one pass from the end finds all. */
static void mark_uses(ksk_program *program, const ksk_graph *graph, bool *needed)
{
    for (size_t i = graph->node_count; i-- > 0;) {
        const graph_node *node = &graph->nodes[i];
        for (int j = 0; j < node->op->outputs; j++)
            needed[i] |= program->values[node->first_output + j].uses > 0;
        for (int j = 0; needed[i] && j < node->input_count; j++)
            program->values[node->inputs[j]].uses++;
    }
}

static bool copy_node(ksk_program *program, const graph_node *node)
{
    program_step *step = &program->steps[program->step_count];
    *step = (program_step){.op = node->op,
                           .attributes = ksk_malloc(node->op->attribute_size),
                           .input_count = node->input_count,
                           .first_output = node->first_output};
    if (!step->attributes)
        return false;
    program->step_count++;
    if (node->op->attribute_size)
        memcpy(step->attributes, node->attributes, node->op->attribute_size);
    memcpy(step->inputs, node->inputs, (size_t)node->input_count * sizeof *step->inputs);
    return true;
}

static bool copy_nodes(ksk_program *program, const ksk_graph *graph)
{
    bool *needed = ksk_calloc(graph->node_count + 1, sizeof *needed);
    program->steps = ksk_calloc(graph->node_count + 1, sizeof *program->steps);
    bool ok = needed && program->steps;
    if (ok)
        mark_uses(program, graph, needed);
    for (size_t i = 0; ok && i < graph->node_count; i++)
        if (needed[i])
            ok = copy_node(program, &graph->nodes[i]);
    ksk_free(needed);
    return ok;
}

bool ksk_program_build(ksk_program *program, const ksk_graph *graph, int output_count,
                       const ksk_sym *outputs, const ksk_module *free, ksk_error *err)
{
    *program = (ksk_program){.input_count = graph->inputs};
    const ksk_error *traced = ksk_graph_error(graph);
    if (traced)
        return ksk_fail(err, traced->status, "%s", traced->message);
    if (!copy_sizes(program, graph) || !copy_values(program, graph, free) ||
        !copy_outputs(program, output_count, outputs) || !copy_nodes(program, graph))
        return ksk_fail_memory(err);
    return true;
}

static void free_step(program_step *step)
{
    if (step->prepared)
        step->op->unprepare(step->prepared);
    ksk_free(step->attributes);
}

void ksk_program_compact(ksk_program *program)
{
    int kept = 0;
    for (int i = 0; i < program->step_count; i++) {
        if (program->steps[i].op)
            program->steps[kept++] = program->steps[i];
        else
            free_step(&program->steps[i]);
    }
    program->step_count = kept;
}

void ksk_program_free(ksk_program *program)
{
    for (int i = 0; i < program->step_count; i++)
        free_step(&program->steps[i]);
    for (int i = 0; i < program->value_count; i++) {
        ksk_free(program->values[i].name);
        ksk_tensor_release(program->values[i].tensor);
    }
    for (int i = 0; i < program->size_count; i++)
        ksk_free(program->sizes[i]);
    ksk_free(program->steps);
    ksk_free(program->values);
    ksk_free(program->sizes);
    ksk_free(program->outputs);
}
