#ifndef ACTOR_TRACES_H
#define ACTOR_TRACES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "actor/rollout.h"

/*
 * Where the body went, as a CSV file: episode,step,x,y,reward. Step 0 is the
 * start (reward 0); an empty line ends an episode, so that gnuplot lifts its
 * pen. Episodes stand in the order of their ends; environment e plays the
 * numbers e, e + E, e + 2 E ... A zeroed one may be closed.
 */
struct traces_point {
    double x, y, reward;
};

struct traces_path {
    struct traces_point *points;
    size_t n, capacity;
    uint64_t ended; /* episodes of this environment */
};

struct traces {
    const struct env_class *class;
    size_t E;
    uint64_t episodes;         /* more than these are not written */
    struct traces_path *paths; /* (E) the running episodes */
    FILE *file;
    int err; /* the first failure, or 0 */
};

/* Create path. Returns 0 or a negative errno. */
int traces_open(struct traces *traces, const char *path,
                const struct env_class *class, size_t E, uint64_t episodes);

/* A rollout_watcher; user is the struct traces. */
void traces_watch(void *user, size_t env, uint64_t step, const void *state,
                  const struct env_result *result);

/* Returns 0 or the first error that anything of it met. */
int traces_close(struct traces *traces);

#endif
