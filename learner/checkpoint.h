#ifndef LEARNER_CHECKPOINT_H
#define LEARNER_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/tensors.h"
#include "learner/limiter.h"

/*
 * Everything a learner goes on from, as one safetensors file:
 * RUN/checkpoints/<generation>-<updates>.safetensors (10 and 12 digits, so
 * that names sort by age). It holds no time, host, path or random id.
 */
struct checkpoint_counters {
    uint64_t generation, updates;
    uint64_t rng_counter; /* of the updates' noise */
    struct limiter_base limiter;
};

struct checkpoint {
    char task[CONFIG_NAME_LEN];
    char algorithm[16]; /* "sql" */
    uint64_t S, A, units;
    struct checkpoint_counters counters;
    struct tensors tensors; /* the learning state, by name */
    void *copy;             /* private: set when the tensors are our own copy */
};

/* A copy of named tensors; task, algorithm, dims and counters are the caller's
 * to fill. NULL when out of memory. */
struct checkpoint *checkpoint_copy(const struct tensors_entry *entries,
                                   size_t n);
void checkpoint_free(struct checkpoint *checkpoint); /* NULL is fine */

/*
 * Write it, then remove all but the newest keep (>= 1) files and, where every
 * is above 0, the first one at or past each of its multiples of updates; over
 * all generations, so that what a resumed run repeats is not kept twice.
 * Blocking: call it from libuv's pool. Returns 0 or a negative errno.
 */
int checkpoint_write(const struct checkpoint *checkpoint, const char *run,
                     size_t keep, uint64_t every);

/* 0, -ENOMEM, -errno or -EBADMSG with one line in why (n bytes). */
int checkpoint_read(struct checkpoint **out, const char *path, char *why,
                    size_t n);

/*
 * The newest one that can be read and of which fits (NULL: any will do) says 0;
 * a newer one is warned of. fits: 0, -ENOMEM, or another negative errno with
 * one line in why. When nothing fits it is the newest one that can be read, for
 * the caller to refuse. -ENOENT: there is none at all; -EBADMSG: none is
 * readable; -ENOMEM.
 */
int checkpoint_newest(struct checkpoint **out, const char *run,
                      int (*fits)(const struct checkpoint *checkpoint,
                                  const void *data, char *why, size_t n),
                      const void *data);

/* The generation in the newest file's name, readable or not; 0: no file. */
uint64_t checkpoint_last_generation(const char *run);

#endif
