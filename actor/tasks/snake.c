/*
 * The swimming snake of the paper (REFERENCE.md, section 5.2): paid for speed
 * along x either way, and more beyond a finish line that lies on one side only.
 * Whoever has learned just the other way must find that out.
 */
#include <math.h>

#include "actor/tasks/mujoco.h"
#include "actor/tasks/tasks.h"

enum { FRAME_SKIP = 5, SKIPPED = 2 /* the middle's x and y */ };
static const uint64_t default_horizon = 500;
static const double reset_noise = 0.1;
static const double finish_bonus = 1.0; // a step beyond the line

struct snake {
    struct mujoco_state robot; // first: mujoco_destroy() takes us
    double centre[3];
    double farthest; // m, largest x so far
};

static int snake_load(const struct env_class *class, void **model,
                      struct env_spec *spec, const struct env_options *options,
                      char *why, size_t n) {
    (void)class;
    struct mujoco_model *shared = NULL;
    int err = mujoco_load(&shared, "swimmer-finish.xml", FRAME_SKIP,
                          default_horizon, options, why, n);
    if (err) return err;
    const mjModel *m = shared->m;
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = (size_t)(1 + m->nq - SKIPPED + m->nv),
        .act_dim = (size_t)m->nu,
        .horizon = shared->horizon,
        .n_stats = 2,
        // m, of the centre of mass along x; 1: beyond the line
        .stat_names = {"max_forward", "crossed"},
        .action_range = m->actuator_ctrlrange,
        .hash = shared->hash,
    };
    return 0;
}

static bool beyond_line(const struct snake *snake, double x) {
    const mjModel *m = snake->robot.model->m;
    return x > mujoco_numeric(m, "threshold", (double)INFINITY);
}

static void *snake_create(void *model) {
    return mujoco_create_sized(model, sizeof(struct snake));
}

/* obs out: the centre's x, heading, joints, then all velocities. */
static void observe(const struct snake *snake, float *obs) {
    obs[0] = (float)snake->centre[0];
    mujoco_observe(&snake->robot, SKIPPED, obs + 1);
}

static void snake_reset(void *state, struct rng *rng, float *obs) {
    struct snake *snake = state;
    mujoco_reset(&snake->robot, rng, reset_noise);
    mujoco_centre(&snake->robot, snake->centre);
    snake->farthest = snake->centre[0];
    observe(snake, obs);
}

static void snake_step(void *state, const double *action, float *obs,
                       struct env_result *result) {
    struct snake *snake = state;
    const double x = snake->centre[0];
    mujoco_step_to_now(&snake->robot, action, result);
    mujoco_centre(&snake->robot, snake->centre);
    const double speed = (snake->centre[0] - x) / snake->robot.model->dt;
    result->reward =
        fabs(speed) + finish_bonus * beyond_line(snake, snake->centre[0]);
    snake->farthest = fmax(snake->farthest, snake->centre[0]);
    observe(snake, obs);
}

static void snake_statistics(const void *state, double *stats) {
    const struct snake *snake = state;
    stats[0] = snake->farthest;
    stats[1] = beyond_line(snake, snake->farthest);
}

static void snake_position(const void *state, double xy[2]) {
    const struct snake *snake = state;
    xy[0] = snake->centre[0];
    xy[1] = snake->centre[1];
}

const struct env_class tasks_swimmer_finish = {
    .name = "swimmer-finish",
    .rewarded = "speed along x either way; 1 a step beyond a finish line",
    .load = snake_load,
    .unload = mujoco_unload,
    .create = snake_create,
    .destroy = mujoco_destroy,
    .reset = snake_reset,
    .step = snake_step,
    .statistics = snake_statistics,
    .position = snake_position,
    .scene = mujoco_scene,
};
