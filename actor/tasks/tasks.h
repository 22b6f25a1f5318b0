#ifndef ACTOR_TASKS_TASKS_H
#define ACTOR_TASKS_TASKS_H

#include "actor/env.h"

/* Every task there is; env_list() names them to the rest of the program. */
extern const struct env_class tasks_multigoal;
extern const struct env_class tasks_point_x, tasks_point_y, tasks_point_xy;
extern const struct env_class tasks_swimmer;

/*
 * A user's own, by env_options.file: an MJCF model described by an INI file
 * (recipe.h), a shared object (softq/env.h). Not in env_list().
 */
extern const struct env_class tasks_custom, tasks_plugin;

#endif
