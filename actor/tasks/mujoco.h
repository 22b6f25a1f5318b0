#ifndef ACTOR_TASKS_MUJOCO_H
#define ACTOR_TASKS_MUJOCO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mujoco/mujoco.h>

#include "actor/env.h"

/*
 * What all robots share: one constant mjModel a process, one mjData an
 * environment, control in double, and the signs of a simulation gone wrong. A
 * robot's file adds its observation, its reward and its end.
 */
enum { MUJOCO_LANDMARKS = 3 };

struct robot; /* actor/tasks/robot.h */

struct mujoco_model {
    mjModel *m;     /* owned */
    int frame_skip; /* simulator steps a step */
    double dt;      /* s a step */
    uint64_t horizon;
    uint64_t hash; /* of the MJCF file and what it names (mjcf.h) */

    /* filled by robot_load() for a task that is described, else 0 */
    const struct robot *robot; /* static storage */
    const void *own;           /* robot->own, or what load() put in its place */
    size_t obs_dim;
    int landmark[MUJOCO_LANDMARKS]; /* bodies, as robot->landmarks names them */
};

struct mujoco_state {
    const struct mujoco_model *model; /* borrowed */
    mjData *d;                        /* owned */
    uint64_t steps;                   /* of the running episode */
    double *obs; /* (obs_dim) the last observation; NULL without a robot */
};

/*
 * Load options->model where it names a file; else file ("swimmer.xml") from
 * options->data_dir, from the folder of the source tree, or from the installed
 * one. Install handlers so that MuJoCo's warnings are log lines, its fatal
 * errors one log line and exit status 1, and nothing is written to the working
 * directory. horizon: the robot's own.
 *
 * Returns 0, -ENOENT, -EBADMSG (not a model) or -ENOMEM, with one line in why
 * (n bytes); nothing to unload on error.
 */
int mujoco_load(struct mujoco_model **model, const char *file, int frame_skip,
                uint64_t horizon, const struct env_options *options, char *why,
                size_t n);

/* Of the MuJoCo that runs: "2.2.2". */
void mujoco_version(char *text, size_t n);

/* The functions of env_class that need nothing of the robot. */
void mujoco_unload(void *model);
void *mujoco_create(void *model); /* struct mujoco_state */
void mujoco_destroy(void *state);
/*
 * For a robot that keeps more of an episode: size bytes, zeroed, that begin
 * with a struct mujoco_state. mujoco_destroy() takes them too.
 */
void *mujoco_create_sized(void *model, size_t size);
/* The first two coordinates. */
void mujoco_position(const void *state, double xy[2]);
void mujoco_scene(const void *state, struct env_scene *scene);

/* The model's first <numeric> of that name, or otherwise. */
double mujoco_numeric(const mjModel *m, const char *name, double otherwise);

/*
 * The model's initial state plus uniform noise on +-noise, on every coordinate
 * and velocity alike. What follows from them (xpos, xmat, subtree_com) is
 * there.
 */
void mujoco_reset(struct mujoco_state *state, struct rng *rng, double noise);

/*
 * Scale action (m->nu) from [-1, 1] to each motor's range and simulate
 * frame_skip steps. Fills *result: truncated at the horizon; unstable, with
 * truncated, when MuJoCo found a bad number and reset the data by itself, or
 * left one in the state (the observation is then worthless). Reward 0, not
 * terminal.
 */
void mujoco_step(struct mujoco_state *state, const double *action,
                 struct env_result *result);

/*
 * As mujoco_step(), and by Euler's integrator the same simulation bit for bit,
 * after mujoco_reset() and then only this: but what follows from the
 * coordinates (xpos, xmat, subtree_com) stands where they do, where mj_step
 * leaves it a simulator step behind. By Euler that costs nothing, since the
 * first half of the next simulator step is done ahead (who writes coordinates
 * must call mj_forward); by others the positions are calculated once more.
 */
void mujoco_step_to_now(struct mujoco_state *state, const double *action,
                        struct env_result *result);

/*
 * centre out (3): m, of the first body and all that hangs on it, after
 * mujoco_reset() or mujoco_step_to_now().
 */
void mujoco_centre(const struct mujoco_state *state, double centre[3]);

/*
 * obs out (nq - skip + nv): the coordinates but the first skip, then all
 * velocities.
 */
void mujoco_observe(const struct mujoco_state *state, int skip, float *obs);

#endif
