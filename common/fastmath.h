#ifndef COMMON_FASTMATH_H
#define COMMON_FASTMATH_H

#include <stdint.h>
#include <string.h>

#include "common/vector.h"

/*
 * exp, log, tanh and the like of a float without branches or calls, so that a
 * loop over an array becomes vector code by itself. Not for NaN: a NaN comes
 * out as some number or NaN, so check finiteness elsewhere.
 */

/* e^x within 2e-7 relative on [-87, 88]; clamped outside (never 0 or infinite).
 */
VECTOR_INLINE float fastmath_exp(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    // x = n log 2 + r, |r| <= log(2) / 2; adding 1.5 * 2^23 rounds to n, and
    // log 2 in two parts keeps r exact (Cody and Waite)
    const float shifted = x * 1.44269504089f + 0x1.8p23f;
    const float n = shifted - 0x1.8p23f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    // minimax on that interval (Cephes expf)
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // times 2^n, through the exponent's bits: n sits in shifted's low bits
    int32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (int32_t)(((uint32_t)bits + 127u) << 23);
    memcpy(&power, &bits, sizeof(power));
    return p * power;
}

/* log x of a positive, finite x that is not subnormal, within 2e-7 of the
 * larger of 1 and |log x|. */
VECTOR_INLINE float fastmath_log(float x) {
    // x = 2^n m, m in [sqrt(1/2), sqrt(2)): the bits above those of sqrt(1/2)
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    const uint32_t above = bits - 0x3f3504f3u;
    const float n = (float)((int32_t)above >> 23);
    bits = (above & 0x007fffffu) + 0x3f3504f3u;
    float m;
    memcpy(&m, &bits, sizeof(m));
    // log(1 + r), r in [-0.293, 0.414] (Cephes logf)
    const float r = m - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    const float square = r * r;
    p = p * r * square - 2.12194440e-4f * n - 0.5f * square;
    return r + p + 0.693359375f * n;
}

/* Sine and cosine of x turns (2 pi x), x in [0, 1], within 2e-7. */
VECTOR_INLINE void fastmath_turn(float x, float *sine, float *cosine) {
    // the nearest quarter n, and the angle from it: |r| <= pi / 4
    const int32_t n = (int32_t)(4.0f * x + 0.5f);
    const float r = 6.28318530718f * (x - 0.25f * (float)n);
    const float square = r * r;
    // Cephes sinf, cosf
    float s = -1.9515295891e-4f;
    s = s * square + 8.3321608736e-3f;
    s = s * square - 1.6666654611e-1f;
    s = s * square * r + r;
    float c = 2.443315711809948e-5f;
    c = c * square - 1.388731625493765e-3f;
    c = c * square + 4.166664568298827e-2f;
    c = c * square * square - 0.5f * square + 1.0f;
    const float a = n & 1 ? c : s, b = n & 1 ? s : c;
    *sine = n & 2 ? -a : a;
    *cosine = (n + 1) & 2 ? -b : b;
}

/* tanh x within 2e-7 absolute; exactly +-1 from |x| = 10 on. */
VECTOR_INLINE float fastmath_tanh(float x) {
    const float magnitude = x < 0.0f ? -x : x;
    const float e = fastmath_exp(-2.0f * magnitude);
    const float t = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -t : t;
}

#endif
