#ifndef LEARNER_REGISTRY_H
#define LEARNER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/route.h"
#include "proto/wire.h"

/*
 * Who is here (DESIGN.md, section 3): names with their ranks, the connection
 * of each, and the shards with the topology that peers are told. Pure
 * bookkeeping: no sockets, and time comes in as milliseconds that went by.
 *
 * A name keeps its rank for the life of the run. Of two processes with one
 * name the newest incarnation wins: the one whose first Hello came last.
 */
enum {
    REGISTRY_MAX_NAMES = 65536,
    REGISTRY_KEY_NAMES = REGISTRY_MAX_NAMES / 4, /* that one key may have */
    REGISTRY_OLDER = 4,
    REGISTRY_SILENT_MS = 5000,  /* an actor is shown as away */
    REGISTRY_FORGET_MS = 60000, /* and is forgotten */
};

/* What an evaluator was given to play (learner/evaluations.h). */
struct registry_turn {
    uint64_t version; /* 0: nothing */
    uint64_t steps;   /* of the run then */
    double seconds;
};

struct registry_peer {
    char name[WIRE_NAME_LEN];
    char key[WIRE_KEY_LEN]; /* that first used the name; "": none yet */
    uint64_t rank;          /* index in registry.peers */
    bool here;              /* said Hello and was not forgotten since */
    uint64_t incarnation;
    uint64_t older[REGISTRY_OLDER];  /* those it replaced, 0: none */
    unsigned n_older;                /* how often, for the ring of older */
    enum wire_role role;             /* 0: of an old RUN/state, not here yet */
    uint32_t index;                  /* shard */
    char endpoint[WIRE_ADDRESS_LEN]; /* shard: where actors reach it */
    struct link_route route;         /* of the last valid message */
    uint64_t silent_ms;
    /* for the owner: zeroed when an incarnation begins */
    struct registry_progress {
        bool welcomed, ready, wants_parameters;
        uint64_t topology;      /* newest version sent */
        uint64_t episodes_next; /* first episode not yet received */
        struct wire_counters counters;
        struct registry_turn turn; /* evaluator */
    } progress;
};

struct registry_shard {
    uint32_t index;
    uint64_t rank, incarnation; /* the one that was listed */
    char address[WIRE_ADDRESS_LEN];
    enum wire_shard_state state;
    bool remembered; /* from RUN/state; its process has not come back yet */
    uint64_t silent_ms;
    uint64_t ring_id, capacity, present, stored; /* last report */
    uint64_t granted;                            /* last store_until sent */
};

struct registry {
    size_t n_peers;
    struct registry_peer **peers; /* by rank; each owned */
    size_t n_shards;
    struct registry_shard shards[WIRE_MAX_SHARDS];
    struct wire_spec spec; /* zero until known */
    bool model_known;      /* model is what the first actor said */
    uint64_t model;        /* hash of the task's files, 0: none */
    uint64_t topology;     /* version: up with each change */
    /* private */
    size_t room, n_slots;
    uint32_t *slots; /* hash of names: rank + 1, 0 empty */
};

/*
 * Topology versions start at generation << 32, so that a learner that came
 * back is always newer than what peers were told before. 0 or -ENOMEM.
 */
int registry_init(struct registry *registry, uint64_t generation);
void registry_finish(struct registry *registry);

/* A name from RUN/state, in rank order, its role (0: not known) and its key
 * (""). 0, -ENOMEM, -EEXIST, -ENOSPC. */
int registry_known_name(struct registry *registry, const char *name,
                        enum wire_role role, const char *key);

/*
 * A shard from RUN/state, after the names: actors may still wait for its
 * answers. It is in the topology as listed, serves nobody, and is declared
 * dead unless it is listed anew in time. 0, -EEXIST (its index), -EINVAL (no
 * such rank), -ENOSPC.
 */
int registry_known_shard(struct registry *registry,
                         const struct wire_shard *known, uint64_t rank);

/*
 * Is the name this key's? A name belongs to the key that first used it; a
 * name that nobody or nobody with a key has used yet is anybody's, and key ""
 * (a run served without keys) is not asked.
 */
bool registry_name_is(const struct registry *registry, const char *name,
                      const char *key);

