#ifndef LEARNER_SCHEDULE_H
#define LEARNER_SCHEDULE_H

#include <stdint.h>

#include "common/config.h"

/*
 * Everything that changes with the number of updates by plan or by feedback
 * (REFERENCE.md: automatic temperature; section 4, fine-tuning). Pure.
 */

/* alpha at the start of the update that has `updates` before it: constant, or
 * (anneal) log-linear from alpha to alpha_end over alpha_span. Of auto only the
 * start. */
double schedule_alpha(const struct config *config, uint64_t updates);

/*
 * Automatic: log alpha += eta (H_target - H), a plain step.
 *
 * entropy  H of the sampler's actions, nats
 * target   H_target, nats
 * rate     eta
 */
double schedule_automatic(double alpha, double entropy, double target,
                          double rate);

/* svgd_alpha_ramp: what g is divided by, from factor to 1 over span updates. */
double schedule_ramp(double factor, uint64_t span, uint64_t updates);

/* How many vectors of the noise set are in use: from size to 1 over span
 * updates, linearly; span 0: always size. */
uint64_t schedule_noise_set(uint64_t size, uint64_t span, uint64_t updates);

#endif
