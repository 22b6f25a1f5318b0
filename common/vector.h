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
 * them where registers are smaller. n: how many lie there, at most
 * VECTOR_LANES; a constant where it should be fast.
 */
enum { VECTOR_LANES = 16 };
typedef float vector_floats __attribute__((vector_size(4 * VECTOR_LANES)));
typedef int vector_ints __attribute__((vector_size(4 * VECTOR_LANES)));

VECTOR_INLINE vector_floats vector_load(const float *x, size_t n) {
    vector_floats v = {0};
    memcpy(&v, x, sizeof(*x) * n);
    return v;
}

VECTOR_INLINE void vector_store(float *x, vector_floats v, size_t n) {
    memcpy(x, &v, sizeof(*x) * n);
}

/* x where `on` is above 0, else 0, as where it is NaN. */
VECTOR_INLINE vector_floats vector_where(vector_floats on, vector_floats x) {
    return (vector_floats)((vector_ints)x & (on > 0.0f));
}

/* The lanes after those at h of a row of H: the last of a row overlap the ones
 * before instead of being fewer. */
VECTOR_INLINE size_t vector_next(size_t h, size_t H, size_t n) {
    const size_t next = h + n;
    return next < H && next + n > H ? H - n : next;
}

#endif
