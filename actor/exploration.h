#ifndef ACTOR_EXPLORATION_H
#define ACTOR_EXPLORATION_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/rng.h"

/*
 * Noise on top of the sampler's actions while they are learned from, never in
 * evaluation (REFERENCE.md, Exploration). Of one environment, a step:
 *
 *   ou        n <- n - decay n + scale N(0, I), 0 at reset
 *   gaussian  n <- scale N(0, I)
 *   a <- clip(a + n, -1, 1)        executed and stored
 *
 *   A action
 */
struct exploration {
    int kind; /* enum config_exploration */
    float scale, decay;
};

/*
 * What config asks of one actor. The scale stands on a ladder over all actors:
 * actor i = ordinal mod N of N = config->actors (at least 1) explores with
 *
 *   exploration_scale * exploration_ladder ^ (i / (N - 1)),   N = 1: the scale
 */
struct exploration exploration_of(const struct config *config,
                                  uint64_t ordinal);

/*
 * a    in/out (A)  the sampler's action, then the one to execute; NaN stays NaN
 * n    in/out (A)  this environment's noise; zero it where an episode starts
 * rng              this environment's own stream, used for nothing else
 *
 * EXPLORATION_NONE: nothing is drawn and nothing changes.
 */
void exploration_apply(const struct exploration *exploration, float *a,
                       float *n, size_t A, struct rng *rng);

/* "none", "ou", "gaussian". */
const char *exploration_name(const struct exploration *exploration);

#endif
