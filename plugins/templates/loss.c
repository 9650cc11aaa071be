/* NAME: cross entropy, in which hard tokens count more: every token's is c + WEIGHT c². Change
 * `trace`.
 *
 * Author year, "Title". A recipe says `loss: NAME` or `loss: NAME=WEIGHT`. */
#include <kaskad/extend.h>
#include <stdlib.h>

static ksk_sym trace(ksk_loss_input *input)
{
    char *end;
    const float weight = *input->argument ? strtof(input->argument, &end) : 0.1F;
    if (*input->argument && (*end || !(weight >= 0)))
        return ksk_graph_fail(input->targets.graph, KSK_BAD_ARGUMENT,
                              "NAME takes WEIGHT, 0 or more, not '%s'", input->argument);
    const ksk_sym c = ksk_cross_entropy(input->logits(input), input->targets, input->smoothing);
    return ksk_sum(ksk_add(c, ksk_scale(ksk_multiply(c, c), weight)));
}

static const ksk_loss NAME = {
    .name = "NAME",
    .citation = "Author year, Title",
    .takes = "WEIGHT",
    .trace = trace,
};
static const ksk_loss *const losses[] = {&NAME, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "NAME", .losses = losses};

const ksk_plugin *kaskad_plugin(void)
{
    return &plugin;
}
