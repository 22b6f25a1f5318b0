#ifndef ACTOR_ENV_H
#define ACTOR_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"

/*
 * What a task is. One env_class a task; one shared `model` a process (an
 * mjModel, say); one `state` an environment.
 */
enum { ENV_MAX_STATS = 8, ENV_NAME_LEN = 65, ENV_MAX_DIM = 4096 };

struct env_options {
    uint64_t horizon;     /* 0: the task's own */
    const char *reward;   /* multigoal: "goals" or "gaussian"; NULL: "goals" */
    double start_sd;      /* multigoal: of the start around (0, 0), [0, 7] */
    const char *data_dir; /* folder of the MJCF files; NULL or "": built in */
    const char *model; /* MJCF file in the task's place; NULL or "": its own */
    const char *file;  /* own tasks: the description, or the shared object */
};

struct env_spec {
    size_t obs_dim, act_dim;
    uint64_t horizon;
    size_t
        n_stats; /* numbers that an episode ends with, ENV_MAX_STATS at most */
    const char *stat_names[ENV_MAX_STATS]; /* as long as the model */
    const char *rewarded; /* own tasks: in one line, else NULL; likewise */
    /* (act_dim, 2) low, high of each motor, which env_scale() brings actions
     * to; NULL: the task takes them in [-1, 1] as they are; likewise */
    const double *action_range;
    uint64_t hash; /* of what actors of one run must have alike and what this
                      program does not hold itself: the MJCF files, the
                      description, the shared object; 0: nothing */
};

struct env_result {
    double reward;
    bool terminal;  /* a real end of the task */
    bool truncated; /* the time limit, or instability: still bootstraps */
    bool unstable;  /* the simulator gave up: discard this transition */
};

/* What there is to see of an environment, borrowed from it. */
struct env_scene {
    const struct mjModel_ *model;
    const struct mjData_ *data;
    double dt; /* s a step */
};

struct env_class {
    const char *name;        /* "multigoal" */
    const char *rewarded;    /* one line: what earns reward */
    const void *description; /* of a family's task, for its load(), or NULL */
    bool one_thread;         /* else step() of several states at once may run on
                                as many threads */
    /*
     * Load what all environments of this class share and fill spec. Returns 0,
     * -EINVAL (a bad option), -ENOENT or -EBADMSG (a bad model file), -ENOMEM,
     * with one line in why (n bytes); nothing to unload on error.
     */
    int (*load)(const struct env_class *class, void **model,
                struct env_spec *spec, const struct env_options *options,
                char *why, size_t n);
    void (*unload)(void *model);
    /* One environment, which borrows model; NULL when out of memory. */
    void *(*create)(void *model);
    void (*destroy)(void *state);
    /* Start an episode. obs out (obs_dim). The rng decides everything random.
     */
    void (*reset)(void *state, struct rng *rng, float *obs);
    /*
     * action   (act_dim) in [-1, 1], double: clipped to it, scaled by the task
     * obs  out (obs_dim) s', before any reset
     * After terminal or truncated only reset() and statistics() may follow.
     */
    void (*step)(void *state, const double *action, float *obs,
                 struct env_result *result);
    /* Statistics of the episode so far. stats out (n_stats). */
    void (*statistics)(const void *state, double *stats);
    /* Where the task's figure looks: x, y of the body, for traces. */
    void (*position)(const void *state, double xy[2]);
    /*
     * For pictures, both optional: a simulated task shows its simulation; one
     * of a plane names a model ("drawings/multigoal.xml" of the models' folder)
     * whose first two coordinates are its position().
     */
    void (*scene)(const void *state, struct env_scene *scene);
    const char *drawing;
};

/* An action of [-1, 1] in a motor's range: low, high. */
double env_scale(const double range[2], double a);
/* Of action i: the task's, or -1, 1. */
const double *env_range(const struct env_spec *spec, size_t i);

/* By name, or NULL. */
const struct env_class *env_find(const char *name);
/* NULL-terminated list of all. */
const struct env_class *const *env_list(void);
/* "multigoal, point-x ...": for messages about a wrong name. */
void env_names(char *text, size_t n);

#endif
