#ifndef SOFTQ_ENV_H
#define SOFTQ_ENV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Your own environment for softq: a shared object with one function,
 *
 *     const struct softq_env *softq_env(void);
 *
 * that returns a filled struct of static storage. deploy/examples/my_env.c is a
 * whole one; it builds and trains by
 *
 *     cc -O2 -shared -fPIC -Iactor/include -o my_env.so deploy/examples/my_env.c
 *     deploy/local.sh ./my_env.so
 *
 * One process steps many environments of it, one after the other on one thread,
 * whatever the option actor_threads says: more actors use more cores.
 * Keep all that changes in your state: then seeds repeat, and a process that was
 * killed goes on.
 *
 *   S obs_dim numbers of an observation   A act_dim numbers of an action
 */
enum { SOFTQ_ENV_VERSION = 1, SOFTQ_ENV_MAX_DIM = 4096,
       SOFTQ_ENV_MAX_STATS = 8 };

struct softq_env_result {
    double reward;
    int terminal;  /* a real end: nothing can be earned after it */
    int truncated; /* cut short, but it could go on; the horizon does so too */
    int unstable;  /* this step is worthless: forget it and begin anew */
};

struct softq_env {
    uint32_t version;         /* SOFTQ_ENV_VERSION */
    uint32_t obs_dim;         /* S, from 1 to SOFTQ_ENV_MAX_DIM */
    uint32_t act_dim;         /* A, likewise */
    uint32_t n_stats;         /* statistics of an episode, at most
                                 SOFTQ_ENV_MAX_STATS */
    uint64_t horizon;         /* steps after which an episode is cut, 1 to 1e9;
                                 the option horizon overrides it */
    const char *rewarded;     /* one line for people: what earns reward */
    const char *revision;     /* compared between the actors of a run, so change
                                 it with the task; NULL: the file itself is */
    const char *stat_names[SOFTQ_ENV_MAX_STATS]; /* (n_stats) */

    /* One environment; NULL when that fails. */
    void *(*create)(void);
    void (*destroy)(void *state);
    /*
     * Begin an episode. seed decides everything random in it. obs out (S).
     * Called before the first step, and after each episode's last.
     */
    void (*reset)(void *state, uint64_t seed, double *obs);
    /*
     * One step. action (A), each in [-1, 1]: scale it yourself. obs out (S).
     * *result comes zeroed. Numbers that are not finite stop the actor with a
     * line that names the step and the seed.
     */
    void (*step)(void *state, const double *action, double *obs,
                 struct softq_env_result *result);
    /* stats out (n_stats), after an episode's last step. NULL with n_stats 0. */
    void (*statistics)(const void *state, double *stats);
    /* x, y for the run's figure of paths; NULL: the first two observations. */
    void (*position)(const void *state, double xy[2]);
};

const struct softq_env *softq_env(void);

/* A uniform number in [0, 1); *seed moves on (splitmix64). */
static inline double softq_env_uniform(uint64_t *seed) {
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

#ifdef __cplusplus
}
#endif

#endif
