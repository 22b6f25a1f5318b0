#ifndef REPLAY_IMPORT_H
#define REPLAY_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "replay/dataset.h"
#include "replay/ring.h"

/*
 * Copies the transitions in the rings of other runs, and those of .npz files
 * (dataset.h), into one ring of ours, a block at a time. Pure storage: no
 * sockets, no clock.
 *
 * Block k of a source ring is its rows of the numbers from k * IMPORT_BLOCK *
 * shards on, so many. Shard i of ours takes those whose number mod shards is i,
 * as the batch (IMPORT_ACTOR, id of the source ring, k * shards + i): its
 * ring's own memory of batches then says what is there, also after a kill in
 * the middle. A block that is there stays as it is, should its source have
 * grown since. Flags and policy versions are copied as they are. A source is
 * opened under a shared lock, so a ring that a live shard holds is refused, and
 * no shard can open one that is being read. A file is to us a ring whose rows
 * have the numbers from 0 on, and whose id is that of its content.
 */
enum { IMPORT_BLOCK = 256 }; /* rows of a batch, at most */

/* The actor of imported rows: the ranks of names are counted from 0. */
#define IMPORT_ACTOR UINT64_MAX

/* Where the rows go. */
struct import_place {
    struct ring_spec spec;  /* of our ring */
    uint64_t shards, index; /* of our run; this shard; index < shards <= 256 */
};

struct import_source {
    char *path;              /* owned */
    uint64_t id;             /* of the ring, or of the file's content */
    uint64_t oldest, stored; /* rows have numbers of [oldest, stored) */
    struct ring ring;        /* zeroed: a file */
    struct dataset dataset;  /* zeroed: a ring */
};

struct import {
    uint64_t total;   /* rows to be in our ring at the end */
    uint64_t there;   /* of them before the import began */
    uint64_t copied;  /* by this import */
    uint64_t dropped; /* damaged or unfinished rows of the sources */
    size_t n;         /* sources */

    /* private */
    struct import_place place;
    struct import_source *sources; /* (n) */
    size_t at;                     /* the source being copied */
    uint64_t block;
    struct batch batch;
};

/*
 * Open all rings RUN/replay/shard-*.ring of runs and all files of from,
 * "RUN:FILE.npz...", and count what is to be taken, before a ring of ours is
 * made. Returns 0 or a negative errno, nothing to close then, with one line in
 * why (n bytes): -ENOENT no such run or file, or a run without rings; -ENODATA
 * no row in any; -EWOULDBLOCK a live shard has one; -EINVAL of another shape,
 * of our own run, or named twice; -ENOSPC the rows of all shards need a larger
 * replay_size, -ENOMEM, or as ring_open_read() and dataset_open().
 */
int import_open(struct import *import, const char *from,
                const struct import_place *place, char *why, size_t n);

/*
 * Look at what is in our ring already (borrowed, not changed). -ENOSPC: the
 * rest would drive out rows that it holds; why as above.
 */
int import_begin(struct import *import, const struct ring *ring, char *why,
                 size_t n);

/* Nothing is left to copy. */
bool import_done(const struct import *import);

/*
 * Copy the next block, unless it is there. While not import_done(). Returns 0,
 * -EDOM (a source holds a number that is not finite) or -ENOMEM, why as above.
 */
int import_step(struct import *import, struct ring *ring, char *why, size_t n);

/* A zeroed import may be closed. */
void import_close(struct import *import);

#endif
