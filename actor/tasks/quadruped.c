/*
 * The quadruped of the paper (REFERENCE.md, section 5.3 and 5.4) in its five
 * arenas. All share one body and one observation of 29 numbers, so that a
 * policy of one can go on in another. It is paid for the speed of its centre of
 * mass, whichever way, or where the arena has a target for being near it. Only
 * a fall on its back ends an episode.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "actor/tasks/mujoco.h"
#include "actor/tasks/tasks.h"

enum { FRAME_SKIP = 5, OBSERVED = 29, MOTORS = 8, TORSO = 1 };
static const uint64_t default_horizon = 500;
static const double reset_noise = 0.05;

struct quadruped {
    struct mujoco_state robot; // first: mujoco_destroy() takes us
    double start[2], centre[3];
    double nearest; // m, least distance to the target so far
};

/* The site named "target", or -1: an arena without one pays for speed. */
static int target_of(const mjModel *m) {
    return mj_name2id(m, mjOBJ_SITE, "target");
}

/* The distance below which the arena counts a target as found, or 0. */
static double threshold_of(const mjModel *m) {
    return mujoco_numeric(m, "threshold", 0.0);
}

static double distance(const double a[2], const double b[2]) {
    return hypot(a[0] - b[0], a[1] - b[1]);
}

/* exp(-|x - g|^2 / (2 s^2)), s half the way from the start to g. */
static double bump(const mjModel *m, const double centre[2]) {
    const double *target = m->site_pos + (ptrdiff_t)3 * target_of(m);
    const double s = 0.5 * distance(m->body_pos + (ptrdiff_t)3 * TORSO, target);
    const double d = distance(centre, target);
    return exp(-d * d / (2.0 * s * s));
}

static int quadruped_load(const struct env_class *class, void **model,
                          struct env_spec *spec,
                          const struct env_options *options, char *why,
                          size_t n) {
    const char *file = class->description;
    struct mujoco_model *shared = NULL;
    int err = mujoco_load(&shared, file, FRAME_SKIP, default_horizon, options,
                          why, n);
    if (err) return err;
    const mjModel *m = shared->m;
    if (m->nq + m->nv != OBSERVED || m->nu != MOTORS) {
        snprintf(why, n, "%s: not the quadruped: %d coordinates, %d motors",
                 file, (int)(m->nq + m->nv), (int)m->nu);
        mujoco_unload(shared);
        return -EBADMSG;
    }
    *model = shared;
    *spec = (struct env_spec){
        .obs_dim = OBSERVED,
        .act_dim = MOTORS,
        .horizon = shared->horizon,
        .n_stats = 1,
        .stat_names = {"net_displacement"}, // m, from the start to the end
        .action_range = m->actuator_ctrlrange,
        .hash = shared->hash,
    };
    if (target_of(m) < 0) return 0;
    spec->stat_names[0] = "min_distance"; // m, to the target
    if (threshold_of(m) > 0.0)
        spec->stat_names[spec->n_stats++] = "passed"; // 1: below it
    return 0;
}

static void *quadruped_create(void *model) {
    return mujoco_create_sized(model, sizeof(struct quadruped));
}

static void look_for_target(struct quadruped *quadruped) {
    const mjModel *m = quadruped->robot.model->m;
    const int target = target_of(m);
    if (target < 0) return;
    quadruped->nearest =
        fmin(quadruped->nearest,
             distance(quadruped->centre, m->site_pos + (ptrdiff_t)3 * target));
}

static void quadruped_reset(void *state, struct rng *rng, float *obs) {
    struct quadruped *quadruped = state;
    mujoco_reset(&quadruped->robot, rng, reset_noise);
    mujoco_centre(&quadruped->robot, quadruped->centre);
    quadruped->start[0] = quadruped->centre[0];
    quadruped->start[1] = quadruped->centre[1];
    quadruped->nearest = (double)INFINITY;
    look_for_target(quadruped);
    mujoco_observe(&quadruped->robot, 0, obs);
}

