#ifndef TESTS_ROBOT_H
#define TESTS_ROBOT_H

#include <string.h>

#include "actor/tasks/mujoco.h"
#include "tests/unit/test.h"

/* A task with a body, as its suite wants it. Failures fail the test. */
struct robot {
    const struct env_class *class;
    struct env_spec spec;
    void *model, *state; /* begins with a struct mujoco_state */
    mjModel *m;
    mjData *d;
};

static inline struct robot robot_load(const char *task) {
    struct robot robot = {.class = env_find(task)};
    const struct env_options options = {0};
    char why[512] = "";
    assert_non_null(robot.class);
    assert_int_equal(robot.class->load(robot.class, &robot.model, &robot.spec,
                                       &options, why, sizeof(why)),
                     0);
    robot.state = robot.class->create(robot.model);
    assert_non_null(robot.state);
    robot.m = ((struct mujoco_state *)robot.state)->model->m;
    robot.d = ((struct mujoco_state *)robot.state)->d;
    return robot;
}

static inline void robot_unload(struct robot *robot) {
    robot->class->destroy(robot->state);
    robot->class->unload(robot->model);
}

static inline struct rng robot_stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

/* obs out (obs_dim), NaN before. */
static inline void robot_reset(struct robot *robot, uint64_t seed, float *obs) {
    struct rng rng = robot_stream(seed);
    test_fill_nan(obs, robot->spec.obs_dim);
    robot->class->reset(robot->state, &rng, obs);
}

static inline struct env_result robot_step(struct robot *robot,
                                           const double *action, float *obs) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, robot->spec.obs_dim);
    robot->class->step(robot->state, action, obs, &result);
    return result;
}

/* Uniform on twice the motors' range: what is too much is clipped. */
static inline struct env_result robot_step_random(struct robot *robot,
                                                  struct rng *rng, float *obs) {
    double action[16];
    for (size_t i = 0; i < robot->spec.act_dim; i++)
        action[i] = 4.0 * rng_uniform(rng) - 2.0;
    return robot_step(robot, action, obs);
}

/* xy out: the centre of mass, from each part's mass and where it stands. */
static inline void robot_centre(const struct robot *robot, double xy[2]) {
    double mass = 0.0;
    xy[0] = xy[1] = 0.0;
    for (int b = 1; b < (int)robot->m->nbody; b++) {
        mass += robot->m->body_mass[b];
        for (int i = 0; i < 2; i++)
            xy[i] += robot->m->body_mass[b] * robot->d->xipos[3 * b + i];
    }
    for (int i = 0; i < 2; i++) xy[i] /= mass;
}

/* A hundred steps, twice from the same seeds, are the same to the bit. */
static inline void robot_repeats(const char *task) {
    struct robot robot = robot_load(task);
    float obs[2][64] = {{0}};
    assert_true(robot.spec.obs_dim <= 64);
    for (int pass = 0; pass < 2; pass++) {
        struct rng rng = robot_stream(2);
        robot_reset(&robot, 1, obs[pass]);
        for (int t = 0; t < 100; t++)
            robot_step_random(&robot, &rng, obs[pass]);
    }
    assert_memory_equal(obs[0], obs[1], sizeof(obs[0]));
    robot_unload(&robot);
}

#endif
