#ifndef LEARNER_TRAINER_H
#define LEARNER_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/config.h"
#include "learner/algorithm.h"
#include "learner/checkpoint.h"
#include "learner/origin.h"

/*
 * The thread that owns all learning state. Jobs go in by a bounded queue and
 * come out, in order, as results; the loop never touches the algorithm.
 */
struct trainer;

enum trainer_kind {
    TRAINER_UPDATE,     /* one update on rows */
    TRAINER_PARAMETERS, /* a copy of the policy to act with */
    TRAINER_CHECKPOINT, /* a copy of everything */
};

struct trainer_job {
    enum trainer_kind kind;
    const struct batch *rows; /* UPDATE: lent until its result */
    void *data;               /* handed back in the result */
};

struct trainer_result {
    enum trainer_kind kind;
    int error;        /* 0, -EDOM (what says of what), -ENOMEM */
    const char *what; /* static storage */
    void *data;       /* the job's */
    uint64_t updates; /* done when the job was */
    double seconds;   /* it took */
    struct algorithm_figures figures; /* UPDATE */
    struct policy *policy;         /* PARAMETERS: malloc'ed, the receiver's */
    struct checkpoint *checkpoint; /* CHECKPOINT: the receiver's; its
                                      learning part and counters are filled */
};

enum { TRAINER_QUEUE = 16 }; /* jobs not yet taken back as results, at most */

/*
 * How many workers to use: config->threads, or when that is 0 one a core and
 * at most one for 16 states. parallel: OpenBLAS may be called by several
 * threads. 0: more were asked for than may be used.
 */
size_t trainer_threads(const struct config *config, bool parallel);

/*
 * Create the algorithm, load what it begins from (borrowed for the call), start
 * the thread. wake is called on that thread whenever a result waits. Returns 0,
 * -ENOMEM, -EAGAIN (no thread), or -EINVAL with one line in why (n bytes): the
 * checkpoint does not fit.
 */
int trainer_start(struct trainer **out, const struct config *config, size_t S,
                  size_t A, size_t threads, const struct origin *origin,
                  void (*wake)(void *data), void *data, char *why, size_t n);

/* Could a trainer go on from this checkpoint? 0, -ENOMEM or -EINVAL as
 * trainer_start(). */
int trainer_check(const struct config *config,
                  const struct checkpoint *checkpoint, char *why, size_t n);

/* Jobs that can be submitted now. */
size_t trainer_room(const struct trainer *trainer);
void trainer_submit(struct trainer *trainer, const struct trainer_job *job);
/* The next result; false: none waits. */
bool trainer_next(struct trainer *trainer, struct trainer_result *result);

/* The most floats of a policy, for message sizes. */
size_t trainer_parameters(const struct trainer *trainer);

/* End the thread after the job at hand, drop the others, free. NULL is fine. */
void trainer_stop(struct trainer *trainer);

#endif
