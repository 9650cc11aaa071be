#include <math.h>

#include "kaskad/diagnose.h"

void ksk_mass_covered(int count, const int *same, const double *log_probs, double *mass)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        if (same[i] == i)
            sum += exp(log_probs[i]);
        mass[i] = sum;
    }
}
