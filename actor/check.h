#ifndef ACTOR_CHECK_H
#define ACTOR_CHECK_H

#include "common/config.h"

/*
 * softq-actor --list_tasks: a line a built-in task on stdout with its
 * dimensions, horizon and what earns reward, or why it does not load. Always
 * EXIT_FINISHED.
 */
int check_list(const struct config *config);

/*
 * softq-actor --check=TASK: look at a task before training on it. TASK is a
 * built-in one's name, a description (FILE.ini) or a shared object (FILE.so);
 * or any name beside --robot or --env.
 *
 * Plays config->episodes with uniform random actions, for config->max_seconds
 * at most (0: 10 s), and prints on stdout: the spec; steps a second; reward a
 * step and return an episode; how episodes end; the range of every
 * observation; and what looks wrong, a "warning" a line. Then two environments
 * are played side by side from one seed: with the same actions they must agree,
 * with one action changed they must not.
 *
 * Returns EXIT_FINISHED if nothing was warned about, EXIT_REFUSED if something
 * was or the task does not load, EXIT_NON_FINITE after a number that is none.
 */
int check_task(const struct config *config);

#endif
