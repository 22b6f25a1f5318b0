/*
 * A pendulum that swings up, as an environment of one's own (softq/env.h):
 *
 *   cc -O2 -shared -fPIC -Iactor/include -o my_env.so deploy/examples/my_env.c
 * -lm build/softq-actor --check=./my_env.so      look at it deploy/local.sh
 * ./my_env.so                train on it
 */
#include <math.h>
#include <stdlib.h>

#include "softq/env.h"

struct pendulum {
    double angle, speed; /* rad, 0 upright; rad/s */
};

static void *create(void) {
    return calloc(1, sizeof(struct pendulum));
}

static void observe(const struct pendulum *p, double *obs) {
    obs[0] = cos(p->angle);
    obs[1] = sin(p->angle);
    obs[2] = p->speed / 8;
}

static void reset(void *state, uint64_t seed, double *obs) {
    struct pendulum *p = state;
    p->angle = 2 * M_PI * softq_env_uniform(&seed);
    p->speed = 2 * softq_env_uniform(&seed) - 1;
    observe(p, obs);
}

static void step(void *state, const double *action, double *obs,
                 struct softq_env_result *result) {
    struct pendulum *p = state;
    const double torque = 2 * action[0], dt = 0.05;
    p->speed += dt * (15 * sin(p->angle) + 3 * torque);
    p->speed = fmin(fmax(p->speed, -8), 8);
    p->angle = remainder(p->angle + dt * p->speed, 2 * M_PI);
    result->reward = -p->angle * p->angle - 0.1 * p->speed * p->speed -
                     0.001 * torque * torque;
    observe(p, obs);
}

static const struct softq_env pendulum = {
    .version = SOFTQ_ENV_VERSION,
    .obs_dim = 3,
    .act_dim = 1,
    .horizon = 200,
    .rewarded = "a pendulum that stands upright and still",
    .create = create,
    .destroy = free,
    .reset = reset,
    .step = step,
};

const struct softq_env *softq_env(void) {
    return &pendulum;
}
