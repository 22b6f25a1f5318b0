/*
 * The 3-link swimmer with the semantics of Gymnasium's Swimmer-v5: forward
 * speed of the head's joint less a small cost of control, never terminal.
 */
#include <math.h>

#include "actor/tasks/mujoco.h"
#include "actor/tasks/tasks.h"

enum { FRAME_SKIP = 4, SKIPPED = 2 /* x and y: the plane is homogeneous */ };
static const uint64_t default_horizon = 1000;
static const double reset_noise = 0.1;
static const double control_cost = 1e-4;

static int swimmer_load(void **model, struct env_spec *spec,
                        const struct env_options *options, char *why,
                        size_t n) {
    struct mujoco_model *shared = NULL;
    int err = mujoco_load(&shared, "swimmer.xml", FRAME_SKIP, default_horizon,
                          options, why, n);
    if (err) return err;
    const mjModel *m = shared->m;
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = (size_t)(m->nq - SKIPPED + m->nv),
        .act_dim = (size_t)m->nu,
        .horizon = shared->horizon,
        .n_stats = 1,
        .stat_names = {"final_x"},
    };
    return 0;
}

static void swimmer_reset(void *state, struct rng *rng, float *obs) {
    mujoco_reset(state, rng, reset_noise);
    mujoco_observe(state, SKIPPED, obs);
}

static void swimmer_step(void *state, const double *action, float *obs,
                         struct env_result *result) {
    struct mujoco_state *robot = state;
    const mjData *d = robot->d;
    const double x = d->qpos[0];
    mujoco_step(robot, action, result);

    double squared_control = 0.0;
    for (int i = 0; i < (int)robot->model->m->nu; i++)
        squared_control += d->ctrl[i] * d->ctrl[i];
    result->reward =
        (d->qpos[0] - x) / robot->model->dt - control_cost * squared_control;
    mujoco_observe(robot, SKIPPED, obs);
}

static void swimmer_statistics(const void *state, double *stats) {
    const struct mujoco_state *robot = state;
    stats[0] = robot->d->qpos[0];
}

const struct env_class tasks_swimmer = {
    .name = "swimmer",
    .rewarded = "speed along x less 0.0001 |control|^2",
    .load = swimmer_load,
    .unload = mujoco_unload,
    .create = mujoco_create,
    .destroy = mujoco_destroy,
    .reset = swimmer_reset,
    .step = swimmer_step,
    .statistics = swimmer_statistics,
    .position = mujoco_position,
    .scene = mujoco_scene,
};
