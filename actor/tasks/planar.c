/*
 * Runners in the vertical plane with the semantics of Gymnasium's Hopper-v5,
 * HalfCheetah-v5 and Walker2d-v5: speed along x less a cost of control, and for
 * those that can fall a reward for staying up and an end when they do not.
 */
#include <math.h>
#include <stdbool.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { X, Z, PITCH, COORDINATES, SKIPPED = 1 /* x */ };

/* What tells the three apart. All bounds are open. */
struct gait {
    double control_cost;   /* a unit of |control|^2 */
    double velocity_limit; /* observed velocities are clipped to it */
    bool falls;            /* upright: 1 a step; else the end */
    double low, high;      /* upright: of z, in m */
    double pitch;          /* +-, in rad */
    double state;          /* +-, of pitch, joints and all velocities */
};

static size_t width(const mjModel *m) {
    return robot_state_width(m, SKIPPED);
}

static void observe(const struct mujoco_state *state, double *obs) {
    const struct gait *gait = state->model->own;
    robot_observe_state(state, SKIPPED, gait->velocity_limit, obs);
}

/* Not a number is not within. */
static bool within(const double *x, int n, double limit) {
    for (int i = 0; i < n; i++)
        if (!(fabs(x[i]) < limit)) return false;
    return true;
}

static bool is_upright(const struct mujoco_state *state,
                       const struct gait *gait) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    return d->qpos[Z] > gait->low && d->qpos[Z] < gait->high &&
           fabs(d->qpos[PITCH]) < gait->pitch &&
           within(d->qpos + PITCH, (int)m->nq - PITCH, gait->state) &&
           within(d->qvel, (int)m->nv, gait->state);
}

static void judge(const struct mujoco_state *state, double speed,
                  struct env_result *result) {
    const struct gait *gait = state->model->own;
    result->terminal = gait->falls && !is_upright(state, gait);
    const double upright = gait->falls && !result->terminal ? 1.0 : 0.0;
    result->reward =
        speed + upright - gait->control_cost * robot_squared_control(state);
}

static const struct robot hopper = {
    .file = "hopper.xml",
    .frame_skip = 4,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = COORDINATES,
    .position_noise = 5e-3,
    .velocity_noise = 5e-3,
    .own = &(const struct gait){.control_cost = 1e-3,
                                .velocity_limit = 10,
                                .falls = true,
                                .low = 0.7,
                                .high = (double)INFINITY,
                                .pitch = 0.2,
                                .state = 100},
    .width = width,
    .observe = observe,
    .progress = robot_x,
    .judge = judge,
};

static const struct robot half_cheetah = {
    .file = "half-cheetah.xml",
    .frame_skip = 5,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = COORDINATES,
    .position_noise = 0.1,
    .velocity_noise = 0.1,
    .normal_velocity = true,
    .own = &(const struct gait){.control_cost = 0.1,
                                .velocity_limit = (double)INFINITY},
    .width = width,
    .observe = observe,
    .progress = robot_x,
    .judge = judge,
};

static const struct robot walker2d = {
    .file = "walker2d.xml",
    .frame_skip = 4,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = COORDINATES,
    .position_noise = 5e-3,
    .velocity_noise = 5e-3,
    .own = &(const struct gait){.control_cost = 1e-3,
                                .velocity_limit = 10,
                                .falls = true,
                                .low = 0.8,
                                .high = 2.0,
                                .pitch = 1.0,
                                .state = (double)INFINITY},
    .width = width,
    .observe = observe,
    .progress = robot_x,
    .judge = judge,
};

const struct env_class tasks_hopper = {
    .name = "hopper",
    .rewarded = "speed along x, 1 a step upright, less 0.001 |control|^2",
    .description = &hopper,
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

const struct env_class tasks_half_cheetah = {
    .name = "half-cheetah",
    .rewarded = "speed along x less 0.1 |control|^2",
    .description = &half_cheetah,
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

const struct env_class tasks_walker2d = {
    .name = "walker2d",
    .rewarded = "speed along x, 1 a step upright, less 0.001 |control|^2",
    .description = &walker2d,
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
