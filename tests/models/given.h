/* Random numbers of the test's own. tests/CMakeLists.txt lets the linker put
 * __wrap_ksk_random_uniform_double where the sampler asks for its numbers. */
#ifndef MODELS_GIVEN_H
#define MODELS_GIVEN_H

#include <stddef.h>

/* From now on the sampler's t-th number is numbers[t]; NULL: its own again. */
void given_uniforms(const double *numbers, size_t count);

#endif
