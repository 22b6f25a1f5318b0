#include "learner/svgd.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/fastmath.h"
#include "common/vector.h"

static const float min_bandwidth = 1e-3f;

/* (A, M) transposed moved particles, (A, M) sums, (M) kernel. */
size_t svgd_scratch_len(struct svgd_dims n) {
    return (2 * n.A + 1) * n.M;
}

/*
 * One state's moved particles as (A, M): every inner loop below then runs
 * along i, contiguous and without a sum across it, so it becomes vector code.
 */
VECTOR_INLINE void transpose(float *to, const float *from, size_t M, size_t A) {
    for (size_t i = 0; i < M; i++) {
        for (size_t d = 0; d < A; d++) to[d * M + i] = from[i * A + d];
    }
}

VECTOR_CLONES void svgd_distances(float *d2, const float *fixed,
                                  const float *moved, struct svgd_dims n,
                                  float *scratch) {
    assert(n.B > 0 && n.K > 1 && n.M > 0 && n.A > 0);
    memset(d2, 0, sizeof(*d2) * n.B * n.K * n.M);

    for (size_t b = 0; b < n.B; b++) {
        float *y = scratch; // (A, M)
        transpose(y, moved + b * n.M * n.A, n.M, n.A);
        for (size_t bj = b * n.K; bj < (b + 1) * n.K; bj++) {
            const float *x_j = fixed + bj * n.A;  // (A)
            float *restrict d2_j = d2 + bj * n.M; // (M)
            for (size_t d = 0; d < n.A; d++) {
                const float x = x_j[d], *y_d = y + d * n.M;
                for (size_t i = 0; i < n.M; i++) {
                    d2_j[i] += (x - y_d[i]) * (x - y_d[i]);
                }
            }
        }
    }
}

/* How many of x (n) are at most the float whose bits these are: floats that are
 * not negative are in the order of their bits, a NaN above all. */
VECTOR_CLONES static size_t count_to(const float *x, size_t n, int32_t most) {
    uint32_t count = 0;
#pragma omp simd reduction(+ : count)
    for (size_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        count += bits <= most;
    }
    return count;
}

/* The k-th smallest (from 0) of x (n), none of them negative, by halving the
 * range of floats: 31 passes without a branch. */
static float select_smallest(const float *x, size_t n, size_t k) {
    int32_t low = 0, high = INT32_MAX;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (count_to(x, n, middle) > k)
            high = middle;
        else
            low = middle + 1;
    }
    float smallest;
    memcpy(&smallest, &low, sizeof(smallest));
    return smallest;
}

void svgd_bandwidth(float *h, const float *d2, struct svgd_dims n) {
    // one set: the particles' distances to themselves are K zeros, the smallest
    const size_t pairs = n.K * n.M, own = n.one_set ? n.K : 0;
    for (size_t b = 0; b < n.B; b++) {
        const float median =
            select_smallest(d2 + b * pairs, pairs, own + (pairs - own - 1) / 2);
        h[b] = fmaxf(median / logf((float)n.K), min_bandwidth);
    }
}

/* One fixed particle's share of every D(y_i) of its state. */
VECTOR_INLINE void add_particle(float *restrict sum, const float *restrict y,
                                const float *restrict kappa, const float *x_j,
                                const float *g_j, float repel, size_t M,
                                size_t A) {
    for (size_t d = 0; d < A; d++) {
        const float x = x_j[d], g = g_j[d];
        for (size_t i = 0; i < M; i++) {
            // g pulls uphill; grad_{x_j} kappa = -2/h (x_j - y_i) kappa
            // pushes y_i away from x_j
            sum[d * M + i] += kappa[i] * (g - repel * (x - y[d * M + i]));
        }
    }
}

VECTOR_CLONES void svgd_direction(float *D, const float *fixed,
                                  const float *moved, const float *g,
                                  const float *d2, const float *h, float alpha,
                                  struct svgd_dims n, float *scratch) {
    assert(n.B > 0 && n.K > 1 && n.M > 0 && n.A > 0 && alpha > 0.0f);
    float *y = scratch;             // (A, M)
    float *sum = y + n.A * n.M;     // (A, M)
    float *kappa = sum + n.A * n.M; // (M)
    const float others = (float)(n.one_set ? n.K - 1 : n.K);
    assert(!n.one_set || n.K == n.M);

    for (size_t b = 0; b < n.B; b++) {
        transpose(y, moved + b * n.M * n.A, n.M, n.A);
        memset(sum, 0, sizeof(*sum) * n.A * n.M);
        const float inverse = 1.0f / h[b];
        for (size_t bj = b * n.K; bj < (b + 1) * n.K; bj++) {
            const float *d2_j = d2 + bj * n.M; // (M)
            for (size_t i = 0; i < n.M; i++) {
                kappa[i] = fastmath_exp(-d2_j[i] * inverse);
            }
            if (n.one_set) kappa[bj - b * n.K] = 0.0f;
            add_particle(sum, y, kappa, fixed + bj * n.A, g + bj * n.A,
                         2.0f * alpha * inverse, n.M, n.A);
        }
        for (size_t i = 0; i < n.M; i++) {
            for (size_t d = 0; d < n.A; d++) {
                D[(b * n.M + i) * n.A + d] = sum[d * n.M + i] / others;
            }
        }
    }
}
