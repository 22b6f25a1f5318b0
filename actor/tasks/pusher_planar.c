/*
 * A family of three for composition, after the planar pusher of soft
 * Q-learning's released code: a three-joint arm that is paid for shoving a disc
 * to the line x = -1 (pusher-planar-x), to the line y = -1 (pusher-planar-y),
 * or to where they cross (pusher-planar):
 *
 *   r = -0.1 |a|^2 - |goal - object|, on the coordinates that are not masked
 *
 * As there: 300 steps, never terminal, the disc starts on the far side in
 * [0.3, 1] x [-1, -0.4] but not within 0.45 of (1, -1), and the observation is
 * joints, their speeds, tip and disc. Not as there: the reward looks at the
 * disc after the move, the observation leaves out the constant heights, and the
 * arm's dimensions are our own.
 */
#include <math.h>
#include <stdbool.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { JOINTS = 3, DISC = JOINTS /* its first coordinate */, TIP = 0 };
enum { OBJECT = 1 };
static const double goal[2] = {-1.0, -1.0};
static const double control_cost = 0.1;

struct aim {
    bool counts[2]; /* the coordinates that are paid */
};

static size_t width(const mjModel *m) {
    (void)m;
    return 2 * JOINTS + 2 + 2;
}

static void observe(const struct mujoco_state *state, double *obs) {
    const mjData *d = state->d;
    for (int i = 0; i < JOINTS; i++) *obs++ = d->qpos[i];
    for (int i = 0; i < JOINTS; i++) *obs++ = d->qvel[i];
    for (size_t body = TIP; body <= OBJECT; body++)
        for (int i = 0; i < 2; i++) *obs++ = robot_landmark(state, body)[i];
}

static double between(struct rng *rng, double low, double high) {
    return low + (high - low) * rng_uniform(rng);
}

static void place(const struct mujoco_state *state, struct rng *rng) {
    double *disc = state->d->qpos + DISC;
    do {
        disc[0] = between(rng, 0.3, 1.0);
        disc[1] = between(rng, -1.0, -0.4);
    } while (hypot(disc[0] - 1.0, disc[1] + 1.0) <= 0.45);
}

static double distance(const struct mujoco_state *state) {
    const struct aim *aim = state->model->own;
    const double *object = robot_landmark(state, OBJECT);
    return hypot(aim->counts[0] ? goal[0] - object[0] : 0.0,
                 aim->counts[1] ? goal[1] - object[1] : 0.0);
}

static void judge(const struct mujoco_state *state, double speed,
                  struct env_result *result) {
    (void)speed;
    result->reward =
        -control_cost * robot_squared_control(state) - distance(state);
}

static void statistics(const void *state, double *stats) {
    stats[0] = distance(state);
}

static void position(const void *state, double xy[2]) {
    const double *object = robot_landmark(state, OBJECT);
    xy[0] = object[0];
    xy[1] = object[1];
}

static const struct robot planar = {
    .file = "pusher-planar.xml",
    .frame_skip = 5,
    .horizon = 300,
    .stat = "final_distance",
    .coordinates = JOINTS + 2,
    .landmarks = {[TIP] = "tip", [OBJECT] = "object"},
    .position_noise = 0.1,
    .place = place,
    .width = width,
    .observe = observe,
    .judge = judge,
};

static int load(const struct env_class *class, void **model,
                struct env_spec *spec, const struct env_options *options,
                char *why, size_t n) {
    int err = robot_load(model, spec, &planar, options, why, n);
    if (err) return err;
    struct mujoco_model *shared = *model;
    shared->own = class->description;
    return 0;
}

static const struct aim both = {{true, true}};
static const struct aim x = {{true, false}};
static const struct aim y = {{false, true}};

const struct env_class tasks_pusher_planar = {
    .name = "pusher-planar",
    .rewarded = "less the disc's distance from (-1, -1) and 0.1 |control|^2",
    .description = &both,
    .load = load,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = statistics,
    .position = position,
    .scene = mujoco_scene,
};

const struct env_class tasks_pusher_planar_x = {
    .name = "pusher-planar-x",
    .rewarded = "less the disc's distance from x = -1 and 0.1 |control|^2",
    .description = &x,
    .load = load,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = statistics,
    .position = position,
    .scene = mujoco_scene,
};

const struct env_class tasks_pusher_planar_y = {
    .name = "pusher-planar-y",
    .rewarded = "less the disc's distance from y = -1 and 0.1 |control|^2",
    .description = &y,
    .load = load,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = statistics,
    .position = position,
    .scene = mujoco_scene,
};
