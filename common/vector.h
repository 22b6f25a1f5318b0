#ifndef COMMON_VECTOR_H
#define COMMON_VECTOR_H

#include <stddef.h>
#include <string.h>

/*
 * Loops over arrays for the machine at hand: a function marked VECTOR_CLONES is
 * compiled for AVX-512, for AVX2 and for any x86-64, and the dynamic linker
 * takes the best that the processor has. It adds in another order and with
 * other roundings (fused multiply-add) on each, always the same on one. Other
 * architectures, 64-bit Arm with its vectors among them, have one version, and so
 * has clang's code, whose clones (14) another file does not find by their name.
 *
 * What such a function calls must be inlined, or it is not of its kind:
 * VECTOR_INLINE. A sum across an array wants `#pragma omp simd reduction`
 * (-fopenmp-simd) or a file that may add in another order: nothing else lets
 * the compiler add in lanes.
 */
/* Their choice at start-up would come before ThreadSanitizer is there. */
#if !defined(__x86_64__) || defined(__clang__) || defined(__SANITIZE_THREAD__)
#define VECTOR_CLONES
#elif defined(VECTOR_NO_AVX512) /* meson's -Davx512=false */
#define VECTOR_CLONES \
    __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES \
    __attribute__((   \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#define VECTOR_INLINE static inline __attribute__((always_inline))

/* Rows that vector code goes over are padded to whole vectors; a loop up to
 * VECTOR_WHOLE(padded) has no rest. */
enum { VECTOR_LANES = 16 };
#define VECTOR_WHOLE(n) ((n) & ~(size_t)(VECTOR_LANES - 1))

VECTOR_INLINE size_t vector_padded(size_t n) {
    return VECTOR_WHOLE(n + VECTOR_LANES - 1);
}

#endif
