/* NAME: how many lines of a hundred are equal to one of their references. Change `add` and `score`.
 *
 * Author year, "Title". */
#include <kaskad/extend.h>
#include <string.h>

/* What a line adds to. */
enum { EQUAL, LINES, NUMBERS };

static bool add(void *space, const char *hypothesis, int reference_count,
                const char *const *references, const ksk_metric_options *options, int64_t *sums)
{
    (void)space, (void)options;
    bool equal = false;
    for (int r = 0; r < reference_count; r++)
        equal = equal || strcmp(hypothesis, references[r]) == 0;
    sums[EQUAL] += equal;
    sums[LINES]++;
    return true;
}

static void score(const int64_t *sums, const ksk_metric_options *options, ksk_metric_result *result)
{
    (void)options;
    result->score = 100 * (double)sums[EQUAL] / (double)sums[LINES];
}

static const ksk_metric NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .numbers = NUMBERS,
    .add = add,
    .score = score,
};
static const ksk_metric *const metrics[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .metrics = metrics};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
