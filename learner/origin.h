#ifndef LEARNER_ORIGIN_H
#define LEARNER_ORIGIN_H

#include <stddef.h>

#include "common/config.h"
#include "learner/algorithm.h"
#include "learner/checkpoint.h"

/*
 * What a run's learning begins from: its own newest checkpoint, or another
 * run's networks (--init_from), or several runs' Q functions (--compose), or
 * nothing. A zeroed origin may be closed.
 */
struct origin {
    struct checkpoint *resume; /* this run's own; then the others are NULL */
    struct checkpoint *init;
    size_t n_sources;
    struct checkpoint *sources[ALGORITHM_MOST_SOURCES];
};

/*
 * Read the runs that config->init_from and config->compose name, the newest
 * checkpoint of each, and check that they agree: a composition takes soft Q
 * functions of one shape, alpha, gamma, reward_scale and value_measure, which
 * are config's too. Returns 0, -ENOMEM, or -EINVAL with one line in why (n
 * bytes) naming the run, the value and what to do.
 */
int origin_open(struct origin *origin, const struct config *config, char *why,
                size_t n);
void origin_close(struct origin *origin);

/* Does init fit a task of S and A? 0 or -EINVAL with one line in why. */
int origin_check(const struct origin *origin, const struct config *config,
                 size_t S, size_t A, char *why, size_t n);

#endif
