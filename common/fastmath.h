#ifndef COMMON_FASTMATH_H
#define COMMON_FASTMATH_H

#include <stdint.h>
#include <string.h>

#include "common/vector.h"

/*
 * exp and tanh of a float without branches or calls, so that a loop over an
 * array becomes vector code by itself. Not for NaN: a NaN comes out as some
 * number or NaN, so check finiteness elsewhere.
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

/* tanh x within 2e-7 absolute; exactly +-1 from |x| = 10 on. */
VECTOR_INLINE float fastmath_tanh(float x) {
    const float magnitude = x < 0.0f ? -x : x;
    const float e = fastmath_exp(-2.0f * magnitude);
    const float t = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -t : t;
}

#endif
