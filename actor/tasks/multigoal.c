/*
 * The point mass with four goals (REFERENCE.md, section 5.1): position in the
 * plane, velocity as the action, one of four equal ways to succeed.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/tasks/tasks.h"

enum { GOALS = 4 };
static const double goals[GOALS][2] = {{5, 0}, {-5, 0}, {0, 5}, {0, -5}};
static const double reach = 1.0;
static const double limit = 7.0; // of each coordinate
static const double action_cost = 30.0;
static const double goal_bonus = 10.0;
static const uint64_t default_horizon = 30;

struct multigoal {
    bool gaussian;
    double start_sd;
    uint64_t horizon;
};

struct point {
    const struct multigoal *model;
    double x[2];
    uint64_t steps;
};

static int multigoal_load(const struct env_class *class, void **model,
                          struct env_spec *spec,
                          const struct env_options *options, char *why,
                          size_t n) {
    (void)class;
    const char *reward = options->reward ? options->reward : "goals";
    const bool gaussian = strcmp(reward, "gaussian") == 0;
    if (!gaussian && strcmp(reward, "goals") != 0) {
        snprintf(why, n, "multigoal_reward is \"%s\": goals or gaussian",
                 reward);
        return -EINVAL;
    }
    if (!(options->start_sd >= 0.0 && options->start_sd <= limit)) {
        snprintf(why, n, "multigoal_start_sd is %g: give a number in [0, %g]",
                 options->start_sd, limit);
        return -EINVAL;
    }
    struct multigoal *shared = malloc(sizeof(*shared));
    if (!shared) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    *shared = (struct multigoal){
        .gaussian = gaussian,
        .start_sd = options->start_sd,
        .horizon = options->horizon > 0 ? options->horizon : default_horizon,
    };
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = 2,
        .act_dim = 2,
        .horizon = shared->horizon,
        .n_stats = 1,
        .stat_names = {"goal"}, // 0..3: +x, -x, +y, -y; -1: none
    };
    return 0;
}

static void multigoal_unload(void *model) {
    free(model);
}

static void *multigoal_create(void *model) {
    struct point *point = calloc(1, sizeof(*point));
    if (point) point->model = model;
    return point;
}

static void multigoal_destroy(void *state) {
    free(state);
}

static void observe(const struct point *point, float *obs) {
    for (size_t i = 0; i < 2; i++) obs[i] = (float)point->x[i];
}

static double clip(double x, double bound) {
    return fmin(fmax(x, -bound), bound);
}

static double squared_distance(const double x[2], const double y[2]) {
    return (x[0] - y[0]) * (x[0] - y[0]) + (x[1] - y[1]) * (x[1] - y[1]);
}

/* The goal whose reach the point is in, or -1. */
static int goal_here(const struct point *point) {
    for (int g = 0; g < GOALS; g++)
        if (squared_distance(point->x, goals[g]) <= reach * reach) return g;
    return -1;
}

static void multigoal_reset(void *state, struct rng *rng, float *obs) {
    struct point *point = state;
    float noise[2];
    rng_fill_normal(rng, noise, 2);
    for (size_t i = 0; i < 2; i++)
        point->x[i] = clip(point->model->start_sd * (double)noise[i], limit);
    point->steps = 0;
    observe(point, obs);
}

static void multigoal_step(void *state, const double *action, float *obs,
                           struct env_result *result) {
    struct point *point = state;
    double squared_action = 0.0;
    for (size_t i = 0; i < 2; i++) {
        const double a = clip(action[i], 1.0);
        squared_action += a * a;
        point->x[i] = clip(point->x[i] + a, limit);
    }
    point->steps++;

    double nearest = (double)INFINITY, bumps = 0.0;
    for (size_t g = 0; g < GOALS; g++) {
        const double d2 = squared_distance(point->x, goals[g]);
        nearest = fmin(nearest, d2);
        bumps += exp(-0.5 * d2);
    }

    *result = (struct env_result){0};
    if (point->model->gaussian) {
        result->reward = 10.0 * bumps;
    } else {
        result->terminal = goal_here(point) >= 0;
        result->reward = -action_cost * squared_action - nearest +
                         (result->terminal ? goal_bonus : 0.0);
    }
    result->truncated =
        !result->terminal && point->steps >= point->model->horizon;
    observe(point, obs);
}

static void multigoal_statistics(const void *state, double *stats) {
    stats[0] = goal_here(state);
}

static void multigoal_position(const void *state, double xy[2]) {
    const struct point *point = state;
    memcpy(xy, point->x, sizeof(point->x));
}

const struct env_class tasks_multigoal = {
    .name = "multigoal",
    .rewarded = "closeness to any of four goals less the cost of speed; 10 "
                "on reaching one",
    .load = multigoal_load,
    .unload = multigoal_unload,
    .create = multigoal_create,
    .destroy = multigoal_destroy,
    .reset = multigoal_reset,
    .step = multigoal_step,
    .statistics = multigoal_statistics,
    .position = multigoal_position,
    .drawing = "drawings/multigoal.xml",
};
