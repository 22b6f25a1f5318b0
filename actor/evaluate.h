#ifndef ACTOR_EVALUATE_H
#define ACTOR_EVALUATE_H

#include "common/config.h"

/*
 * softq-actor --evaluate=RUN: play config->episodes with the sampler of RUN's
 * newest checkpoint, or of config->checkpoint (its noise included, no
 * exploration on top), or with uniform random actions when
 * config->random_policy; no network is used.
 * config holds RUN's own configuration already, as config_load() leaves it.
 *
 * Prints a table on stdout, after a counter on a terminal, and writes
 * RUN/evaluation.json, or RUN/evaluation-random.json; before that
 * config->q_figure, config->picture and config->video (film.h) where given, in
 * the end config->traces. The same seed and checkpoint give the same
 * numbers.
 *
 * Returns the exit status, any failure logged in one line: EXIT_REFUSED (no
 * such run, no checkpoint yet, another task, a file that cannot be written) or
 * EXIT_NON_FINITE.
 */
int evaluate_run(const struct config *config);

#endif
