#ifndef ACTOR_TASKS_ROBOT_H
#define ACTOR_TASKS_ROBOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/tasks/mujoco.h"

/*
 * A task with a robot as a description: a file, a start, an observation in
 * double, a reward and an end. What stands here runs it as an env_class; a
 * task's own load() binds its description, the rest of its env_class are the
 * functions below. The order within a step is Gymnasium's: frame_skip calls of
 * mj_step, then mj_rnePostConstraint, and no mj_forward, so that what mj_step
 * derives from the state (xpos, cinert, cvel, cfrc_ext, qfrc_constraint) is one
 * simulator step older than qpos and qvel.
 *
 *   S observation, also as double in state->obs
 */
struct robot {
    const char *file; /* "hopper.xml", unless options->model names another */
    int frame_skip;   /* simulator steps a step */
    uint64_t horizon;
    const char *stat; /* name of statistics()'s only number */

    /* what the functions below touch: any model that has it will do */
    int coordinates;                         /* least nq and nv */
    int sites;                               /* least nsite */
    const char *landmarks[MUJOCO_LANDMARKS]; /* bodies by name; NULL: no more */

    /* the start: the model's own state, with noise on every number */
    double position_noise; /* uniform on +-noise */
    double velocity_noise; /* the same, or normal with this deviation */
    bool normal_velocity;
    /* Then what has a law of its own, before mj_forward; NULL: nothing. */
    void (*place)(const struct mujoco_state *state, struct rng *rng);

    bool contact_forces; /* observe or reward read cfrc_ext */
    const void *own;     /* numbers of the task, as state->model->own */

    /* S, the length of an observation of this model. */
    size_t (*width)(const mjModel *m);
    /* obs out (S). */
    void (*observe)(const struct mujoco_state *state, double *obs);
    /* What moves forward, in m; NULL: nothing does. */
    double (*progress)(const struct mujoco_state *state);
    /* Fill reward and terminal; speed is progress in m/s over this step. */
    void (*judge)(const struct mujoco_state *state, double speed,
                  struct env_result *result);
};

/*
 * Load robot's model, or options->model, and fill *spec. Errors as
 * mujoco_load(), and -EBADMSG for a model that lacks what robot reads, or that
 * has no motors or one without limits.
 */
int robot_load(void **model, struct env_spec *spec, const struct robot *robot,
               const struct env_options *options, char *why, size_t n);

/* env_class.load() of a task whose class->description is a struct robot. */
int robot_load_class(const struct env_class *class, void **model,
                     struct env_spec *spec, const struct env_options *options,
                     char *why, size_t n);

/* The other functions of env_class; unload is mujoco_unload, position often
 * mujoco_position. */
void *robot_create(void *model); /* struct mujoco_state */
void robot_destroy(void *state);
void robot_reset(void *state, struct rng *rng, float *obs);
void robot_step(void *state, const double *action, float *obs,
                struct env_result *result);

/* state->obs afresh, from a simulation that was set by hand. */
void robot_observe(struct mujoco_state *state);

/* Building blocks of descriptions. |control|^2 of the motors, in their units.
 */
double robot_squared_control(const struct mujoco_state *state);
/* First coordinate. */
double robot_x(const struct mujoco_state *state);
/* statistics(): where that is at the end. */
void robot_final_x(const void *state, double *stats);
/* World position (3) of landmark i of the description. */
const double *robot_landmark(const struct mujoco_state *state, size_t i);
/*
 * obs out (nq - skip + nv): the coordinates but the first skip, then all
 * velocities, clipped to +-limit. Returns the place behind.
 */
double *robot_observe_state(const struct mujoco_state *state, int skip,
                            double limit, double *obs);
/* That length. */
size_t robot_state_width(const mjModel *m, size_t skip);
/* obs out (n): x (n) clipped to +-limit. Returns the place behind. */
double *robot_observe_clipped(const double *x, size_t n, double limit,
                              double *obs);

#endif
