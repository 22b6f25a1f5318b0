#ifndef ACTOR_ACTOR_H
#define ACTOR_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "actor/delivery.h"
#include "actor/outbox.h"
#include "actor/rollout.h"
#include "actor/turns.h"
#include "common/batch.h"
#include "common/config.h"
#include "proto/lifecycle.h"
#include "proto/link.h"

/*
 * One actor process on one thread (DESIGN.md, section 3): joins a run, steps
 * its environments with the newest sampler it has, and sends what it saw to
 * the shards. actor.c steps and keeps time, join.c and dialogue.c talk
 * to the learner.
 *
 * It does not step (and does not spin) without a policy, without a listed
 * shard, and while the window of unacknowledged batches is full. With
 * on_full = drop it needs a policy only: while nothing can be sent it keeps the
 * newest `batch` rows and drops those before them. What was sent once is never
 * dropped: it may be stored.
 *
 * An evaluator (config.evaluator) joins in the same way and stores nothing:
 * whenever the learner gives it parameters it plays a trial by them and tells
 * what it found with its heartbeats (evaluator.h).
 */
struct trial;

enum actor_state {
    ACTOR_FINDING, /* no address yet */
    ACTOR_HELLO,   /* Hello sent: waits for Welcome */
    ACTOR_READY,   /* Ready sent: waits for Go */
    ACTOR_JOINED,
};

struct actor {
    struct config config; /* ours, the learner's shared options applied */
    uv_loop_t *loop;
    void *zmq;
    struct link_self self;
    struct keys keys;
    struct lifecycle life;
    uv_timer_t tick, pull, rest;
    uv_idle_t step;
    int status; /* enum exit_status to end with */
    bool stopping;

    /* the conversation with the learner: join.c, dialogue.c */
    enum actor_state state;
    struct link_client *learner; /* NULL: no address yet */
    char address[WIRE_ADDRESS_LEN];
    uint64_t learner_incarnation, topology_version;
    uint64_t last_tick_ms,
        heard_ms; /* heard_ms: of the last tick that saw news */
    uint64_t silent_ms, absent_ms; /* counted only while our own loop runs */
    uint64_t said_ms;              /* absent_ms when last said */
    uint64_t looked_ms, asked_ms, beat_ms, episodes_ms;
    uint64_t pulled_ms; /* GetParameters sent, 0: answered */
    uint64_t wanted_us; /* the first GetParameters since an answer; 0: none */
    bool paused;        /* no step can be made: no room, or the others' turn */
    bool pull_put_off;  /* until one can */
    bool refreshing;    /* one could: with the parameters that were put off */
    struct histogram pulls; /* microseconds to its answer, since a heartbeat */
    char obstacle[CONFIG_PATH_LEN + 64]; /* what it waits for, in words */
    struct rng jitter;

    /* after the first Welcome */
    bool welcomed, has_policy;
    bool playing; /* an evaluator's trial */
    uint64_t rank;
    struct rollout rollout;
    struct turns turns;
    bool resting;              /* the others' turn */
    struct batch stage, spare; /* rows of no batch yet */
    uint64_t stage_ms;         /* when the oldest of them was made */
    uint64_t dropped;          /* rows, by on_full = drop */
    struct delivery delivery;
    struct outbox outbox;
    uint64_t episodes_to; /* sent but not yet received, up to this number */
    struct {
        struct actor_said {
            uint64_t total, ms;
        } dropped, unreceived;
    } said; /* of what was lost, and when */

    /* evaluator only */
    struct trial *trial;               /* over rollout */
    struct wire_evaluation evaluation; /* the last one */

    /* lockstep only */
    uint64_t round;
    bool round_asked;   /* waits for this round's parameters */
    bool round_stepped; /* its rows are on their way */
};

/*
 * Join and act until told to stop. Blocks; returns the exit status. config is
 * copied.
 */
int actor_run(const struct config *config);

/*
 * Between join.c, dialogue.c and their owner: actor.c, or simulate.c, whose
 * actors step no environments.
 */

/* End with status; why (NULL: already logged) is logged once. */
void actor_stop(struct actor *actor, int status, const char *why);
/* Something may have changed that stepping waits for. */
void actor_wake(struct actor *actor);
/* Environments, window and buffers by the first Welcome. -errno: logged. */
int actor_create(struct actor *actor);
/* Explore as config asks of this actor; said when it is new or has changed. */
void actor_explore(struct actor *actor, uint64_t ordinal);

/* The newest sampler: copied. 0 or -ENOMEM. */
int actor_policy(struct actor *actor, const struct policy *policy,
                 uint64_t version);

/* Start looking for the learner. Returns 0 or a negative errno, logged. */
int join_start(struct actor *actor);
/* Ten times a second. */
void join_tick(struct actor *actor);
/* Ask for parameters, now; in lockstep of this round. */
void join_pull(struct actor *actor);
/* Send what the outbox holds: the next list, or with all set everything. */
void join_send_episodes(struct actor *actor, bool all);
/* After uv_run(). */
void join_finish(struct actor *actor, int linger);

#endif
