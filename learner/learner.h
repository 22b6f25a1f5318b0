#ifndef LEARNER_LEARNER_H
#define LEARNER_LEARNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/config.h"
#include "common/rng.h"
#include "learner/checkpoint.h"
#include "learner/evaluations.h"
#include "learner/feed.h"
#include "learner/hello_rate.h"
#include "learner/history.h"
#include "learner/latency.h"
#include "learner/limiter.h"
#include "learner/lockstep.h"
#include "learner/origin.h"
#include "learner/page.h"
#include "learner/progress.h"
#include "learner/publish.h"
#include "learner/registry.h"
#include "learner/saver.h"
#include "learner/state.h"
#include "learner/status.h"
#include "learner/trainer.h"
#include "learner/why.h"
#include "proto/lifecycle.h"
#include "proto/link.h"

/*
 * The learner's loop: everything that is not the learning itself. Its parts
 * are the modules above; what happens between them is told in
 *
 *   opening.c   how it starts from the run directory
 *   learner.c   its address, its timers, its end
 *   dialogue.c  what is answered to each message
 *   door.c      whose message comes that far
 *   cycle.c     from listed shards to minibatches to updates to parameters
 *   lockstep.c  the same in strict turns, for runs that repeat bit for bit
 *   saver.c     RUN/state and checkpoints, written on libuv's pool
 */
struct learner {
    struct config config;
    uv_loop_t *loop; /* borrowed */
    void *zmq;       /* borrowed */

    /* the run */
    int lock;
    struct state state;
    struct link_self self;
    struct registry registry;
    struct limiter limiter;
    char address[WIRE_ADDRESS_LEN]; /* what others connect to */
    char options[16384];            /* shared ones, for Welcome */
    size_t max_peers; /* here at once: libzmq spins when it has no descriptor
                         left for a connection */
    size_t options_len;

    /* conversation */
    struct guard guard; /* before every socket, and after it */
    struct hello_rate hello_rate;
    struct link_server server;
    struct lifecycle life;
    uv_timer_t tick, heartbeat;
    uint64_t ticked_ms;                /* loop time of the last tick */
    uint64_t refused;                  /* messages answered with Refused */
    char refusal[WIRE_NAME_LEN + 128]; /* the last one: who and why */
    struct latency inserts, pulls;     /* as the actors tell */
    struct status status;

    /* learning */
    struct origin origin; /* until the trainer has it */
    size_t threads;
    struct trainer *trainer; /* NULL until the spec is known */
    uv_async_t results;
    struct feed feed;
    struct rng feed_rng;
    size_t lent;                      /* minibatches at the trainer */
    uint64_t updates;                 /* done */
    double busy_seconds;              /* of the trainer, in updates */
    struct algorithm_figures figures; /* of the last update */
    uint64_t progressed_ms;           /* when the last update was done */
    struct publish publish;
    bool publish_asked;
    uint64_t serve_from; /* rank whose turn it is: more actors than
                            parameter_rate allows for take turns */
    bool serve_late;     /* somebody still waits for parameters */
    uint64_t published_updates, published_ms;
    uint64_t ages[WHY_AGES]; /* rows learned from, by log2 of updates between
                                acting and learning */
    uint64_t aged_out;       /* rows of an earlier generation */
    struct lockstep lockstep;

    struct saver saver;
    struct progress progress;
    struct evaluations evaluations;
    uint64_t started_ms, lined_ms, row_ms;
    struct page *page; /* NULL: none */
    struct history history;

    /* the end */
    bool ending, farewell_said;
    int exit_status;
    char reason[160];
    uv_timer_t farewell;
};

/*
 * Lock the run directory, resume or begin, bind, and serve. The learner is
 * zeroed memory but for config. Returns 0, or an exit status after one log
 * line. Either way the caller runs the loop until it is empty, then calls
 * learner_finish().
 */
int learner_start(struct learner *learner, uv_loop_t *loop, void *zmq);

/* Seconds of the run, over all its learners. */
double learner_seconds(const struct learner *learner);
struct progress_now learner_now(const struct learner *learner);
/* What there is to say of who waits for whom; borrows from learner. */
struct why learner_why(const struct learner *learner);

/*
 * Begin to end: a last checkpoint (but not with EXIT_NON_FINITE), Stop to all,
 * every handle closed. Later calls change nothing.
 */
void learner_end(struct learner *learner, int exit_status, const char *reason);
/* The last checkpoint is on disk, or could not be written: say farewell. */
void learner_farewell(struct learner *learner);
/* A limit is reached: end normally. */
void learner_check_limits(struct learner *learner);

/* After the loop is empty. Returns the exit status. */
int learner_finish(struct learner *learner);

#endif
