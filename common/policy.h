#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include <stddef.h>

#include "common/mlp.h"

/*
 * The sampling network (REFERENCE.md, section 1): u = f(s, xi; phi) with
 * xi ~ N(0, I), a = tanh(u). Its mlp shape has X = Y = A.
 */

/*
 * a    out (B, N, A)  in [-1, 1]
 * u    out (B, N, A)  pre-squash, may be NULL only if a is enough
 * phi      (P)
 * s        (B, S)
 * xi       (B, N, A)
 */
void policy_act(const struct mlp_shape *shape, float *a, float *u,
                const float *phi, const float *s, const float *xi, size_t B,
                size_t N, struct mlp_work *work);

/* sum_i log(1 - tanh^2 u_i) = sum_i 2 (log 2 - u_i - softplus(-2 u_i)), u (A).
 */
float policy_log_squash(const float *u, size_t A);

/* d/du of the above: -2 tanh u. g in/out (n): g = g_a * (1 - tanh^2 u) + alpha
 * * (-2 tanh u), where g enters as dQ/da. u (n). */
void policy_squash_score(float *g, const float *u, float alpha, size_t n);

#endif
