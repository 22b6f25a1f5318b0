#ifndef LEARNER_ADAM_H
#define LEARNER_ADAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Adam (Kingma & Ba 2015): beta1 0.9, beta2 0.999, epsilon 1e-8 outside the
 * bias-corrected root. Descends: p -= rate m^ / (sqrt(v^) + epsilon).
 *
 * p        in/out (P)  parameters
 * m, v     in/out (P)  running means of the gradient and of its square, 0 at
 *                      the start
 * gradient        (P)
 * step                 1 at the first call, one more each call
 * rate                 learning rate
 */
void adam_step(float *p, float *m, float *v, const float *gradient, size_t P,
               uint64_t step, float rate);

/*
 * Linear decay: rate at the first update, rate * end from max_updates on; a
 * run without max_updates (0) keeps its rate.
 */
float adam_rate(double rate, double end, uint64_t updates,
                uint64_t max_updates);

#endif
