#ifndef LEARNER_SVGD_H
#define LEARNER_SVGD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Stein variational gradient of action particles (REFERENCE.md, SVGD; kernel
 * of Liu & Wang 2016): K fixed particles x_j pull and push M moved particles
 * y_i, all of them u = f(s, .), or a = tanh u for the released code's variant.
 *
 *   D(y_i)      = 1/K sum_j [ kappa(x_j, y_i) g_j
 *                             + alpha grad_{x_j} kappa(x_j, y_i) ]
 *   kappa(x, y) = exp(-|x - y|^2 / h)
 *
 * Where g comes from is the caller's affair: the Q network's gradient in
 * training, a formula in tests.
 *
 * Pure arithmetic: nothing here allocates, keeps state or can fail; bad sizes
 * are bugs and are asserted. Arrays are row-major and must not overlap.
 *
 *   B states   K fixed particles   M moved particles   A action dimensions
 */

/*
 * Sizes shared by the calls of one step; all positive, K > 1.
 *
 * one_set: x_j = y_j, K = M. Sums and the median then leave out j = i and the
 * divisor is K - 1, or a particle's own term would make the law collapse.
 */
struct svgd_dims {
    size_t B, K, M, A;
    bool one_set;
};

/* Floats of scratch that svgd_distances() and svgd_direction() need. */
size_t svgd_scratch_len(struct svgd_dims n);

/*
 * Squared distances |x_j - y_i|^2.
 *
 * d2       out (B, K, M)
 * fixed        (B, K, A)  x
 * moved        (B, M, A)  y
 * scratch      (svgd_scratch_len(n)), overwritten
 */
void svgd_distances(float *d2, const float *fixed, const float *moved,
                    struct svgd_dims n, float *scratch);

/*
 * h = lower median over (j, i) of |x_j - y_i|^2 (the ceil(n/2)-th smallest)
 * over log K, never below 1e-3.
 *
 * h        out (B)        pre-squash units squared
 * d2           (B, K, M), of one set with its diagonal, which is 0
 */
void svgd_bandwidth(float *h, const float *d2, struct svgd_dims n);

/*
 * D, the ascent direction of each moved particle, h taken as constant: alpha
 * times the Stein direction, so it stays bounded as alpha falls.
 *
 * D        out (B, M, A)
 * fixed        (B, K, A)  x
 * moved        (B, M, A)  y
 * g            (B, K, A)  alpha grad log pi at x, as
 *                         grad_u [ Q(s, tanh u) + alpha log(1 - tanh^2 u) ]
 * d2           (B, K, M)
 * h            (B)
 * alpha                   temperature, > 0
 * scratch      (svgd_scratch_len(n)), overwritten
 */
void svgd_direction(float *D, const float *fixed, const float *moved,
                    const float *g, const float *d2, const float *h,
                    float alpha, struct svgd_dims n, float *scratch);

#endif
