/* Elementary functions over vectors. A lane's result depends on that lane alone, so that an element
 * has the same bits wherever it stands. Errors are a few units in the last place. */
#ifndef KSK_TENSOR_KERNELS_MATH_H
#define KSK_TENSOR_KERNELS_MATH_H

#include "tensor/kernels/vector.h"

/* e^x = 2^n e^r with |r| <= ln 2 / 2; the coefficients are a least-maximum fit of (e^r - 1 - r) /
 * r^2. 2^n is multiplied in two halves, so that overflow and subnormal results come out right. */
INLINE vfloat exponential(vfloat x)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer, held in the low bits */
    x = choose(x > 89.f, splat(89.f), x);
    x = choose(x < -105.f, splat(-105.f), x);
    const vfloat shifted = fused(x, splat(0x1.715476p0f), splat(shift));
    const vfloat n = shifted - shift;
    vfloat r = fused(n, splat(-0x1.62e4p-1f), x);
    r = fused(n, splat(-0x1.7f7d1cp-20f), r);
    vfloat p = splat(0.0013951717410236597f);
    p = fused(p, r, splat(0.008369598537683487f));
    p = fused(p, r, splat(0.0416661873459816f));
    p = fused(p, r, splat(0.16666512191295624f));
    p = fused(p, r, splat(0.5f));
    p = fused(p * r, r, r) + 1.f;
    const vint whole = (vint)shifted - (vint)splat(shift);
    const vint half = whole >> 1;
    return p * (vfloat)((half + 127) << 23) * (vfloat)((whole - half + 127) << 23);
}

/* The normal distribution function. For u = |x|, Phi(-u) = e^(-u^2/2) R(u), and R is a polynomial
 * in 1 / (1 + 0.35 u) (a least-maximum fit on u < 14.5; beyond, the exponential is 0). */
INLINE vfloat normal_cdf(vfloat x)
{
    const vfloat u = magnitude(x);
    const vfloat t = 1.f / fused(u, splat(0.35f), splat(1.f));
    vfloat r = splat(-0.029158029705286026f);
    r = fused(r, t, splat(0.1440316140651703f));
    r = fused(r, t, splat(-0.25584039092063904f));
    r = fused(r, t, splat(0.15932124853134155f));
    r = fused(r, t, splat(-0.02321339212357998f));
    r = fused(r, t, splat(0.10555292665958405f));
    r = fused(r, t, splat(0.11982118338346481f));
    r = fused(r, t, splat(0.1398635357618332f));
    r = fused(r, t, splat(0.139621302485466f));
    const vfloat tail = r * t * exponential(u * u * -0.5f);
    return choose(x < 0.f, tail, 1.f - tail);
}

/* Near 0, x + x^3 P(x^2) (a least-maximum fit); elsewhere 1 - 2 / (e^2|x| + 1) with x's sign. */
INLINE vfloat hyperbolic_tangent(vfloat x)
{
    const vfloat u = magnitude(x), s = x * x;
    vfloat p = splat(-0.00553305447101593f);
    p = fused(p, s, splat(0.02048814482986927f));
    p = fused(p, s, splat(-0.05369482561945915f));
    p = fused(p, s, splat(0.1333092898130417f));
    p = fused(p, s, splat(-0.3333326578140259f));
    const vfloat near = fused(p * s, x, x);
    const vfloat far = 1.f - 2.f / (exponential(u + u) + 1.f);
    const vint sign = (vint)x & INT32_MIN;
    return choose(u < 0.625f, near, (vfloat)((vint)far | sign));
}

INLINE vfloat activated(ksk_activation kind, vfloat x)
{
    switch (kind) {
    case KSK_RELU:
        return choose(x < 0.f, splat(0.f), x);
    case KSK_GELU:
        return x * normal_cdf(x);
    case KSK_GELU_NEW: { /* (1 + tanh u) / 2 = 1 / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3)
                          */
        const vfloat cubic = fused(x * x, splat(0.044715f), splat(1.f)) * x;
        return x / (1.f + exponential(cubic * -1.5957691216057308f));
    }
    case KSK_SILU:
        return x / (1.f + exponential(-x));
    case KSK_TANH:
        return hyperbolic_tangent(x);
    case KSK_IDENTITY:
        break;
    }
    return x;
}

/* d activated / dx. */
INLINE vfloat slope_of(ksk_activation kind, vfloat x)
{
    switch (kind) {
    case KSK_RELU:
        return choose(x > 0.f, splat(1.f), splat(0.f));
    case KSK_GELU:
        return fused(x * 0.3989422804014327f, exponential(x * x * -0.5f), normal_cdf(x));
    case KSK_GELU_NEW: { /* s + x s (1 - s) 2u', where s = 1 / (1 + e^-2u); flat beyond 16 */
        const vfloat y = choose(x > 16.f, splat(16.f), choose(x < -16.f, splat(-16.f), x));
        const vfloat square = y * y;
        const vfloat twice = fused(square, splat(0.044715f), splat(1.f)) * y * 1.5957691216057308f;
        const vfloat s = 1.f / (1.f + exponential(-twice));
        const vfloat bend = fused(square, splat(0.134145f), splat(1.f)) * 1.5957691216057308f;
        return fused(y * bend, s * (1.f - s), s);
    }
    case KSK_SILU: {
        const vfloat s = 1.f / (1.f + exponential(-x));
        return s * fused(x, 1.f - s, splat(1.f));
    }
    case KSK_TANH: {
        const vfloat t = hyperbolic_tangent(x);
        return 1.f - t * t;
    }
    case KSK_IDENTITY:
        break;
    }
    return splat(1.f);
}

#endif