/* Whose the name is; "": nobody's. Borrowed. */
const char *registry_name_key(const struct registry *registry,
                              const char *name);

/* It is nobody's again. */
void registry_free_name(struct registry *registry, const char *name);

/* Is this a new name, and has the key REGISTRY_KEY_NAMES already? Names stay
 * for the life of the run: nobody may use them up for all. */
bool registry_key_full(const struct registry *registry, const char *name,
                       const char *key);

/* The name is this key's from now on, if it is nobody's yet. true: it was
 * not. */
bool registry_bind_name(struct registry_peer *peer, const char *key);

enum registry_verdict {
    REGISTRY_NEW,     /* first Hello of an incarnation: it is in charge now */
    REGISTRY_AGAIN,   /* a repeated Hello */
    REGISTRY_OLD,     /* a newer incarnation has taken the name */
    REGISTRY_UNKNOWN, /* not a Hello, and nothing is known of the sender */
    REGISTRY_CURRENT, /* not a Hello, from the incarnation in charge */
    REGISTRY_FULL,    /* too many names */
};

/*
 * A valid message came. Sets *peer (borrowed, stable; NULL with UNKNOWN and
 * FULL), remembers the route and breaks the silence where it is in charge.
 */
enum registry_verdict registry_heard(struct registry *registry,
                                     const struct wire_message *message,
                                     const struct link_route *from,
                                     struct registry_peer **peer);

/*
 * The shard's ring is open: list it under its index, in place of whoever had
 * that index. Raises the topology version unless nothing changed. Returns its
 * entry (borrowed until the next call), NULL when there are WIRE_MAX_SHARDS.
 */
struct registry_shard *registry_list(struct registry *registry,
                                     const struct registry_peer *peer,
                                     const struct wire_shard_ready *ready);

/* The peer's listed or dead entry; NULL if this incarnation has none. */
struct registry_shard *registry_shard_of(struct registry *registry,
                                         const struct registry_peer *peer);

/* Whoever else serves under this shard's index; NULL: nobody does. */
const struct registry_peer *registry_rival(const struct registry *registry,
                                           const struct registry_peer *peer);

/* Listed, and the process that was listed is still the one in charge. */
bool registry_serves(const struct registry *registry,
                     const struct registry_shard *shard);
/* In a word: "listed", "dead", or "returning" (listed, but its process is not
 * back yet). */
const char *registry_shard_word(const struct registry *registry,
                                const struct registry_shard *shard);

/* Fix (obs_dim, act_dim). Raises the topology version. */
void registry_fix_spec(struct registry *registry, struct wire_spec spec);

/*
 * Is an actor's task the run's, as far as that is known? false: why (n bytes)
 * says in one line what differs. task: its name.
 */
bool registry_fits(const struct registry *registry, const char *task,
                   const struct wire_ready *ready, char *why, size_t n);

/* Who is ready before any actor was, and is none, has to ask again: the shape
 * is not known yet, and only an actor brings it. */
bool registry_too_early(const struct registry *registry, enum wire_role role);

/* Of a task that fits: what was not known yet is from now on, if an actor says
 * so. true: something was not. */
bool registry_fix_task(struct registry *registry, enum wire_role role,
                       const struct wire_ready *ready);

/* The model's hash from RUN/state. -EEXIST: it is known. */
int registry_known_model(struct registry *registry, uint64_t model);

/*
 * elapsed_ms of our own loop's time went by: shards silent for dead_ms are
 * declared dead (true if any), other peers are forgotten after forget_ms.
 */
bool registry_tick(struct registry *registry, uint64_t elapsed_ms,
                   uint64_t dead_ms, uint64_t forget_ms);

/* What peers are told; shards (WIRE_MAX_SHARDS) is the caller's. */
struct wire_topology registry_topology(const struct registry *registry,
                                       struct wire_shard *shards);

/* Peers of the same role with a lower rank, here or not: which actor this is of
 * all. Stays as long as no lower rank changes its role. */
uint64_t registry_ordinal(const struct registry *registry,
                          const struct registry_peer *peer);

/* Peers of a role that are here; quiet_ms: only those heard since then. */
size_t registry_count(const struct registry *registry, enum wire_role role,
                      uint64_t quiet_ms);
/* Shards that serve. */
size_t registry_listed(const struct registry *registry);

#endif
