#ifndef REPLAY_EXTRACT_H
#define REPLAY_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "replay/npz_write.h"
#include "replay/ring.h"

/*
 * All rows of a run's rings as numpy arrays in one .npz file, shard after
 * shard, each in the order of its rows' numbers:
 *
 *   observations (N, S) f4   actions (N, A) f4   rewards (N) f4
 *   next_observations (N, S) f4   terminals (N) bool   truncations (N) bool
 *   actor, epoch, seq (N) u8   index (N) u4   version (N) u8   shard (N) u4
 *
 * Whether the run lives or has ended: no ring is locked or changed, and rows
 * that are overwritten meanwhile are left out, as their sums show. Pure
 * storage: no sockets, no clock.
 */
struct extract_source {
    char *path; /* owned */
    uint32_t shard;
    struct ring ring;
};

struct extract {
    uint64_t total;    /* rows when the rings were opened */
    uint64_t done;     /* of them looked at */
    uint64_t left_out; /* rows damaged, unfinished or overwritten meanwhile */
    uint64_t rows, bytes; /* of the file; bytes: once finished */
    size_t n;             /* rings */

    /* private */
    struct extract_source *sources; /* (n) */
    size_t at;                      /* the ring being read */
    uint64_t number;                /* of its next row */
    struct batch row;               /* one */
    void *scratch;
    struct npz_write out;
    bool writing;
};

/*
 * Open the rings of run and begin PATH.tmp. Returns 0 or a negative errno,
 * nothing to close then, with one line in why (n bytes): -ENOENT no such run,
 * or one without rings; -ENODATA no row in any; -EINVAL rings of several runs
 * or shapes; the errors of path; or as ring_open_read().
 */
int extract_open(struct extract *extract, const char *run, const char *path,
                 char *why, size_t n);

/* Every row was looked at. */
bool extract_done(const struct extract *extract);

/* The path of the ring that the next step reads. While not extract_done(). */
const char *extract_path(const struct extract *extract);

/* Some thousand rows. While not extract_done(). */
void extract_step(struct extract *extract);

/* PATH is there, whole. 0, or a negative errno with why as above; closed either
 * way. Once extract_done(). */
int extract_finish(struct extract *extract, char *why, size_t n);

/* In the place of extract_finish(). A zeroed one may be closed. */
void extract_close(struct extract *extract);

#endif
