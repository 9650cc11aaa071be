/* The tokenizer of mteval-v13a, NIST's script for machine translation evaluations. */
#ifndef KSK_METRICS_TOKENIZE_13A_H
#define KSK_METRICS_TOKENIZE_13A_H

#include "metrics/codepoints.h"

/* Rewrites a line in place so that white space separates its tokens. False when memory runs out. */
bool ksk_tokenize_13a(ksk_codepoints *line);

#endif
