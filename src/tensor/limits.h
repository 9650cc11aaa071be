/* What this processor can do at most, measured: what a product is held against. Times are of each
 * thread's own processor time, so that other programs disturb them less. */
#ifndef KSK_TENSOR_LIMITS_H
#define KSK_TENSOR_LIMITS_H

#include "base/pool.h"
#include "tensor/kernels.h"

/* Operations a second (a multiplication and an addition are two) of all the pool's threads at once:
 * a loop of the widest multiply-and-adds that the kernels of that precision use; where no such loop
 * is known, a large product. 0 when memory runs out. Takes about 10 ms. */
double ksk_limit_operations(const ksk_kernels *kernels, ksk_precision precision, ksk_pool *pool);

/* Bytes a second that the pool's threads read of a buffer of that size, each its own part, again
 * and again: from memory, or whichever cache it fits. 0 when memory runs out. About 10 ms. */
double ksk_limit_bytes(size_t bytes, ksk_pool *pool);

#endif
