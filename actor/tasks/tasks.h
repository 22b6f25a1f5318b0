#ifndef ACTOR_TASKS_TASKS_H
#define ACTOR_TASKS_TASKS_H

#include "actor/env.h"

/* Every task there is; env_list() names them to the rest of the program. */
extern const struct env_class tasks_multigoal;
extern const struct env_class tasks_point_x, tasks_point_y, tasks_point_xy;
extern const struct env_class tasks_hopper, tasks_half_cheetah, tasks_walker2d;
extern const struct env_class tasks_ant, tasks_humanoid;
extern const struct env_class tasks_reacher, tasks_pusher;
extern const struct env_class tasks_pusher_planar, tasks_pusher_planar_x,
    tasks_pusher_planar_y;
extern const struct env_class tasks_inverted_pendulum,
    tasks_inverted_double_pendulum;
extern const struct env_class tasks_swimmer, tasks_swimmer_finish;
extern const struct env_class tasks_quadruped_empty;
extern const struct env_class tasks_quadruped_hall_wide,
    tasks_quadruped_hall_narrow;
extern const struct env_class tasks_quadruped_umaze, tasks_quadruped_maze;

/*
 * A user's own, by env_options.file: an MJCF model described by an INI file
 * (recipe.h), a shared object (softq/env.h). Not in env_list().
 */
extern const struct env_class tasks_custom, tasks_plugin;

#endif
