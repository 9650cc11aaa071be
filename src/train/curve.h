/* A run's curve: training loss, dev loss and dev BLEU over updates. */
#ifndef KSK_TRAIN_CURVE_H
#define KSK_TRAIN_CURVE_H

#include "kaskad/error.h"

/* Draws what the log says as an SVG image, whole or not at all. Errors: BAD_FILE, BAD_FORMAT (a
 * line of the log that is no JSON object), OUT_OF_MEMORY. */
bool ksk_curve_draw(const char *log, const char *svg, ksk_error *err);

#endif
