#ifndef REPLAY_WAITING_H
#define REPLAY_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/route.h"

/*
 * Who was told Busy and is to hear Room, first come first served. Pure
 * bookkeeping in a fixed place; the caller passes the time in ms.
 *
 * Room is kept for those that heard of it until they came for it, at most
 * WAITING_KEEP_MS: everyone asks again after a second anyway, and of hundreds
 * that do somebody always comes sooner than the one who was woken. A turn is what
 * the peer waited with when it was first woken; what it is told Busy for
 * meanwhile is its next turn, behind all others. Whoever finds the list full is
 * not remembered.
 */
enum { WAITING_MOST = 1024, WAITING_KEEP_MS = 1000 };

struct waiting {
    size_t n;
    size_t woken; /* the first so many heard Room and have not come yet */
    struct waiting_peer {
        struct link_route route;
        uint64_t first;    /* rows of the batch it will ask for first */
        uint64_t rows;     /* of the batches of its turn that are not stored */
        uint64_t later;    /* rows told Busy since its turn began */
        uint64_t highest;  /* the newest of all: a seq asked again adds none */
        uint64_t woken_ms; /* of those woken */
        bool begun;        /* its turn: it was woken before, woken now or not */
    } peers[WAITING_MOST]; /* (n) oldest first */
};

/* A batch of this connection was told Busy. */
void waiting_add(struct waiting *waiting, const struct link_route *route,
                 uint64_t seq, uint64_t rows);

/*
 * There is room for so many rows: wake those it is for, up to the first whose
 * batch does not fit: it would only be told Busy again. wake returns 0, or an
 * error when the peer is gone, whose share is then the next one's.
 */
void waiting_wake(struct waiting *waiting, uint64_t room, uint64_t now_ms,
                  int (*wake)(void *data, const struct link_route *route),
                  void *data);

/*
 * May this connection have so many rows of room, before those who wait? It may
 * when it was woken, or when nobody waits to be and the room is not kept for
 * others.
 */
bool waiting_may(struct waiting *waiting, const struct link_route *route,
                 uint64_t rows, uint64_t room, uint64_t now_ms);

/* They were stored for it. */
void waiting_stored(struct waiting *waiting, const struct link_route *route,
                    uint64_t rows);

#endif
