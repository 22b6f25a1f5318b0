#include "actor/env.h"

#include <stdio.h>
#include <string.h>

#include "actor/tasks/tasks.h"

// one a line
// clang-format off
static const struct env_class *const all[] = {
    &tasks_multigoal,
    &tasks_point_x,
    &tasks_point_y,
    &tasks_point_xy,
    &tasks_swimmer,
    &tasks_hopper,
    &tasks_half_cheetah,
    &tasks_walker2d,
    &tasks_ant,
    &tasks_humanoid,
    &tasks_reacher,
    &tasks_pusher,
    &tasks_pusher_planar,
    &tasks_pusher_planar_x,
    &tasks_pusher_planar_y,
    &tasks_inverted_pendulum,
    &tasks_inverted_double_pendulum,
    &tasks_swimmer_finish,
    &tasks_quadruped_empty,
    &tasks_quadruped_hall_wide,
    &tasks_quadruped_hall_narrow,
    &tasks_quadruped_umaze,
    &tasks_quadruped_maze,
    NULL,
};
// clang-format on

double env_scale(const double range[2], double a) {
    const double low = range[0], high = range[1];
    return 0.5 * (low + high) + 0.5 * (high - low) * a;
}

const double *env_range(const struct env_spec *spec, size_t i) {
    static const double unit[2] = {-1.0, 1.0};
    return spec->action_range ? spec->action_range + 2 * i : unit;
}

const struct env_class *const *env_list(void) {
    return all;
}

const struct env_class *env_find(const char *name) {
    for (size_t i = 0; all[i]; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}

void env_names(char *text, size_t n) {
    size_t used = 0;
    if (n > 0) text[0] = '\0';
    for (size_t i = 0; all[i] && used < n; i++)
        used += (size_t)snprintf(text + used, n - used, "%s%s",
                                 i > 0 ? ", " : "", all[i]->name);
}
