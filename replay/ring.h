#ifndef REPLAY_RING_H
#define REPLAY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"

/*
 * Transitions in a memory-mapped file (DESIGN.md, section 4): a 4 KiB header
 * written once, then self-describing rows. Row number n lives in slot
 * n mod capacity. Pure storage: no sockets, no clock.
 */
struct rng;

struct ring_spec {
    uint64_t run;      /* run id */
    uint64_t capacity; /* rows */
    uint32_t S, A;
};

struct ring {
    struct ring_spec spec; /* read-only */
    uint64_t id;           /* ring id: random, made with the file */
    uint64_t stored;       /* rows ever stored = next row number */
    uint64_t present;      /* rows that can be sampled: [stored - present, stored) */
    size_t row_bytes;
    struct ring_private *private;
};

/*
 * Open path, creating it (posix_fallocate, header, fsync) when missing; scan all rows; lock it.
 * Returns 0 or a negative errno with one line in why (n bytes): -EWOULDBLOCK
 * another process has it, -EBADMSG not a ring or cut, -EINVAL of another run
 * or shape, -ENOSPC. dropped (may be NULL): rows found damaged or unfinished.
 */
int ring_open(struct ring *ring, const char *path, const struct ring_spec *spec,
              uint64_t *dropped, char *why, size_t n);
void ring_close(struct ring *ring);

enum ring_verdict { RING_STORED, RING_DUPLICATE, RING_STALE };

/*
 * Store a whole batch (actor, epoch, seq), unless it is there already
 * (RING_DUPLICATE) or its seq is below the mask of the last 64 (RING_STALE).
 * rows: shape (S, A) of the ring, 1 to capacity rows, all finite (asserted).
 * When it returns RING_STORED the rows survive kill -9.
 */
enum ring_verdict ring_insert(struct ring *ring, uint64_t actor,
                              uint64_t epoch, uint64_t seq,
                              const struct batch *rows);

/* n rows, uniform with replacement, appended to out. present > 0. */
void ring_sample(const struct ring *ring, struct rng *rng, size_t n,
                 struct batch *out);

/* Row by number, for tests and tools; false when not present. */
struct ring_row {
    uint64_t number, actor, epoch, seq;
    uint32_t index;
    bool last;
};
bool ring_row(const struct ring *ring, uint64_t number, struct ring_row *row,
              struct batch *out);

/* msync; may run on another thread while the owner goes on. 0 or -errno. */
int ring_sync(const struct ring *ring);

#endif
