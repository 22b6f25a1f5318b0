#include "actor/tasks/robot.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int find_landmarks(struct mujoco_model *shared,
                          const struct robot *robot, const char *file,
                          char *why, size_t n) {
    for (size_t i = 0; i < MUJOCO_LANDMARKS && robot->landmarks[i]; i++) {
        shared->landmark[i] =
            mj_name2id(shared->m, mjOBJ_BODY, robot->landmarks[i]);
        if (shared->landmark[i] >= 0) continue;
        snprintf(why, n, "%s has no body \"%s\", which the task looks at", file,
                 robot->landmarks[i]);
        return -EBADMSG;
    }
    return 0;
}

static int check_motors(const mjModel *m, const char *file, char *why,
                        size_t n) {
    if (m->nu < 1) {
        snprintf(why, n, "%s has no motors", file);
        return -EBADMSG;
    }
    for (int i = 0; i < (int)m->nu; i++) {
        if (m->actuator_ctrllimited[i]) continue;
        snprintf(why, n, "motor %d of %s has no limits: give it a ctrlrange", i,
                 file);
        return -EBADMSG;
    }
    return 0;
}

/* Whether a model can play this task. */
static int check_model(struct mujoco_model *shared, const struct robot *robot,
                       const char *file, char *why, size_t n) {
    const mjModel *m = shared->m;
    const int nq = (int)m->nq, nv = (int)m->nv, nsite = (int)m->nsite;
    if (nq < robot->coordinates || nv < robot->coordinates ||
        nsite < robot->sites) {
        snprintf(why, n,
                 "%s has %d coordinates, %d velocities, %d sites: the task "
                 "needs %d, %d, %d or more",
                 file, nq, nv, nsite, robot->coordinates, robot->coordinates,
                 robot->sites);
        return -EBADMSG;
    }
    int err = find_landmarks(shared, robot, file, why, n);
    return err ? err : check_motors(m, file, why, n);
}

int robot_load(void **model, struct env_spec *spec, const struct robot *robot,
               const struct env_options *options, char *why, size_t n) {
    struct mujoco_model *shared = NULL;
    int err = mujoco_load(&shared, robot->file, robot->frame_skip,
                          robot->horizon, options, why, n);
    if (err) return err;
    const bool other = options->model && options->model[0] != '\0';
    err = check_model(shared, robot, other ? options->model : robot->file, why,
                      n);
    if (err) {
        mujoco_unload(shared);
        return err;
    }
    shared->robot = robot;
    shared->own = robot->own;
    shared->obs_dim = robot->width(shared->m);
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = shared->obs_dim,
        .act_dim = (size_t)shared->m->nu,
        .horizon = shared->horizon,
        .n_stats = 1,
        .stat_names = {robot->stat},
        .action_range = shared->m->actuator_ctrlrange,
        .hash = shared->hash,
    };
    return 0;
}

int robot_load_class(const struct env_class *class, void **model,
                     struct env_spec *spec, const struct env_options *options,
                     char *why, size_t n) {
    return robot_load(model, spec, class->description, options, why, n);
}

void *robot_create(void *model) {
    struct mujoco_state *state = mujoco_create(model);
    if (!state) return NULL;
    state->obs = calloc(state->model->obs_dim, sizeof(*state->obs));
    if (state->obs) return state;
    mujoco_destroy(state);
    return NULL;
}

void robot_destroy(void *state) {
    struct mujoco_state *robot = state;
    free(robot->obs);
    mujoco_destroy(robot);
}

void robot_observe(struct mujoco_state *state) {
    state->model->robot->observe(state, state->obs);
}

static void observe_as_float(struct mujoco_state *state, float *obs) {
    const size_t S = state->model->obs_dim;
    robot_observe(state);
    for (size_t i = 0; i < S; i++) obs[i] = (float)state->obs[i];
}

static double uniform_noise(struct rng *rng, double noise) {
    return noise * (2.0 * rng_uniform(rng) - 1.0);
}

static double normal_noise(struct rng *rng, double deviation) {
    float x;
    rng_fill_normal(rng, &x, 1);
    return deviation * (double)x;
}

void robot_reset(void *state, struct rng *rng, float *obs) {
    struct mujoco_state *self = state;
    const struct robot *robot = self->model->robot;
    const mjModel *m = self->model->m;
    mjData *d = self->d;
    mj_resetData(m, d);
    for (int i = 0; i < (int)m->nq; i++)
        d->qpos[i] += uniform_noise(rng, robot->position_noise);
    for (int i = 0; i < (int)m->nv; i++)
        d->qvel[i] += robot->normal_velocity
                          ? normal_noise(rng, robot->velocity_noise)
                          : uniform_noise(rng, robot->velocity_noise);
    if (robot->place) robot->place(self, rng);
    mj_forward(m, d);
    self->steps = 0;
    observe_as_float(self, obs);
}

void robot_step(void *state, const double *action, float *obs,
                struct env_result *result) {
    struct mujoco_state *self = state;
    const struct robot *robot = self->model->robot;
    const double before = robot->progress ? robot->progress(self) : 0.0;
    mujoco_step(self, action, result);
    if (robot->contact_forces) mj_rnePostConstraint(self->model->m, self->d);
    observe_as_float(self, obs);
    // the simulator has started afresh by itself: nothing to judge
    if (result->unstable) return;

    const double after = robot->progress ? robot->progress(self) : 0.0;
    robot->judge(self, (after - before) / self->model->dt, result);
    if (result->terminal) result->truncated = false;
}

double robot_squared_control(const struct mujoco_state *state) {
    double sum = 0.0;
    for (int i = 0; i < (int)state->model->m->nu; i++)
        sum += state->d->ctrl[i] * state->d->ctrl[i];
    return sum;
}

double robot_x(const struct mujoco_state *state) {
    return state->d->qpos[0];
}

void robot_final_x(const void *state, double *stats) {
    stats[0] = robot_x(state);
}

const double *robot_landmark(const struct mujoco_state *state, size_t i) {
    assert(i < MUJOCO_LANDMARKS && state->model->robot->landmarks[i]);
    return state->d->xpos + (ptrdiff_t)3 * state->model->landmark[i];
}

double *robot_observe_clipped(const double *x, size_t n, double limit,
                              double *obs) {
    for (size_t i = 0; i < n; i++) *obs++ = fmin(fmax(x[i], -limit), limit);
    return obs;
}

size_t robot_state_width(const mjModel *m, size_t skip) {
    return (size_t)m->nq - skip + (size_t)m->nv;
}

double *robot_observe_state(const struct mujoco_state *state, int skip,
                            double limit, double *obs) {
    const mjModel *m = state->model->m;
    for (int i = skip; i < (int)m->nq; i++) *obs++ = state->d->qpos[i];
    return robot_observe_clipped(state->d->qvel, (size_t)m->nv, limit, obs);
}
