#ifndef REPLAY_DEDUP_H
#define REPLAY_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which batches a ring holds: for each (actor, epoch) the highest seq and a
 * mask of the last 64 (bit i: seq highest - i is stored).
 *
 * Bounded: each pair counts its rows in the ring and is forgotten with the
 * last of them, so there are never more pairs than rows, and none that a scan
 * of the file would not find again. An open-addressed table, at most half
 * full, that doubles as pairs come.
 */
struct dedup_pair {
    uint64_t actor, epoch;
    uint64_t rows;          /* present in the ring; 0: the place is free */
    uint64_t highest, mask; /* mask 0: no seq known yet */
    uint64_t owner;         /* for the caller; 0 at first */
};

struct dedup {
    struct dedup_pair *pairs; /* (size) owned */
    size_t size, used;        /* size: a power of two */
};

enum dedup_verdict { DEDUP_NEW, DEDUP_DUPLICATE, DEDUP_STALE };

/* Returns 0 or -ENOMEM. A zeroed one may be finished. */
int dedup_init(struct dedup *dedup);
void dedup_finish(struct dedup *dedup);

enum dedup_verdict dedup_check(const struct dedup *dedup, uint64_t actor,
                               uint64_t epoch, uint64_t seq);

/* n >= 1 more rows of a pair. Returns 0 or -ENOMEM (nothing changed). */
int dedup_add(struct dedup *dedup, uint64_t actor, uint64_t epoch, uint64_t n);

/*
 * n rows of a pair are gone; the pair too if they were its last. An unknown
 * pair is ignored, and so is what it never had: the name comes from the file,
 * which others may have changed.
 */
void dedup_drop(struct dedup *dedup, uint64_t actor, uint64_t epoch,
                uint64_t n);

/* Where a pair's owner stands, until the next call that adds or drops; NULL: an
 * unknown pair. */
uint64_t *dedup_owner(const struct dedup *dedup, uint64_t actor,
                      uint64_t epoch);

/* The batch is whole. In any order; the pair is known. */
void dedup_mark(struct dedup *dedup, uint64_t actor, uint64_t epoch,
                uint64_t seq);

#endif