static void quadruped_step(void *state, const double *action, float *obs,
                           struct env_result *result) {
    struct quadruped *quadruped = state;
    const mjModel *m = quadruped->robot.model->m;
    const double before[2] = {quadruped->centre[0], quadruped->centre[1]};
    mujoco_step_to_now(&quadruped->robot, action, result);
    mujoco_centre(&quadruped->robot, quadruped->centre);
    look_for_target(quadruped);

    result->reward = target_of(m) < 0 ? distance(quadruped->centre, before) /
                                            quadruped->robot.model->dt
                                      : bump(m, quadruped->centre);
    const double up = quadruped->robot.d->xmat[9 * TORSO + 8];
    result->terminal = !result->unstable && !(up >= 0.0);
    result->truncated = result->truncated && !result->terminal;
    mujoco_observe(&quadruped->robot, 0, obs);
}

static void quadruped_statistics(const void *state, double *stats) {
    const struct quadruped *quadruped = state;
    const mjModel *m = quadruped->robot.model->m;
    if (target_of(m) < 0) {
        stats[0] = distance(quadruped->centre, quadruped->start);
        return;
    }
    stats[0] = quadruped->nearest;
    if (threshold_of(m) > 0.0) stats[1] = quadruped->nearest < threshold_of(m);
}

static void quadruped_position(const void *state, double xy[2]) {
    const struct quadruped *quadruped = state;
    xy[0] = quadruped->centre[0];
    xy[1] = quadruped->centre[1];
}

static const char for_speed[] = "speed of the centre of mass, whichever way";
static const char for_target[] = "closeness of the centre of mass to the "
                                 "target: exp(-d^2 / (2 s^2)), s half the way";

const struct env_class tasks_quadruped_empty = {
    .name = "quadruped-empty",
    .rewarded = for_speed,
    .description = "quadruped-empty.xml",
    .load = quadruped_load,
    .unload = mujoco_unload,
    .create = quadruped_create,
    .destroy = mujoco_destroy,
    .reset = quadruped_reset,
    .step = quadruped_step,
    .statistics = quadruped_statistics,
    .position = quadruped_position,
    .scene = mujoco_scene,
};

const struct env_class tasks_quadruped_hall_wide = {
    .name = "quadruped-hall-wide",
    .rewarded = for_speed,
    .description = "quadruped-hall-wide.xml",
    .load = quadruped_load,
    .unload = mujoco_unload,
    .create = quadruped_create,
    .destroy = mujoco_destroy,
    .reset = quadruped_reset,
    .step = quadruped_step,
    .statistics = quadruped_statistics,
    .position = quadruped_position,
    .scene = mujoco_scene,
};

const struct env_class tasks_quadruped_hall_narrow = {
    .name = "quadruped-hall-narrow",
    .rewarded = for_speed,
    .description = "quadruped-hall-narrow.xml",
    .load = quadruped_load,
    .unload = mujoco_unload,
    .create = quadruped_create,
    .destroy = mujoco_destroy,
    .reset = quadruped_reset,
    .step = quadruped_step,
    .statistics = quadruped_statistics,
    .position = quadruped_position,
    .scene = mujoco_scene,
};

const struct env_class tasks_quadruped_umaze = {
    .name = "quadruped-umaze",
    .rewarded = for_target,
    .description = "quadruped-umaze.xml",
    .load = quadruped_load,
    .unload = mujoco_unload,
    .create = quadruped_create,
    .destroy = mujoco_destroy,
    .reset = quadruped_reset,
    .step = quadruped_step,
    .statistics = quadruped_statistics,
    .position = quadruped_position,
    .scene = mujoco_scene,
};

const struct env_class tasks_quadruped_maze = {
    .name = "quadruped-maze",
    .rewarded = for_target,
    .description = "quadruped-maze.xml",
    .load = quadruped_load,
    .unload = mujoco_unload,
    .create = quadruped_create,
    .destroy = mujoco_destroy,
    .reset = quadruped_reset,
    .step = quadruped_step,
    .statistics = quadruped_statistics,
    .position = quadruped_position,
    .scene = mujoco_scene,
};
