#ifndef ACTOR_ROLLOUT_H
#define ACTOR_ROLLOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/env.h"
#include "actor/exploration.h"
#include "common/batch.h"
#include "common/config.h"
#include "common/mlp.h"
#include "common/policy.h"
#include "common/pool.h"
#include "common/rng.h"

/*
 * Steps many environments with the sampling network, one batched call a step,
 * and writes their transitions down. Pure: no sockets, no clock; what it does
 * is a function of (config, role, rank, epoch) and the policies it was given
 * at which step, on however many threads (config->actor_threads) it steps them.
 *
 *   E environments   S observation   A action   P parameters of the sampler
 */
enum { ROLLOUT_EPISODES = 256 };

struct rollout_episode {
    uint64_t number;             /* 0, 1, 2 ... in the order of their ends */
    size_t env;                  /* which environment played it */
    double ret;                  /* sum of rewards, unscaled, undiscounted */
    double discounted;           /* sum of gamma^t r_t, t = 0, 1 ... */
    uint64_t length;             /* steps */
    uint64_t version;            /* policy of the last step */
    bool terminal;               /* false: truncated */
    double stats[ENV_MAX_STATS]; /* (spec.n_stats), as the task defines them */
};

/*
 * Sees every environment's episodes: step 0 with result NULL where one starts,
 * then each step before any reset (but no unstable one). state is for
 * class->position().
 */
typedef void rollout_watcher(void *user, size_t env, uint64_t step,
                             const void *state,
                             const struct env_result *result);

struct rollout {
    /* read-only */
    const struct env_class *class;
    char task[CONFIG_NAME_LEN]; /* its name in this run */
    struct env_spec spec;
    struct mlp_shape shape; /* of the sampler */
    size_t E;
    uint64_t version;       /* policy that acts now */
    uint64_t steps;         /* transitions written */
    uint64_t episodes;      /* ended so far: the next one's number */
    uint64_t discarded;     /* transitions dropped as unstable */
    uint64_t episodes_lost; /* ended, but not taken in time */

    /* private */
    rollout_watcher *watcher;
    void *watcher_user;
    uint64_t seed, rank, epoch;
    enum rng_role role;
    double gamma;
    void *model;
    void **states;       /* (E) */
    struct rng *noise;   /* (E) a stream an environment */
    struct rng *start;   /* (E) */
    struct rng *explore; /* (E) */
    struct exploration exploration;
    float *n;                   /* (E, A) its noise */
    float *s, *next;            /* (E, S) */
    float *x;                   /* (E, S) s as the networks see it */
    float *xi, *a;              /* (E, A) */
    double *action;             /* (E, A) */
    struct env_result *results; /* (E) */
    bool *skipped;          /* (E) not stepped: what goes in is not finite */
    struct pool *pool;      /* NULL: one thread */
    atomic_size_t next_env; /* that no thread has taken */
    struct policy *policy;  /* our copy; NULL: uniform random actions */
    double *ret;            /* (E) of the running episode */
    double *discounted;     /* (E) */
    double *weight;         /* (E) gamma^t of the next reward */
    uint64_t *length;       /* (E) */
    struct mlp_work work;
    size_t first, pending, room;   /* ring of ended episodes */
    struct rollout_episode *ended; /* (room) */
};

/*
 * Load config->task and start config->environments episodes. The random
 * streams are keyed by (config->seed, role, rank, epoch). Returns 0, or a
 * negative errno with one line in why (n bytes): -EINVAL an unknown task
 * or a bad option, others as env_class.load(). A task whose class is of
 * one_thread is stepped on one, whatever config says. A zeroed rollout, and one
 * whose init failed, may be finished.
 */
int rollout_init(struct rollout *rollout, const struct config *config,
                 enum rng_role role, uint64_t rank, uint64_t epoch, char *why,
                 size_t n);
void rollout_finish(struct rollout *rollout);

/*
 * Begin again as after rollout_init(): environments, random streams and
 * counters; the policy and its exploration stay. 0 or -ENOMEM: not usable any
 * more.
 */
int rollout_again(struct rollout *rollout);

/* Call once, before the first step; calls watcher for the E starts at once. */
void rollout_watch(struct rollout *rollout, rollout_watcher *watcher,
                   void *user);

/*
 * Act with policy (copied; of rollout->shape) from the next step on. NULL, and
 * before the first call: uniform random actions. 0 or -ENOMEM: the old one
 * goes on.
 */
int rollout_set_policy(struct rollout *rollout, const struct policy *policy,
                       uint64_t version);

/*
 * Explore like this from the next step on, on top of a policy (random actions
 * are left alone). Until the first call: not at all, whatever config says, so
 * that an evaluation never does.
 */
void rollout_explore(struct rollout *rollout,
                     const struct exploration *exploration);

/*
 * One step of every environment. Appends up to
 * E rows, in index order, to batch, which must have room for E (NULL: nobody
 * keeps them). A row that the simulator gave up on is left out and counted, its
 * episode begins again and is not reported. s' is the observation before the
 * reset.
 *
 * Returns 0, or -EDOM when an action, observation or reward is not finite,
 * with one line in why (n bytes) naming environment, step and seed; the
 * rollout is then not usable any more.
 */
int rollout_step(struct rollout *rollout, struct batch *batch, char *why,
                 size_t n);

/*
 * Take the oldest ended episodes, at most max. Returns how many. Of more than
 * ROLLOUT_EPISODES that wait, or than E where that is more, the oldest are lost
 * (and counted): never of those of one step.
 */
size_t rollout_take(struct rollout *rollout, struct rollout_episode *episodes,
                    size_t max);

#endif
