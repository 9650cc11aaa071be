/* Tests the optimiser NAME on Σ a (x - b)²: ./test_NAME NAME.so */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

enum { COUNT = 5, UPDATES = 400 };

static const float a[COUNT] = {1, 0.5F, 2, 0.1F, 3}, b[COUNT] = {1, -2, 0.5F, 3, -0.25F};

int main(int argc, char **argv)
{
    ksk_error err = {0};
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    const ksk_optimiser_type *const type = ksk_optimiser_find("NAME");
    const int64_t shape[] = {COUNT};
    float x[COUNT] = {0}, gradients[COUNT], moments[2][COUNT] = {{0}};
    for (int64_t t = 1; t <= UPDATES; t++) {
        for (int i = 0; i < COUNT; i++)
            gradients[i] = 4 * a[i] * (x[i] - b[i]); /* twice the gradient, which `scale` halves */
        const ksk_leaf_update leaf = {
            .rank = 1,
            .shape = shape,
            .count = COUNT,
            .gradients = gradients,
            .scale = 0.5F,
            .parameters = x,
            .moments = {moments[0], moments[1]},
            .next_parameters = x,
            .next_moments = {moments[0], moments[1]},
            .learning_rate = 0.1 * (1 - (double)t / (UPDATES + 1)),
            .beta1 = 0.9,
            .beta2 = 0.98,
            .epsilon = 1e-9,
            .update = t,
        };
        float numbers[KSK_LEAF_NUMBERS] = {0};
        if (type->prepare)
            type->prepare(&leaf, numbers);
        type->update(&leaf, numbers, 0, 2);
        type->update(&leaf, numbers, 2, COUNT);
    }
    bool ok = true;
    for (int i = 0; i < COUNT; i++)
        ok = ok && fabsf(x[i] - b[i]) < 0.05F;
    puts(ok ? "NAME: all as it should be" : "NAME: it does not find the minimum");
    return !ok;
}
