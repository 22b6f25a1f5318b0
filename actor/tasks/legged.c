/*
 * Free bodies on legs with the semantics of Gymnasium's Ant-v5 and Humanoid-v5:
 * speed along x, a reward for staying at a height, costs of control and of
 * contact. Both observe the external forces on their bodies (cfrc_ext: torque
 * and force of each, the world left out), and those lag by a simulator step.
 */
#include <math.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { Z = 2, SKIPPED = 2 /* x and y */, FREE = 6 /* a free joint's */ };
static const double no_limit = (double)INFINITY;

/* Floats that hold `each` numbers of every body but the world. */
static size_t of_bodies(const mjModel *m, size_t each) {
    return ((size_t)m->nbody - 1) * each;
}

static double clip(double x, double low, double high) {
    return fmin(fmax(x, low), high);
}

/* -- ant -- */

static const double ant_force_limit = 1.0;

static size_t ant_width(const mjModel *m) {
    return robot_state_width(m, SKIPPED) + of_bodies(m, 6);
}

static void ant_observe(const struct mujoco_state *state, double *obs) {
    const mjModel *m = state->model->m;
    obs = robot_observe_state(state, SKIPPED, no_limit, obs);
    robot_observe_clipped(state->d->cfrc_ext + 6, of_bodies(m, 6),
                          ant_force_limit, obs);
}

/* Of the torso as the last simulator step found it: not qpos. */
static double ant_progress(const struct mujoco_state *state) {
    return state->d->xpos[3];
}

static void ant_judge(const struct mujoco_state *state, double speed,
                      struct env_result *result) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    double contact = 0.0;
    for (size_t i = 6; i < 6 * (size_t)m->nbody; i++) {
        const double force =
            clip(d->cfrc_ext[i], -ant_force_limit, ant_force_limit);
        contact += force * force;
    }
    result->terminal = !(d->qpos[Z] >= 0.2 && d->qpos[Z] <= 1.0);
    result->reward = speed + (result->terminal ? 0.0 : 1.0) -
                     0.5 * robot_squared_control(state) - 5e-4 * contact;
}

static const struct robot ant = {
    .file = "ant.xml",
    .frame_skip = 5,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = FREE,
    .position_noise = 0.1,
    .velocity_noise = 0.1,
    .normal_velocity = true,
    .contact_forces = true,
    .width = ant_width,
    .observe = ant_observe,
    .progress = ant_progress,
    .judge = ant_judge,
};

const struct env_class tasks_ant = {
    .name = "ant",
    .rewarded = "speed along x, 1 a step at a height in [0.2, 1] m, less 0.5 "
                "|control|^2 and 0.0005 |contact forces|^2",
    .description = &ant,
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

/* -- humanoid -- */

/* Coordinates, velocities, each body's inertia (10) and velocity (6) about the
 * centre of mass, the motors' torques, external forces (6). */
static size_t humanoid_width(const mjModel *m) {
    return robot_state_width(m, SKIPPED) + of_bodies(m, 10 + 6) +
           (size_t)(m->nv - FREE) + of_bodies(m, 6);
}

static void humanoid_observe(const struct mujoco_state *state, double *obs) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    obs = robot_observe_state(state, SKIPPED, no_limit, obs);
    obs =
        robot_observe_clipped(d->cinert + 10, of_bodies(m, 10), no_limit, obs);
    obs = robot_observe_clipped(d->cvel + 6, of_bodies(m, 6), no_limit, obs);
    obs = robot_observe_clipped(d->qfrc_actuator + FREE, (size_t)(m->nv - FREE),
                                no_limit, obs);
    robot_observe_clipped(d->cfrc_ext + 6, of_bodies(m, 6), no_limit, obs);
}

/* Of the mass centre as the last simulator step found it. */
static double humanoid_progress(const struct mujoco_state *state) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    double moment = 0.0, mass = 0.0;
    for (size_t b = 0; b < (size_t)m->nbody; b++) {
        moment += m->body_mass[b] * d->xipos[3 * b];
        mass += m->body_mass[b];
    }
    return moment / mass;
}

static void humanoid_judge(const struct mujoco_state *state, double speed,
                           struct env_result *result) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    double contact = 0.0;
    for (size_t i = 6; i < 6 * (size_t)m->nbody; i++)
        contact += d->cfrc_ext[i] * d->cfrc_ext[i];
    result->terminal = !(d->qpos[Z] > 1.0 && d->qpos[Z] < 2.0);
    result->reward = 1.25 * speed + (result->terminal ? 0.0 : 5.0) -
                     0.1 * robot_squared_control(state) -
                     fmin(5e-7 * contact, 10.0);
}

static const struct robot humanoid = {
    .file = "humanoid.xml",
    .frame_skip = 5,
    .horizon = 1000,
    .stat = "final_x",
    .coordinates = FREE,
    .position_noise = 0.01,
    .velocity_noise = 0.01,
    .contact_forces = true,
    .width = humanoid_width,
    .observe = humanoid_observe,
    .progress = humanoid_progress,
    .judge = humanoid_judge,
};

const struct env_class tasks_humanoid = {
    .name = "humanoid",
    .rewarded = "1.25 times speed along x, 5 a step at a height in (1, 2) m, "
                "less 0.1 |control|^2 and 5e-7 |contact forces|^2, 10 at most",
    .description = &humanoid,
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
