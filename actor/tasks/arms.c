/*
 * Arms with the semantics of Gymnasium's Reacher-v5 and Pusher-v5: a finger to
 * a target, a cylinder to a goal. Never terminal. Places (xpos) lag the joints
 * by one simulator step.
 */
#include <math.h>

#include "actor/tasks/robot.h"
#include "actor/tasks/tasks.h"

enum { PLACED = 2 /* coordinates of one thing in the plane */ };

static double between(struct rng *rng, double low, double high) {
    return low + (high - low) * rng_uniform(rng);
}

static double distance(const double x[3], const double y[3]) {
    return sqrt((x[0] - y[0]) * (x[0] - y[0]) + (x[1] - y[1]) * (x[1] - y[1]) +
                (x[2] - y[2]) * (x[2] - y[2]));
}

/* -- reacher -- */

enum { LINKS = 2, FINGER = 0, TARGET = 1 };
static const double target_radius = 0.2;

/* cos and sin of both joints, the target, the joints' speeds, finger - target
 * in the plane. */
static size_t reacher_width(const mjModel *m) {
    return 2 * (size_t)LINKS + (size_t)m->nq + 2;
}

static void reacher_observe(const struct mujoco_state *state, double *obs) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    const double *finger = robot_landmark(state, FINGER);
    const double *target = robot_landmark(state, TARGET);
    for (int i = 0; i < LINKS; i++) *obs++ = cos(d->qpos[i]);
    for (int i = 0; i < LINKS; i++) *obs++ = sin(d->qpos[i]);
    for (int i = LINKS; i < (int)m->nq; i++) *obs++ = d->qpos[i];
    for (int i = 0; i < LINKS; i++) *obs++ = d->qvel[i];
    for (int i = 0; i < 2; i++) *obs++ = finger[i] - target[i];
}

/* The target: uniform in a disc, at rest. */
static void reacher_place(const struct mujoco_state *state, struct rng *rng) {
    const mjModel *m = state->model->m;
    double *target = state->d->qpos + m->nq - PLACED;
    do {
        for (int i = 0; i < PLACED; i++)
            target[i] = between(rng, -target_radius, target_radius);
    } while (hypot(target[0], target[1]) >= target_radius);
    for (int i = (int)m->nv - PLACED; i < (int)m->nv; i++)
        state->d->qvel[i] = 0.0;
}

static void reacher_judge(const struct mujoco_state *state, double speed,
                          struct env_result *result) {
    (void)speed;
    result->reward = -distance(robot_landmark(state, FINGER),
                               robot_landmark(state, TARGET)) -
                     robot_squared_control(state);
}

static void reacher_distance(const void *state, double *stats) {
    stats[0] =
        distance(robot_landmark(state, FINGER), robot_landmark(state, TARGET));
}

static void reacher_position(const void *state, double xy[2]) {
    const double *finger = robot_landmark(state, FINGER);
    xy[0] = finger[0];
    xy[1] = finger[1];
}

static const struct robot reacher = {
    .file = "reacher.xml",
    .frame_skip = 2,
    .horizon = 50,
    .stat = "final_distance",
    .coordinates = LINKS + PLACED,
    .landmarks = {[FINGER] = "fingertip", [TARGET] = "target"},
    .position_noise = 0.1,
    .velocity_noise = 5e-3,
    .place = reacher_place,
    .width = reacher_width,
    .observe = reacher_observe,
    .judge = reacher_judge,
};

const struct env_class tasks_reacher = {
    .name = "reacher",
    .rewarded = "less the finger's distance from the target and |control|^2",
    .description = &reacher,
    .load = robot_load_class,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = reacher_distance,
    .position = reacher_position,
    .scene = mujoco_scene,
};

/* -- pusher -- */

enum { JOINTS = 7, HAND = 0, OBJECT = 1, GOAL = 2 };

static size_t pusher_width(const mjModel *m) {
    (void)m;
    return 2 * JOINTS + 3 * 3;
}

static void pusher_observe(const struct mujoco_state *state, double *obs) {
    const mjData *d = state->d;
    for (int i = 0; i < JOINTS; i++) *obs++ = d->qpos[i];
    for (int i = 0; i < JOINTS; i++) *obs++ = d->qvel[i];
    for (size_t body = HAND; body <= GOAL; body++)
        for (int i = 0; i < 3; i++) *obs++ = robot_landmark(state, body)[i];
}

/* The goal in its middle, the object at least 0.17 m from it, both at rest.
 * Their last four coordinates are the object's y, x and the goal's. */
static void pusher_place(const struct mujoco_state *state, struct rng *rng) {
    const mjModel *m = state->model->m;
    double *object = state->d->qpos + ((ptrdiff_t)m->nq - 4);
    do {
        object[0] = between(rng, -0.3, 0.0);
        object[1] = between(rng, -0.2, 0.2);
    } while (hypot(object[0], object[1]) <= 0.17);
    object[2] = object[3] = 0.0;
    for (int i = (int)m->nv - 2 * PLACED; i < (int)m->nv; i++)
        state->d->qvel[i] = 0.0;
}

static void pusher_judge(const struct mujoco_state *state, double speed,
                         struct env_result *result) {
    (void)speed;
    const double *object = robot_landmark(state, OBJECT);
    result->reward = -distance(object, robot_landmark(state, GOAL)) -
                     0.1 * robot_squared_control(state) -
                     0.5 * distance(object, robot_landmark(state, HAND));
}

static void pusher_distance(const void *state, double *stats) {
    stats[0] =
        distance(robot_landmark(state, OBJECT), robot_landmark(state, GOAL));
}

static void pusher_position(const void *state, double xy[2]) {
    const double *object = robot_landmark(state, OBJECT);
    xy[0] = object[0];
    xy[1] = object[1];
}

static const struct robot pusher = {
    .file = "pusher.xml",
    .frame_skip = 5,
    .horizon = 100,
    .stat = "final_distance",
    .coordinates = JOINTS + 2 * PLACED,
    .landmarks = {[HAND] = "tips_arm", [OBJECT] = "object", [GOAL] = "goal"},
    .velocity_noise = 5e-3,
    .place = pusher_place,
    .width = pusher_width,
    .observe = pusher_observe,
    .judge = pusher_judge,
};

const struct env_class tasks_pusher = {
    .name = "pusher",
    .rewarded = "less the object's distance from the goal, half its distance "
                "from the hand, and 0.1 |control|^2",
    .description = &pusher,
    .load = robot_load_class,
    .unload = mujoco_unload,
    .create = robot_create,
    .destroy = robot_destroy,
    .reset = robot_reset,
    .step = robot_step,
    .statistics = pusher_distance,
    .position = pusher_position,
    .scene = mujoco_scene,
};
