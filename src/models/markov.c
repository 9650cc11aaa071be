/* The Markov Transformer: Deng & Rush 2020, "Cascaded Text Generation with Markov Transformers".
 *
 * A Marian Transformer, tensor for tensor, whose decoder learns to predict a token from exactly the
 * last m target tokens, for every m = 0 … M at once. In training, barriers cut the target into
 * blocks of B = M + 1 positions, the first at a random offset o < B. A block opens with the start
 * token instead of the token before it, and attends to itself alone; positions stay those of the
 * sentence. So the j-th output of a block sees the start token and its j predecessors:
 *
 *     input      <s> y0  y1 | <s> y3  y4 | <s> y6          M = 2, o = 0
 *     output      y0  y1  y2    y3  y4  y5   y6  y7
 *
 * With o > 0 the first o positions are a short block that opens with the end token; decoding never
 * uses that form. What is left of the architecture is data: which rows there are and what they
 * attend (src/scorer/blocks.h). config.json says
 *
 *     markov_order            M
 *     length_a, length_b      the length line: target ≈ a · source + b, in tokens without the end
 */
#include <math.h>

#include "io/checkpoint.h"
#include "models/marian.h"

enum { most_order = 64 };

static ksk_module *declare(ksk_config *json, ksk_error *err)
{
    if (!ksk_config_has(json, "markov_order")) {
        ksk_fail(err, KSK_BAD_FORMAT,
                 "config.json: markov_order is missing; the checkpoint is no Markov Transformer");
        return NULL;
    }
    const int order = ksk_config_int(json, "markov_order", 0, 0, most_order);
    const double a = ksk_config_number(json, "length_a", 1),
                 b = ksk_config_number(json, "length_b", 0);
    if (!ksk_config_ok(json, err))
        return NULL;
    if (!isfinite(a) || !isfinite(b)) {
        ksk_fail(err, KSK_BAD_FORMAT, "config.json: length_a and length_b must be finite numbers");
        return NULL;
    }
    ksk_module *module = ksk_marian_declare(json, err);
    if (module) {
        ksk_module_setting(module, "order", order);
        ksk_module_setting(module, "length_a", a);
        ksk_module_setting(module, "length_b", b);
    }
    return module;
}

const ksk_model_type ksk_markov_transformer = {
    .name = "kaskad-markov",
    .citation = "Deng and Rush 2020, Cascaded Text Generation with Markov Transformers",
    .declare = declare,
    .aliases = ksk_marian_aliases,
    .seq2seq = &ksk_marian_parts,
};
