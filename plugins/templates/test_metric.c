/* Tests the metric NAME: ./test_NAME NAME.so */
#include <kaskad/extend.h>
#include <math.h>
#include <stdio.h>

enum { LINES = 4 };

static const char *const hypotheses[LINES] = {"a b", "c", "", "d e f"};
static const char *const first[LINES] = {"a b", "C", "", "d e"};
static const char *const second[LINES] = {"a", "b", "x", "d e g"};

int main(int argc, char **argv)
{
    ksk_error err = {0};
    if (argc != 2 || !ksk_plugin_load(argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: test_NAME NAME.so");
        return 1;
    }
    const char *const *const references[] = {first, second};
    ksk_metric_result result;
    if (!ksk_metric_measure("NAME", LINES, hypotheses, 2, references, NULL, &result, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const bool ok = fabs(result.score - 50) < 1e-9;
    puts(ok ? "NAME: all as it should be" : "NAME: another score than expected");
    return !ok;
}
