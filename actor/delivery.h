#ifndef ACTOR_DELIVERY_H
#define ACTOR_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "actor/window.h"
#include "common/batch.h"
#include "common/config.h"
#include "common/histogram.h"
#include "common/ledger.h"
#include "proto/link.h"
#include "proto/wire.h"

/*
 * Gets batches to the replay shards (DESIGN.md, sections 3 and 4): round-robin
 * over the shards that the learner lists, each one asked again until it
 * answers, moved only when the topology calls its shard dead. Sockets; one
 * thread, the loop's.
 */
struct delivery_peer;

struct delivery_shard {
    uint32_t index;
    uint64_t incarnation;
    bool listed, dead, seen;
    char address[WIRE_ADDRESS_LEN],
        key[WIRE_KEY_LEN]; /* key: public, "" none */
    struct complaint complaint;
    struct delivery_peer *peer; /* NULL: no connection could be made */
};

struct delivery {
    /* read-only */
    struct window window;
    uint64_t acknowledged; /* rows stored */
    uint64_t busy;         /* Busy answers */
    uint64_t stale;        /* batches refused as older than the shard's mask */
    uint64_t bad;          /* messages refused by validation, closed links */
    /* microseconds from first sent to Inserted; the owner may empty it */
    struct histogram inserts;
    size_t n;              /* shards ever heard of */
    size_t listed;

    /* room was made, or a shard was listed */
    void (*on_room)(struct delivery *delivery);
    /* the process must end with this status; the reason is logged */
    void (*on_fatal)(struct delivery *delivery, int status);
    void *data;

    /* private */
    uv_loop_t *loop;
    void *zmq;
    struct link_self *self;
    const struct keys *keys;
    uint64_t rank, resend_ms;
    struct ledger ledger;
    size_t turn; /* round-robin */
    struct wire_spec spec;
    uint64_t rows;
    struct delivery_shard shards[WIRE_MAX_SHARDS];
};

/*
 * The callbacks and data are set by the caller before. keys: ours, of no folder
 * for none; borrowed. rows: the most of a
 * batch. Returns 0 or a negative errno, logged (-ENOMEM; the ledger cannot be
 * opened).
 */
int delivery_start(struct delivery *delivery, uv_loop_t *loop, void *zmq,
                   struct link_self *self, const struct keys *keys,
                   const struct config *config, uint64_t rank, size_t rows,
                   const struct wire_spec *spec);

/* The learner's newest word on the shards. */
void delivery_topology(struct delivery *delivery,
                       const struct wire_topology *topology);

/* May a batch be pushed, and is there a shard to take it? */
bool delivery_has_room(const struct delivery *delivery);

/* Send rows [from, from + n) of src as the next batch. Needs room. */
void delivery_push(struct delivery *delivery, const struct batch *src,
                   size_t from, size_t n);

/* Ask again what was not answered in time. Call some times a second. */
void delivery_tick(struct delivery *delivery);

/* After uv_run() returned and all handles were closed. linger in ms. A zeroed
 * delivery may be finished. */
void delivery_finish(struct delivery *delivery, int linger);

#endif
