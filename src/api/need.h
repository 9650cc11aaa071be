/* How much memory translating needs, and whether a limit allows it. */
#ifndef KSK_API_NEED_H
#define KSK_API_NEED_H

#include "api/translator.h"

/* Most bytes that the process needs with a model's weights as they will be in memory, before they
 * are packed. */
int64_t ksk_model_need(const ksk_model *model);

/* False with OUT_OF_MEMORY when `limit` (0: none) is below the need of the model, or of a
 * translator with the options. */
bool ksk_model_fits(const ksk_model *model, int64_t limit, ksk_error *err);
bool ksk_translator_fits(const ksk_translator *translator, ksk_error *err);

#endif
