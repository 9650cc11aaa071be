/* The shape rule and slicing that add and multiply share: the second operand has the shape of the
 * first, or is one row for all. */
#ifndef KSK_GRAPH_OPS_ELEMENTWISE_H
#define KSK_GRAPH_OPS_ELEMENTWISE_H

#include "graph/ops/ops.h"

void ksk_shape_elementwise(ksk_shaping *shaping);

/* Row i of the second operand. */
const float *ksk_second_row(const ksk_call *call, int64_t i);

/* Elements from one row of the second operand to the next: 0 when one row serves all. */
int64_t ksk_second_stride(const ksk_call *call);

/* The gradient of the second operand from that of its spread-out form. */
ksk_sym ksk_reduce_to_second(ksk_sym second, ksk_sym grad);

#endif
