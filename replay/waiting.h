#ifndef REPLAY_WAITING_H
#define REPLAY_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "proto/route.h"

/*
 * Who was told Busy and is to hear Room, first come first served. Pure
 * bookkeeping in a fixed place: whoever finds it full is not remembered and
 * asks again after a second anyway.
 */
enum { WAITING_MOST = 1024 };

struct waiting {
    size_t n;
    struct waiting_peer {
        struct link_route route;
        uint64_t first;    /* rows of the batch it will ask for first */
        uint64_t rows;     /* of all its batches that were told Busy */
        uint64_t highest;  /* the newest of them: a seq asked again adds none */
    } peers[WAITING_MOST]; /* (n) oldest first */
};

/* A batch of this connection was told Busy. */
void waiting_add(struct waiting *waiting, const struct link_route *route,
                 uint64_t seq, uint64_t rows);

/*
 * There is room for so many rows: wake those it is for, and forget them, up to
 * the first whose batch does not fit: it would only be told Busy again, and
 * lose its place. wake returns 0, or an error when the peer is gone, whose share
 * is then the next one's.
 */
void waiting_wake(struct waiting *waiting, uint64_t room,
                  int (*wake)(void *data, const struct link_route *route),
                  void *data);

#endif
