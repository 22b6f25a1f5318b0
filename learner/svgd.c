#include "learner/svgd.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/fastmath.h"

static const float min_bandwidth = 1e-3f;

/* (A, M) transposed moved particles, (A, M) sums, (M) kernel; or (K, M). */
size_t svgd_scratch_len(struct svgd_dims n) {
    const size_t direction = (2 * n.A + 1) * n.M, median = n.K * n.M;
    return direction > median ? direction : median;
}

/*
 * One state's moved particles as (A, M): every inner loop below then runs
 * along i, contiguous and without a sum across it, so it becomes vector code.
 */
static void transpose(float *to, const float *from, size_t M, size_t A) {
    for (size_t i = 0; i < M; i++) {
        for (size_t d = 0; d < A; d++) to[d * M + i] = from[i * A + d];
    }
}

void svgd_distances(float *d2, const float *fixed, const float *moved,
                    struct svgd_dims n, float *scratch) {
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

/*
 * The k-th smallest (from 0) of x (n), which is reordered: Hoare's FIND, a
 * few passes where a sort takes many. A NaN stops both scans: it cannot run
 * out of x.
 */
static float select_smallest(float *x, ptrdiff_t n, ptrdiff_t k) {
    ptrdiff_t low = 0, high = n - 1;
    while (low < high) {
        const float pivot = x[k];
        ptrdiff_t i = low, j = high;
        do {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i <= j) {
                const float kept = x[i];
                x[i++] = x[j];
                x[j--] = kept;
            }
        } while (i <= j);
        if (j < k) low = i;
        if (k < i) high = j;
    }
    return x[k];
}

/* One state's distances that count: all, or those of two particles. Returns
 * their number. */
static size_t gather_pairs(float *to, const float *d2, struct svgd_dims n) {
    if (!n.one_set) {
        memcpy(to, d2, sizeof(*to) * n.K * n.M);
        return n.K * n.M;
    }
    size_t pairs = 0;
    for (size_t j = 0; j < n.K; j++) {
        for (size_t i = 0; i < n.M; i++) {
            if (i != j) to[pairs++] = d2[j * n.M + i];
        }
    }
    return pairs;
}

void svgd_bandwidth(float *h, const float *d2, struct svgd_dims n,
                    float *scratch) {
    for (size_t b = 0; b < n.B; b++) {
        const size_t pairs = gather_pairs(scratch, d2 + b * n.K * n.M, n);
        const float median = select_smallest(scratch, (ptrdiff_t)pairs,
                                             (ptrdiff_t)((pairs - 1) / 2));
        h[b] = fmaxf(median / logf((float)n.K), min_bandwidth);
    }
}

/* One fixed particle's share of every D(y_i) of its state. */
static void add_particle(float *restrict sum, const float *restrict y,
                         const float *restrict kappa, const float *x_j,
                         const float *g_j, float repel, size_t M, size_t A) {
    for (size_t d = 0; d < A; d++) {
        const float x = x_j[d], g = g_j[d];
        for (size_t i = 0; i < M; i++) {
            // g pulls uphill; grad_{x_j} kappa = -2/h (x_j - y_i) kappa
            // pushes y_i away from x_j
            sum[d * M + i] += kappa[i] * (g - repel * (x - y[d * M + i]));
        }
    }
}

void svgd_direction(float *D, const float *fixed, const float *moved,
                    const float *g, const float *d2, const float *h,
                    float alpha, struct svgd_dims n, float *scratch) {
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
