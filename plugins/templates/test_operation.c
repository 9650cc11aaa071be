/* Tests the operation NAME and its gradient against differences: ./test_NAME NAME.so */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

enum { ROWS = 2, WIDTH = 3, COUNT = ROWS * WIDTH };

static const float xs[COUNT] = {-1.5F, -0.4F, 0.3F, 0.8F, 1.1F, 2};
static const float weights[COUNT] = {0.5F, -1, 2, 1, -0.7F, 0.3F};

/* The loss Σ weights · NAME(x), and its gradient when `gradient` is asked for. */
static float loss_at(const float *x, float *gradient, ksk_error *err)
{
    ksk_graph *graph = ksk_graph_new();
    const ksk_shape shape = ksk_shape2(ksk_named(graph, "rows"), ksk_fixed(WIDTH));
    const ksk_sym a = ksk_input(graph, "x", KSK_F32, shape);
    const ksk_sym w = ksk_input(graph, "weights", KSK_F32, shape);
    const ksk_sym y = ksk_apply(ksk_op_find("NAME"), NULL, 1, &a);
    ksk_sym wanted[2] = {ksk_sum(ksk_column_sum(ksk_multiply(y, w)))};
    ksk_grad(wanted[0], 1, &a, &wanted[1]);
    ksk_plan *plan = ksk_compile(graph, 2, wanted, NULL, err);
    ksk_workspace *workspace = ksk_workspace_new(1, err);
    const int64_t sizes[] = {ROWS, WIDTH};
    ksk_tensor *const in[2] = {ksk_tensor_wrap(KSK_F32, 2, sizes, x, NULL, NULL, err),
                               ksk_tensor_wrap(KSK_F32, 2, sizes, weights, NULL, NULL, err)};
    ksk_tensor *out[2] = {NULL};
    float loss = NAN;
    if (plan && workspace && in[0] && in[1] &&
        ksk_run(plan, workspace, (const ksk_tensor *const[]){in[0], in[1]}, out, err)) {
        loss = ksk_tensor_f32(out[0])[0];
        for (int i = 0; gradient && i < COUNT; i++)
            gradient[i] = ksk_tensor_f32(out[1])[i];
    }
    for (int i = 0; i < 2; i++) {
        ksk_tensor_release(in[i]);
        ksk_tensor_release(out[i]);
    }
    ksk_workspace_free(workspace);
    ksk_plan_free(plan);
    ksk_graph_free(graph);
    return loss;
}

int main(int argc, char **argv)
{
    ksk_error err = {0};
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    float gradient[COUNT] = {0};
    if (isnan(loss_at(xs, gradient, &err))) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const float h = 1e-2F;
    bool ok = true;
    for (int i = 0; i < COUNT; i++) {
        float moved[COUNT];
        for (int j = 0; j < COUNT; j++)
            moved[j] = xs[j];
        moved[i] = xs[i] + h;
        const float above = loss_at(moved, NULL, &err);
        moved[i] = xs[i] - h;
        const float slope = (above - loss_at(moved, NULL, &err)) / (2 * h);
        ok = ok && fabsf(slope - gradient[i]) < 1e-2F * (1 + fabsf(slope));
    }
    puts(ok ? "NAME: all as it should be" : "NAME: the gradient is not the slope");
    return !ok;
}
