#ifndef ACTOR_TASK_H
#define ACTOR_TASK_H

#include <stddef.h>

#include "actor/env.h"
#include "common/config.h"

/*
 * Which task a process plays: one of softq's own by config->task, or the
 * user's, which is a file here and never travels. In this order: what --robot
 * or --env names, the copy in run_dir that task_keep() made, the built-in task.
 */
enum { TASK_PATH_LEN = CONFIG_PATH_LEN + 32 };

struct task {
    const struct env_class *class;
    char file[TASK_PATH_LEN]; /* env_options.file; "": none */
};

/*
 * Returns 0, or -EINVAL with one line in why (n bytes): both --robot and --env,
 * no such task, or a file for a task that softq has itself.
 */
int task_find(struct task *task, const struct config *config, char *why,
              size_t n);

/*
 * Find config's task and load it, as an actor does. Returns 0, or a negative
 * errno with why. *model is the caller's: task->class->unload(*model).
 */
int task_load(struct task *task, void **model, struct env_spec *spec,
              const struct config *config, char *why, size_t n);

/*
 * softq-actor --keep=FOLDER: load the task that --robot or --env names and copy
 * what it needs into FOLDER, made where missing, so that the run does not
 * depend on the user's files any more:
 *
 *   FOLDER/env.so
 *   FOLDER/robot.ini  model/...   the description, its model line changed
 *
 * A model that names files outside of its own folder stays where it is, and
 * robot.ini names it there by its absolute path, with a warning.
 *
 * Returns the exit status, any failure logged in one line.
 */
int task_keep(const struct config *config);

#endif
