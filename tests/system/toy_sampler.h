#ifndef TESTS_SYSTEM_TOY_SAMPLER_H
#define TESTS_SYSTEM_TOY_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mlp.h"

/*
 * The learner's SVGD step with an analytic Q in place of the network's: a
 * sampler of one state is trained by the project's own particles, kernel,
 * score and Adam, so that its law can be held against exp(Q / alpha).
 */

/* dQ/da at n actions: g out (n, A), a (n, A). */
typedef void toy_sampler_slope(float *g, const float *a, size_t n, size_t A);

struct toy_sampler_options {
    toy_sampler_slope *slope;
    float alpha;
    size_t A, units;
    size_t rows; /* sets of particles a step, all of the one state */
    size_t K, M; /* fixed and moved particles of a set */
    uint64_t steps, seed;
    float rate;          /* Adam's, falls linearly to a fiftieth */
    bool one_set;        /* x = y without the own term; K == M */
    bool kept_diagonal;  /* x = y with it: wrong, to see what it does */
    double ramp_factor;  /* svgd_alpha_ramp: g is divided by a factor that */
    uint64_t ramp_steps; /* falls from this to 1; 0: off */
};

/* The trained network; owned by whoever called toy_sampler_train(). */
struct toy_sampler {
    struct mlp_shape shape;
    float *phi; /* (P) averaged over the last steps */
};

/* Returns 0, or -ENOMEM, when there is nothing to finish. */
int toy_sampler_train(struct toy_sampler *sampler,
                      const struct toy_sampler_options *options);
void toy_sampler_finish(struct toy_sampler *sampler);

/* n of its actions, a out (n, A). Returns 0 or -ENOMEM. */
int toy_sampler_act(const struct toy_sampler *sampler, float *a, size_t n,
                    uint64_t seed);

#endif
