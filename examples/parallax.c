#include <kaskad/extend.h>
#include <stdio.h>

static ksk_tensor *descend(void *rate, const char *path, const ksk_tensor *w, const ksk_tensor *g,
                           ksk_error *err)
{
    ksk_tensor *next = ksk_tensor_new(KSK_F32, 2, ksk_tensor_shape(w), err);
    for (int64_t i = 0; next && i < ksk_tensor_count(w); i++)
        ((float *)ksk_tensor_fill(next))[i] =
            ksk_tensor_f32(w)[i] - *(float *)rate * ksk_tensor_f32(g)[i];
    return next;
}

int main(void)
{
    ksk_error err = {0};
    ksk_module *declared = ksk_module_new("Line"); /* a type, a name, a shape; no value yet */
    ksk_module_param(declared, "weight", 2, (int64_t[]){1, 3}, (ksk_initializer){KSK_INIT_NORMAL, 1});
    ksk_module *module = ksk_module_init(declared, ksk_key_from_seed(7), &err);
    ksk_graph *graph = ksk_graph_new(); /* the loss |x·wᵀ + y|² and its gradient, as symbols */
    const ksk_size rows = ksk_named(graph, "rows");
    const ksk_sym x = ksk_input(graph, "x", KSK_F32, ksk_shape2(rows, ksk_fixed(3)));
    const ksk_sym y = ksk_input(graph, "y", KSK_F32, ksk_shape2(rows, ksk_fixed(1)));
    const ksk_sym w = ksk_leaf(graph, module, 0), off = ksk_add(ksk_linear(x, w, ksk_none(graph)), y);
    ksk_sym results[2] = {ksk_sum(ksk_column_sum(ksk_multiply(off, off)))};
    ksk_grad(results[0], 1, &w, &results[1]);
    ksk_plan *plan = ksk_compile(graph, 2, results, &(ksk_compile_options){.free = module}, &err);
    ksk_workspace *workspace = ksk_workspace_new(1, &err);
    float xs[] = {1, 2, 0, 0, 1, 1, 3, 0, 1, 1, 1, 1}, ys[] = {-5, -1, -2, -2}, rate = 0.02F;
    ksk_tensor *a = ksk_tensor_wrap(KSK_F32, 2, (int64_t[]){4, 3}, xs, NULL, NULL, &err), *got[2] = {0};
    ksk_tensor *b = ksk_tensor_wrap(KSK_F32, 2, (int64_t[]){4, 1}, ys, NULL, NULL, &err);
    for (int i = 0; i < 800; i++) { /* the gradient is a tree like the module, and so is what follows */
        ksk_run(plan, workspace, (const ksk_tensor *[]){a, b, ksk_module_leaf(module, 0)}, got, &err);
        ksk_module *gradient = ksk_module_unflatten(module, (const ksk_tensor *[]){got[1]}, &err);
        module = ksk_module_zip(module, gradient, descend, &rate, &err);
    }
    const float *found = ksk_tensor_f32(ksk_module_leaf(module, 0));
    printf("loss %.3f, weight %.2f %.2f %.2f\n", *ksk_tensor_f32(got[0]), found[0], found[1], found[2]);
}
