#include "tensor/kernels/table.h"

#include "tensor/kernels/vector.h"

#define KSK_TEXT_(text) #text
#define KSK_TEXT(text)  KSK_TEXT_(text)

const ksk_kernels KERNEL(kernels) = {.isa = KSK_TEXT(KSK_ISA),
                                     .panel = PANEL,
#define MEMBER(name) .name = KERNEL(name),
                                     EACH_KERNEL(MEMBER)
#undef MEMBER
};
