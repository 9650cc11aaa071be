/* Tests the loss NAME, and its gradient against differences, without a model: ./test_NAME NAME.so
 */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

enum { ROWS = 3, WORDS = 4, COUNT = ROWS * WORDS };

static const float scores[COUNT] = {0.5F, -1, 2, 0.1F, 0, 0.3F, -0.2F, 1, 1.5F, 0.4F, 0.9F, -0.6F};
static const int32_t targets[ROWS] = {2, 0, 1}, ids[ROWS] = {3, 2, 0};
static const int32_t spans[ROWS][2] = {{0, 1}, {0, 2}, {0, 3}};

/* Where a model would be: its logits are an input. */
static ksk_sym given(ksk_loss_input *input)
{
    return *(ksk_sym *)input->context;
}

/* The loss at these logits, and its gradient when `gradient` is asked for. */
static float loss_at(const float *logits, float *gradient, ksk_error *err)
{
    ksk_graph *graph = ksk_graph_new();
    const ksk_size rows = ksk_named(graph, "rows");
    ksk_sym x = ksk_input(graph, "logits", KSK_F32, ksk_shape2(rows, ksk_fixed(WORDS)));
    ksk_loss_input input = {.logits = given, .context = &x, .argument = ""};
    input.targets = ksk_input(graph, "targets", KSK_I32, ksk_shape1(rows));
    input.ids = ksk_input(graph, "ids", KSK_I32, ksk_shape1(rows));
    input.spans = ksk_input(graph, "spans", KSK_I32, ksk_shape2(rows, ksk_fixed(2)));
    ksk_sym wanted[2] = {ksk_loss_find("NAME")->trace(&input)};
    ksk_grad(wanted[0], 1, &x, &wanted[1]);
    ksk_plan *plan = ksk_compile(graph, 2, wanted, NULL, err);
    ksk_workspace *workspace = ksk_workspace_new(1, err);
    const int64_t matrix[] = {ROWS, WORDS}, pairs[] = {ROWS, 2};
    ksk_tensor *const in[4] = {ksk_tensor_wrap(KSK_F32, 2, matrix, logits, NULL, NULL, err),
                               ksk_tensor_wrap(KSK_I32, 1, matrix, targets, NULL, NULL, err),
                               ksk_tensor_wrap(KSK_I32, 1, matrix, ids, NULL, NULL, err),
                               ksk_tensor_wrap(KSK_I32, 2, pairs, spans, NULL, NULL, err)};
    ksk_tensor *out[2] = {NULL};
    float loss = NAN;
    if (plan && workspace && in[0] && in[1] && in[2] && in[3] &&
        ksk_run(plan, workspace, (const ksk_tensor *const *)in, out, err)) {
        loss = ksk_tensor_f32(out[0])[0];
        for (int i = 0; gradient && i < COUNT; i++)
            gradient[i] = ksk_tensor_f32(out[1])[i];
    }
    for (int i = 0; i < 4; i++)
        ksk_tensor_release(in[i]);
    for (int i = 0; i < 2; i++)
        ksk_tensor_release(out[i]);
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
    if (isnan(loss_at(scores, gradient, &err))) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const float h = 1e-2F;
    bool ok = true;
    for (int i = 0; i < COUNT; i++) {
        float moved[COUNT];
        for (int j = 0; j < COUNT; j++)
            moved[j] = scores[j];
        moved[i] = scores[i] + h;
        const float above = loss_at(moved, NULL, &err);
        moved[i] = scores[i] - h;
        const float slope = (above - loss_at(moved, NULL, &err)) / (2 * h);
        ok = ok && fabsf(slope - gradient[i]) < 1e-2F * (1 + fabsf(slope));
    }
    puts(ok ? "NAME: all as it should be" : "NAME: the gradient is not the slope");
    return !ok;
}
