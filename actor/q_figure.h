#ifndef ACTOR_Q_FIGURE_H
#define ACTOR_Q_FIGURE_H

#include <stddef.h>
#include <stdint.h>

#include "actor/snapshot.h"

/* What the paper's figure of Q needs, for tasks with two actions. */
enum { Q_FIGURE_GRID = 41, Q_FIGURE_ACTIONS = 100, Q_FIGURE_MAX_STATES = 64 };

/*
 * For the i-th of states (numbers by ',', states by ':', each obs_dim long)
 * write into folder, which is created when missing:
 *   q-<i>.csv        a1,a2,q on a 41 x 41 grid over [-1, 1]^2, an empty line
 *                    after each a1; q by snapshot_value()
 *   actions-<i>.csv  a1,a2 of 100 actions drawn from the sampler
 * Returns 0 or a negative errno with one line in why (n bytes).
 */
int q_figure_write(const struct snapshot *snapshot, const char *states,
                   const char *folder, uint64_t seed, char *why, size_t n);

#endif
