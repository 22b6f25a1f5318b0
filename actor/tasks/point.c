/*
 * A family of three for composition: a point mass in the plane that is paid for
 * being near the y axis (point-x: x is 0 there), near the x axis (point-y), or
 * near both, the mean of the two (point-xy). The mean of the first two's Q
 * functions can so be compared with the third's own. Where a coordinate earns
 * nothing every way of moving along it is as good. No move costs anything:
 * Q is curved in the action by the position after the move.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/tasks/tasks.h"

static const double limit = 7.0;       // of each coordinate
static const double start_limit = 3.0; // of the uniform start
static const uint64_t default_horizon = 30;

struct model {
    double weight[2]; // of x^2 and y^2 in the reward
    uint64_t horizon;
};

struct point {
    const struct model *model;
    double x[2];
    uint64_t steps;
};

static int load(const struct env_class *class, void **model,
                struct env_spec *spec, const struct env_options *options,
                char *why, size_t n) {
    const double *weight = class->description; // (2)
    struct model *shared = malloc(sizeof(*shared));
    if (!shared) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    *shared = (struct model){
        .weight = {weight[0], weight[1]},
        .horizon = options->horizon > 0 ? options->horizon : default_horizon,
    };
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = 2,
        .act_dim = 2,
        .horizon = shared->horizon,
        .n_stats = 2,
        // at the end: from the origin; from where the reward is 0
        .stat_names = {"distance", "off_target"},
    };
    return 0;
}

static void unload(void *model) {
    free(model);
}

static void *create(void *model) {
    struct point *point = calloc(1, sizeof(*point));
    if (point) point->model = model;
    return point;
}

static void destroy(void *state) {
    free(state);
}

static double clip(double x, double bound) {
    return fmin(fmax(x, -bound), bound);
}

static void observe(const struct point *point, float *obs) {
    for (size_t i = 0; i < 2; i++) obs[i] = (float)point->x[i];
}

static void reset(void *state, struct rng *rng, float *obs) {
    struct point *point = state;
    float start[2];
    const float most = (float)start_limit;
    rng_fill_uniform(rng, start, 2, -most, most);
    for (size_t i = 0; i < 2; i++) point->x[i] = (double)start[i];
    point->steps = 0;
    observe(point, obs);
}

static void step(void *state, const double *action, float *obs,
                 struct env_result *result) {
    struct point *point = state;
    const double *weight = point->model->weight;
    *result = (struct env_result){0};
    for (size_t i = 0; i < 2; i++) {
        point->x[i] = clip(point->x[i] + clip(action[i], 1.0), limit);
        result->reward -= weight[i] * point->x[i] * point->x[i];
    }
    result->truncated = ++point->steps >= point->model->horizon;
    observe(point, obs);
}

static void statistics(const void *state, double *stats) {
    const struct point *point = state;
    const double *weight = point->model->weight;
    stats[0] = hypot(point->x[0], point->x[1]);
    stats[1] = hypot(weight[0] > 0.0 ? point->x[0] : 0.0,
                     weight[1] > 0.0 ? point->x[1] : 0.0);
}

static void position(const void *state, double xy[2]) {
    const struct point *point = state;
    memcpy(xy, point->x, sizeof(point->x));
}

const struct env_class tasks_point_x = {
    .name = "point-x",
    .rewarded = "closeness of x to 0: the y axis, anywhere on it",
    .description = (const double[2]){1.0, 0.0},
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .step = step,
    .statistics = statistics,
    .position = position,
    .drawing = "drawings/point-x.xml",
};

const struct env_class tasks_point_y = {
    .name = "point-y",
    .rewarded = "closeness of y to 0: the x axis, anywhere on it",
    .description = (const double[2]){0.0, 1.0},
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .step = step,
    .statistics = statistics,
    .position = position,
    .drawing = "drawings/point-y.xml",
};

const struct env_class tasks_point_xy = {
    .name = "point-xy",
    .rewarded = "closeness of x and y to 0, the mean of point-x and point-y",
    .description = (const double[2]){0.5, 0.5},
    .load = load,
    .unload = unload,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .step = step,
    .statistics = statistics,
    .position = position,
    .drawing = "drawings/point-xy.xml",
};
