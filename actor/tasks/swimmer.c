/*
 * The 3-link swimmer with the semantics of Gymnasium's Swimmer-v5: forward
 * speed of the head's joint less a small cost of control, never terminal.
 */
#include <math.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { SKIPPED = 2 /* x and y: the plane is homogeneous */ };
static const double control_cost = 1e-4;

static size_t width(const mjModel *m) {
    return robot_state_width(m, SKIPPED);
}

static void observe(const struct mujoco_state *state, double *obs) {
    robot_observe_state(state, SKIPPED, (double)INFINITY, obs);
}

static void judge(const struct mujoco_state *state, double speed,
                  struct env_result *result) {
    result->reward = speed - control_cost * robot_squared_control(state);
}

static const struct robot swimmer = {
    .file = "swimmer.xml",
    .frame_skip = 4,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = SKIPPED,
    .position_noise = 0.1,
    .velocity_noise = 0.1,
    .width = width,
    .observe = observe,
    .progress = robot_x,
    .judge = judge,
};

const struct env_class tasks_swimmer = {
    .name = "swimmer",
    .rewarded = "speed along x less 0.0001 |control|^2",
    .description = &swimmer,
    .load = robot_load_class,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = robot_final_x,
    .position = mujoco_position,
    .scene = mujoco_scene,
};
