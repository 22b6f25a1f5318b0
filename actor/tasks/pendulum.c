/*
 * Poles on a cart with the semantics of Gymnasium's InvertedPendulum-v5 and
 * InvertedDoublePendulum-v5: staying up pays, the end is when they do not.
 */
#include <math.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { CART, ANGLE };

static void final_angle(const void *state, double *stats) {
    const struct mujoco_state *robot = state;
    stats[0] = robot->d->qpos[ANGLE];
}

/* -- one pole -- */

static size_t single_width(const mjModel *m) {
    return robot_state_width(m, 0);
}

static void single_observe(const struct mujoco_state *state, double *obs) {
    robot_observe_state(state, 0, (double)INFINITY, obs);
}

static void single_judge(const struct mujoco_state *state, double speed,
                         struct env_result *result) {
    (void)speed;
    result->terminal = !(fabs(state->d->qpos[ANGLE]) <= 0.2);
    result->reward = result->terminal ? 0.0 : 1.0;
}

static const struct robot single = {
    .file = "inverted-pendulum.xml",
    .frame_skip = 2,
    .horizon = 1000,
    .stat = "final_angle",
    .coordinates = 2,
    .position_noise = 0.01,
    .velocity_noise = 0.01,
    .width = single_width,
    .observe = single_observe,
    .judge = single_judge,
};

const struct env_class tasks_inverted_pendulum = {
    .name = "inverted-pendulum",
    .rewarded = "1 a step while the pole leans by 0.2 rad at most",
    .description = &single,
    .load = robot_load_class,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = final_angle,
    .position = mujoco_position,
    .scene = mujoco_scene,
};

/* -- a pole on a pole -- */

static const double observation_limit = 10.0;

/* x, sines and cosines of the angles, velocities, the force on the cart. */
static size_t double_width(const mjModel *m) {
    return 2 * (size_t)m->nq + (size_t)m->nv;
}

static void double_observe(const struct mujoco_state *state, double *obs) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    *obs++ = d->qpos[CART];
    for (int i = ANGLE; i < (int)m->nq; i++) *obs++ = sin(d->qpos[i]);
    for (int i = ANGLE; i < (int)m->nq; i++) *obs++ = cos(d->qpos[i]);
    obs = robot_observe_clipped(d->qvel, (size_t)m->nv, observation_limit, obs);
    robot_observe_clipped(d->qfrc_constraint, 1, observation_limit, obs);
}

/* The tip is the model's first site, as the last simulator step found it. */
static void double_judge(const struct mujoco_state *state, double speed,
                         struct env_result *result) {
    (void)speed;
    const mjData *d = state->d;
    const double x = d->site_xpos[0], height = d->site_xpos[2];
    const double lower = d->qvel[ANGLE], upper = d->qvel[ANGLE + 1];
    result->terminal = !(height > 1.0);
    result->reward = (result->terminal ? 0.0 : 10.0) - 0.01 * x * x -
                     (height - 2.0) * (height - 2.0) - 1e-3 * lower * lower -
                     5e-3 * upper * upper;
}

static const struct robot twofold = {
    .file = "inverted-double-pendulum.xml",
    .frame_skip = 5,
    .horizon = 1000,
    .stat = "final_angle",
    .coordinates = 3,
    .sites = 1,
    .position_noise = 0.1,
    .velocity_noise = 0.1,
    .normal_velocity = true,
    .width = double_width,
    .observe = double_observe,
    .judge = double_judge,
};

const struct env_class tasks_inverted_double_pendulum = {
    .name = "inverted-double-pendulum",
    .rewarded = "10 a step while the tip is above 1 m, less its squared "
                "distance from upright and the poles' speeds",
    .description = &twofold,
    .load = robot_load_class,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = final_angle,
    .position = mujoco_position,
    .scene = mujoco_scene,
};
