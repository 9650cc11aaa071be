#include "models/given.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "kaskad/random.h"

static const double *given;
static size_t given_count;

double __real_ksk_random_uniform_double(ksk_key key, uint64_t counter);
double __wrap_ksk_random_uniform_double(ksk_key key, uint64_t counter);

double __wrap_ksk_random_uniform_double(ksk_key key, uint64_t counter)
{
    if (!given)
        return __real_ksk_random_uniform_double(key, counter);
    if (counter >= given_count)
        fail_msg("the sampler goes on where the reference had ended");
    return given[counter];
}

void given_uniforms(const double *numbers, size_t count)
{
    given = numbers;
    given_count = count;
}
