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
    uint64_t oldest;       /* no row below this number is present */
    uint64_t present;      /* rows of [oldest, stored) that can be sampled: all
                            * but those found damaged at open */
    size_t row_bytes;
    struct ring_private *private;
};

/*
 * Open path, creating it (posix_fallocate, header, fsync) when missing; scan
 * all rows; lock it. Returns 0 or a negative errno with one line in why
 * (n bytes): -EWOULDBLOCK another process has it, -EBADMSG not a ring or cut,
 * -EINVAL of another run or shape, -ENOSPC (nothing is left behind). dropped
 * (may be NULL): rows found damaged or unfinished.
 */
int ring_open(struct ring *ring, const char *path, const struct ring_spec *spec,
              uint64_t *dropped, char *why, size_t n);

/*
 * Look at a ring file, of any run and shape, in use or not: no lock, and the
 * file is not changed. For ring_sample(), ring_row() and ring_read() only; rows
 * written after the call are not seen. Errors as ring_open(), -ENOENT too.
 */
int ring_open_read(struct ring *ring, const char *path, uint64_t *dropped,
                   char *why, size_t n);

/*
 * As ring_open_read(), but nobody writes to the file until ring_close(): a
 * shared lock. -EWOULDBLOCK: a shard has it.
 */
int ring_open_shared(struct ring *ring, const char *path, uint64_t *dropped,
                     char *why, size_t n);

/* A zeroed ring may be closed. */
void ring_close(struct ring *ring);

enum ring_verdict {
    RING_STORED,
    RING_DUPLICATE,
    RING_STALE,
    RING_NO_MEMORY /* for one more (actor, epoch); nothing stored, ask again */
};

/* What ring_insert() would say now (but for memory); changes nothing. */
enum ring_verdict ring_would(const struct ring *ring, uint64_t actor,
                             uint64_t epoch, uint64_t seq);

/*
 * Store a whole batch (actor, epoch, seq), unless it is there already
 * (RING_DUPLICATE) or its seq is below the mask of the last 64 (RING_STALE).
 * An (actor, epoch) none of whose rows are left in the ring is forgotten.
 * rows: shape (S, A) of the ring, 1 to capacity rows, all finite (asserted).
 * When it returns RING_STORED the rows survive kill -9.
 */
enum ring_verdict ring_insert(struct ring *ring, uint64_t actor, uint64_t epoch,
                              uint64_t seq, const struct batch *rows);

/* n rows, uniform with replacement, into out (of the ring's shape). present >
 * 0.
 */
void ring_sample(const struct ring *ring, struct rng *rng, size_t n,
                 const struct batch_columns *out);

/*
 * Row by number, for tests and tools; false when not present. out (may be
 * NULL): the transition is appended.
 */
struct ring_row {
    uint64_t number, actor, epoch, seq;
    uint32_t index;
    bool last;
};
bool ring_row(const struct ring *ring, uint64_t number, struct ring_row *row,
              struct batch *out);

/*
 * The same for a ring that another process writes to (ring_open_read()): the
 * row is copied to scratch (row_bytes) and its sum is that of the copy. False
 * as well when another row has taken its slot, or is about to.
 */
bool ring_read(const struct ring *ring, uint64_t number, void *scratch,
               struct ring_row *row, struct batch *out);

/*
 * A number of the caller's with an (actor, epoch), 0 at first: it is not in the
 * file and goes with the pair. Valid until the next insert; NULL: none of its
 * rows is in the ring.
 */
uint64_t *ring_owner(const struct ring *ring, uint64_t actor, uint64_t epoch);

/* (actor, epoch) pairs whose batches are remembered. */
size_t ring_pairs(const struct ring *ring);

/* msync; may run on another thread while the owner goes on. 0 or -errno. */
int ring_sync(const struct ring *ring);

/*
 * From now on a SIGBUS (the file was cut, or its disk failed) prints path and
 * ends the process with EXIT_CRASH. path is borrowed for the process's life.
 */
void ring_guard(const char *path);

#endif
