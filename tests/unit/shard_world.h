#ifndef TESTS_UNIT_SHARD_WORLD_H
#define TESTS_UNIT_SHARD_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/link.h"
#include "replay/shard.h"
#include "tests/unit/test.h"

/* A shard between a learner and actors that are played, on one loop. */
enum { S = 3, A = 2, RUN = 77, TYPES = WIRE_STATUS_REPLY + 1 };

/* What one end has heard. */
struct heard {
    unsigned n[TYPES];
    struct wire_hello hello;
    struct wire_shard_ready ready;
    struct wire_counters counters;
    struct wire_refused refused;
    struct wire_answer answer;
    struct wire_minibatch minibatch; /* rows: only r, in rewards */
    float rewards[64];
    char text[1024];
};

struct shard_world {
    uv_loop_t loop;
    void *zmq;
    uv_timer_t guard;
    bool late;
    char folder[64];
    struct config config; /* the learner's */

    struct link_self learner_self;
    struct link_server learner;
    struct link_route shard_route;
    struct heard learner_heard;
    struct wire_spec spec; /* told in Welcome */
    bool mute;             /* the learner answers nothing */

    struct link_self actor_self;
    struct link_client actor;
    struct heard actor_heard;
    uint64_t wake_seq; /* sent again on Room */

    struct shard shard;
    bool ended;
};

/* From the learner to the shard. */
void shard_world_to_shard(struct shard_world *w,
                          const struct wire_message *message);

/* From the actor: batch seq of n rows, all of that reward. */
void shard_world_insert(struct shard_world *w, uint64_t seq, size_t n,
                        float reward);

/* For WAIT: it took too long. */
void shard_world_on_guard(uv_timer_t *timer);

/* The actor joins the shard, with w->actor.keys. */
void shard_world_start_actor(struct shard_world *w);

/* Run for so long, when it is that nothing happens. */
void shard_world_let_pass(struct shard_world *w, uint64_t ms);

/* Bind the learner of that run; asserts that it can be. */
void shard_world_start_learner(struct shard_world *w, uint64_t run);

/* As if killed: nothing is said, the address is free again. */
void shard_world_stop_learner(struct shard_world *w);

/* Start the shard, which joins the learner when that is there. */
void shard_world_start_shard(struct shard_world *w);

/* The loop and the context, and their end, which asserts that no handle is
 * left. */
void shard_world_open_loop(struct shard_world *w);
void shard_world_close_loop(struct shard_world *w);

/* For cmocka: *state is a world of which nothing runs yet; and its end. */
int shard_world_make(void **state);
int shard_world_end(void **state);

/* Learner, shard, actor; the shard is listed. */
struct shard_world *shard_world_listed(void **state);

/* Grant that much and wait until the shard knows. */
void shard_world_grant(struct shard_world *w, uint64_t store_until);

/* Run the loop until it is so; 5 s are late. */
#define WAIT(w, condition)                                                  \
    do {                                                                    \
        (w)->late = false;                                                  \
        uv_timer_start(&(w)->guard, shard_world_on_guard, 5000, 0);         \
        while (!(condition) && !(w)->late) uv_run(&(w)->loop, UV_RUN_ONCE); \
        if (!(condition)) fail_msg("never came: %s", #condition);           \
    } while (0)

#endif
