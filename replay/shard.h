#ifndef REPLAY_SHARD_H
#define REPLAY_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "common/batch.h"
#include "common/config.h"
#include "common/rng.h"
#include "proto/link.h"
#include "proto/wire.h"
#include "replay/import.h"
#include "replay/ring.h"
#include "replay/waiting.h"

/*
 * One replay shard on a libuv loop: a ring behind two sockets.
 *
 *   shard.c      actors' side: Insert, Status; grants, Busy and Room; msync
 *   join.c       learner's side: Hello to Go, Sample, heartbeats, its absence
 *   importing.c  rows of other runs, taken in slices
 *
 * Hello -> Welcome -> (Topology with the spec) -> ring open -> (import) ->
 * ShardReady -> Go. It says Hello again to a learner that started again or
 * forgot it, and stops by itself (on_end) when told to, refused, or orphaned.
 */
enum shard_state {
    SHARD_ALONE,    /* Hello is on its way, or there is no address yet */
    SHARD_WELCOMED, /* waits for the spec, which the first actor brings; then
                     * imports */
    SHARD_READY,    /* ShardReady is on its way */
    SHARD_LISTED,   /* actors and samples may come */
};

struct shard {
    /* for the owner */
    struct config config; /* as given; then with the learner's shared options */
    void (*on_end)(struct shard *shard); /* once: close the loop's handles */
    void *data;
    int status;       /* enum exit_status, valid in on_end and after */
    struct ring ring; /* read-only; zero until the spec is known */
    enum shard_state state;
    struct wire_counters counters; /* stored ... store_until: shard_count() */

    /* private */
    uv_loop_t *loop;
    void *zmq;
    bool ended;
    struct link_self self;

    struct guard guard;              /* before every socket, and after it */
    struct link_server server;       /* actors */
    char endpoint[WIRE_ADDRESS_LEN]; /* where they reach it */
    char path[CONFIG_PATH_LEN + 64]; /* the ring's file */
    struct rng rng;                  /* for sampling, but in lockstep */
    struct waiting waiting;
    size_t reserved; /* connections that there is memory for */

    uint64_t store_until; /* the grant: rows ever stored never pass it */
    uint64_t half;        /* stored up to here, the learner is told at once */

    struct link_client *learner; /* owned; NULL until an address is known */
    char address[WIRE_ADDRESS_LEN];
    char obstacle[400]; /* what it waits for, in words */
    uint64_t learner_incarnation, topology_version;
    uint64_t looked_ms, asked_ms, beat_ms, ticked_ms; /* uv_now() of the last */
    uint64_t heard_ms, silent_ms, absent_ms, said_ms;

    uv_timer_t tick, soon;
    uv_work_t sync;
    bool syncing;
    int sync_rc;
    uint64_t synced_ms, synced, sync_failed_ms; /* synced: stored at the last */

    struct import import;
    bool importing;   /* not ready yet */
    uv_idle_t slices; /* while there is something to copy */
    uv_work_t record; /* then */
    int record_rc;
    uint64_t import_ms, import_said_ms; /* uv_now() of begin and last line */
};

/*
 * Bind and begin to join. shard is zeroed but for config, on_end and data.
 * Returns 0, or an exit status after one log line; either way the caller closes
 * the loop's handles sometime, runs the loop until it is empty, then calls
 * shard_finish().
 */
int shard_start(struct shard *shard, uv_loop_t *loop, void *zmq);

/* Stop for this reason; later calls change nothing. why: one line, or
 * NULL when it was logged already. */
void shard_end(struct shard *shard, int status, const char *why);

/* msync and free everything; the loop's handles are closed. */
void shard_finish(struct shard *shard);

/* ---- between shard.c and join.c ---- */

/* Open the ring for this spec. 0, or an exit status after one log line. */
int shard_open(struct shard *shard, const struct wire_spec *spec);

/* Rows ever stored may now reach store_until, also downwards: wake who waits.
 */
void shard_grant(struct shard *shard, uint64_t store_until);

/* counters, up to date. */
const struct wire_counters *shard_count(struct shard *shard);

/*
 * config.import: open its rings and refuse what cannot be, before a ring of
 * ours is made for want; if one is there, importing_start() does. 0, or an exit
 * status after one log line.
 */
int importing_check(struct shard *shard, const struct ring_spec *want);
/*
 * Our ring is open: copy what it lacks, in slices. Sets importing, unless there
 * is nothing to import or RUN/replay/shard-<index>.imported says that all of it
 * was: then the other runs may be gone, or live. As above.
 */
int importing_start(struct shard *shard);

/* Is there somewhere to join? 0, or EXIT_REFUSED after one log line. */
int join_check(const struct config *config);
int join_start(struct shard *shard);
void join_tick(struct shard *shard);
/* The import is complete: ShardReady may go. */
void join_imported(struct shard *shard);
/* Counters go to the learner now. */
void join_beat(struct shard *shard);
void join_finish(struct shard *shard);

#endif
