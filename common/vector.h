#ifndef COMMON_VECTOR_H
#define COMMON_VECTOR_H

#include <stddef.h>
#include <string.h>

/*
 * Loops over arrays for the machine at hand: a function marked VECTOR_CLONES is
 * compiled for AVX-512, for AVX2 and for any x86-64, and the dynamic linker
 * takes the best that the processor has. It adds in another order and with
 * other roundings (fused multiply-add) on each, always the same on one. Other
 * architectures, 64-bit Arm with its vectors among them, have one version.
 *
 * What such a function calls must be inlined, or it is not of its kind:
 * VECTOR_INLINE. A sum across an array wants `#pragma omp simd reduction`
 * (-fopenmp-simd), which alone lets the compiler add in lanes.
 */
#if defined(__x86_64__)
#define VECTOR_CLONES \
    __attribute__((   \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif
#define VECTOR_INLINE static inline __attribute__((always_inline))

/*
 * Sixteen floats for a loop that keeps sums in registers; the compiler splits
 * them where registers are smaller. Rows of them are padded to a multiple.
 */
enum { VECTOR_LANES = 16 };
typedef float vector_floats __attribute__((vector_size(4 * VECTOR_LANES)));
typedef int vector_ints __attribute__((vector_size(4 * VECTOR_LANES)));

VECTOR_INLINE size_t vector_padded(size_t n) {
    return (n + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES;
}

VECTOR_INLINE vector_floats vector_load(const float *x) {
    vector_floats v;
    memcpy(&v, x, sizeof(v));
    return v;
}

VECTOR_INLINE void vector_store(float *x, vector_floats v) {
    memcpy(x, &v, sizeof(v));
}

/* x where `on` is above 0, else 0, as where it is NaN. */
VECTOR_INLINE vector_floats vector_where(vector_floats on, vector_floats x) {
    return (vector_floats)((vector_ints)x & (on > 0.0f));
}

/* The sum of the lanes, by halves. */
VECTOR_INLINE float vector_sum(vector_floats v) {
    typedef float eight __attribute__((vector_size(32)));
    typedef float four __attribute__((vector_size(16)));
    eight low, high;
    memcpy(&low, &v, sizeof(low));
    memcpy(&high, (const char *)&v + sizeof(low), sizeof(high));
    low += high;
    four x, y;
    memcpy(&x, &low, sizeof(x));
    memcpy(&y, (const char *)&low + sizeof(x), sizeof(y));
    x += y;
    return (x[0] + x[2]) + (x[1] + x[3]);
}

#endif
