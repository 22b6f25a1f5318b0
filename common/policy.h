#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include <stddef.h>

#include "common/mlp.h"
#include "common/rng.h"

/*
 * The sampling network (REFERENCE.md, section 1): u = f(s, xi; phi) with
 * xi ~ N(0, I), a = tanh(u). Its mlp shape has X = Y = A.
 *
 *   B states   N actions a state   S observation   A action   P parameters
 */

/*
 * All that acting needs. It travels with the parameters, and stands in every
 * checkpoint.
 */
struct policy {
    struct mlp_shape shape;
    const float *phi; /* (P) */
    float alpha;      /* temperature it was trained at, to be shown */
    /* xi is one of these rows, each as likely; n_noise 0: xi ~ N(0, I). The
     * deterministic actor of DDPG has one row of zeros. */
    size_t n_noise;
    const float *noise; /* (n_noise, A) */
    /* the networks see (s - mean) * scale, clipped; NULL: s itself */
    const float *mean, *scale; /* (S) */
};

/*
 * A deep copy in one block, for free(); NULL when out of memory.
 */
struct policy *policy_copy(const struct policy *policy);

/* The most floats that a policy of this shape has with a noise set this large,
 * for the size of messages. */
size_t policy_most_floats(const struct mlp_shape *shape, size_t noise_set);

/* xi out (n, A): noise for n actions. */
void policy_draw_noise(const struct policy *policy, float *xi, size_t n,
                       struct rng *rng);

/* x out (B, S): what the networks see of the observations s (B, S). */
void policy_observe(const struct policy *policy, float *x, const float *s,
                    size_t B);

/* The same with any mean and scale (S): within +- so many deviations. NULL: a
 * copy. */
enum { POLICY_MOST_DEVIATIONS = 10 };
void policy_normalise(float *x, const float *s, const float *mean,
                      const float *scale, size_t B, size_t S);

/*
 * a    out (B, N, A)  in [-1, 1]
 * u    out (B, N, A)  pre-squash, may be NULL only if a is enough
 * phi      (P)
 * s        (B, S)     as the networks see it
 * xi       (B, N, A)
 */
void policy_act(const struct mlp_shape *shape, float *a, float *u,
                const float *phi, const float *s, const float *xi, size_t B,
                size_t N, struct mlp_work *work);

/* log(1 - tanh^2 u) = 2 (log 2 - u - softplus(-2 u)). out, u (n) */
void policy_log_squash(float *out, const float *u, size_t n);

/* d/du of the above: -2 tanh u. g in/out (n): g = g_a * (1 - tanh^2 u) + alpha
 * * (-2 tanh u), where g enters as dQ/da. u (n). */
void policy_squash_score(float *g, const float *u, float alpha, size_t n);

/* Determinants of du/dxi that tell of folds and of lost dimensions. */
struct policy_determinants {
    size_t negative, degenerate;
};

/*
 * The density of the sampler's own actions (REFERENCE.md, VHAT: sampler
 * proposals), exact where f(s, .) is one-to-one:
 *
 *   log q(a) = log N(xi; 0, I) - log|det du/dxi| - sum_i log(1 - tanh^2 u_i)
 *
 * log_q     out (n)        INFINITY where the determinant is degenerate: such
 *                          an action weighs nothing
 * seen      in/out         counts added to; may be NULL
 * xi            (n, A)
 * u             (n, A)     f(s, xi)
 * jacobian  in/out (n, A, A)  du/dxi by mlp_jacobian(); overwritten
 */
void policy_log_density(float *log_q, struct policy_determinants *seen,
                        const float *xi, const float *u, float *jacobian,
                        size_t n, size_t A);

#endif
