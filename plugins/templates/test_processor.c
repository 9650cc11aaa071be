/* Tests the processor NAME without a model: ./test_NAME NAME.so */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    ksk_error err = {0};
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    const ksk_processor_type *const type = ksk_processor_find("NAME");
    bool ok = !type->open("nonsense", NULL, NULL);
    void *const settings = type->open("2", NULL, &err);
    if (!settings) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const int32_t ids[] = {1}, source[] = {3};
    float values[] = {1, 2, 3, 4};
    ksk_scores scores = {ids, 1, 10, values, 4, source, 1};
    type->process(settings, &scores);
    type->close(settings);
    static const float expected[] = {1, 2, -INFINITY, 4};
    for (int i = 0; i < 4; i++)
        ok = ok && values[i] == expected[i];
    puts(ok ? "NAME: all as it should be" : "NAME: other scores than expected");
    return !ok;
}
