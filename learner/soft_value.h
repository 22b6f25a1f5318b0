#ifndef LEARNER_SOFT_VALUE_H
#define LEARNER_SOFT_VALUE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The soft Bellman backup (REFERENCE.md: V, VHAT, B, JQ). Pure arithmetic:
 * nothing here allocates, keeps state or can fail. Arrays are row-major and
 * must not overlap.
 *
 *   B states   V value proposals a state
 */

/* log q of a proposal drawn uniformly on [-1, 1]^A: -A log 2. */
float soft_value_uniform_log_density(size_t A);

/*
 * VHAT, by log-sum-exp around the largest term:
 *
 *   V(s') ~= alpha log( 1/V sum_j exp(Qbar(s', a_j) / alpha) m / q(a_j) )
 *
 * v        out (B)     soft value, units of Q; -INFINITY where every proposal
 *                      is degenerate
 * q            (B, V)  Qbar(s', a_j)
 * log_q        (B, V)  log q(a_j); INFINITY: a degenerate proposal, whose
 *                      weight is 0 and which still counts in V
 * log_m                log m, density of the integral's measure: 0 (Lebesgue),
 *                      or -A log 2 (uniform on [-1, 1]^A, which takes
 *                      alpha A log 2 off V)
 * alpha                temperature, > 0
 */
void soft_value(float *v, const float *q, const float *log_q, float log_m,
                float alpha, size_t B, size_t V);

/*
 * B: target = reward_scale r + gamma (1 - terminal) V(s'). A truncated row is
 * not terminal and bootstraps.
 *
 * target   out (B)
 * r            (B)  unscaled reward
 * flags        (B)  BATCH_* bits
 * v            (B)  V(s')
 */
void soft_value_target(float *target, const float *r, const uint8_t *flags,
                       const float *v, float reward_scale, float gamma,
                       size_t B);

/*
 * JQ = 1/2 mean( Q(s, a) - target )^2: returns the sum of 1/2 (Q - target)^2
 * over these rows, not yet divided.
 *
 * dq       out (B)  dJQ/dQ(s, a) = (Q - target) / rows
 * q            (B)  Q(s, a)
 * target       (B)
 * rows              rows of the whole minibatch, of which these are B
 */
double soft_value_error(float *dq, const float *q, const float *target,
                        size_t B, size_t rows);

#endif
