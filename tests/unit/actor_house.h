#ifndef TESTS_UNIT_ACTOR_HOUSE_H
#define TESTS_UNIT_ACTOR_HOUSE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "common/config.h"
#include "proto/link.h"

enum { MOST = 4096, SHARDS = 2, TICK_MS = 10, PATIENCE_MS = 60000 };

/* A false shard. It stores what it says it stores. */
struct actor_house_shard {
    struct link_server server;
    struct link_self self;
    struct actor_house *house;
    struct link_route actor;
    bool heard, busy;
    uint64_t answered, inserts;
};

/* A learner, its shards and the actor as a child process. */
struct actor_house {
    /* the scenario: set by the case */
    unsigned lose_every;      /* of the messages to and from the shards */
    enum wire_refusal refuse; /* the first Insert, or 0 */
    uint64_t units;
    void (*on_tick)(struct actor_house *house);
    uint64_t until; /* batches stored, then Stop; 0: the case ends */
    bool lockstep;
    int on_full;     /* enum config_on_full */
    int exploration; /* enum config_exploration */
    bool evaluator;
    unsigned early; /* Readies that get no answer */
    bool deaf;      /* the learner receives no episode */
    bool logged;    /* for actor_house_said() */
    uint64_t horizon;
    bool asked_once;  /* what is not answered stops the run */
    uint64_t version; /* that is given to whoever has another; 0: a first one */

    /* what happened */
    bool episodes_in_order, ended, joined;
    unsigned hellos, readies, /* said again before Go: once */
        pulls, heartbeats, stage;
    struct wire_counters counters; /* of the last heartbeat */
    struct wire_evaluation evaluation;
    uint64_t episodes_next, episodes;
    uint64_t epoch, highest, now_ms, sum[MOST];
    unsigned char stored[MOST];
    uint64_t stored_n, repeats, changed, over_window;
    float boldest[4]; /* of a stage: largest |action| made in it */
    uint64_t steps_then, dropped_then, pulls_then;
    uint64_t
        outdated; /* rows stored that another version than the house's made */
    uint64_t answered_then[SHARDS]; /* when the scenario's change was made */
    int status;

    pid_t child;
    char folder[64], join[96], ledger[96], log[96];
    uv_loop_t loop;
    void *zmq;
    uv_timer_t tick;
    struct link_self self;
    struct link_server learner;
    struct link_route actor;
    struct actor_house_shard shards[SHARDS];
    enum wire_shard_state state[SHARDS];
    uint64_t topology_version;
    uint64_t traffic, round;
    struct config config;
    float *phi;
};

/* Whether the next message is: every lose_every-th, spread. */
bool actor_house_lost(struct actor_house *h);

/* From the learner to the actor. */
void actor_house_answer(struct actor_house *h,
                        const struct wire_message *message);

/* The same, of a topology with a new version. */
void actor_house_push_topology(struct actor_house *h);

/* Play the scenario to its end. */
void actor_house_play(struct actor_house *h);

/* Acknowledged batches in the ledger; each was sent first, and stored. */
uint64_t actor_house_count_acks(const struct actor_house *h);

/* Does the actor's log say so? */
bool actor_house_said(const struct actor_house *h, const char *words);

/* Zeroed; the caller fills in the scenario. For actor_house_free(). */
struct actor_house *actor_house_new(void);
void actor_house_free(struct actor_house *h);

#endif
