#ifndef LEARNER_SAVER_H
#define LEARNER_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "learner/limiter.h"

/*
 * What the learner keeps on disk while it runs: RUN/state and checkpoints,
 * both written on libuv's pool, one of each at a time. A disk that fills never
 * stops the training: warned, and tried again.
 */
struct learner;
struct checkpoint;

struct saver {
    /* RUN/state */
    bool state_wanted, state_busy;
    uint64_t state_due_ms;  /* after a failure: not before, unasked */
    uint64_t state_next_ms; /* after a long text: not before, even asked */
    size_t state_names;     /* ranks that are on disk */
    size_t writing_names;   /* in the text being written */
    char *text;
    size_t len;
    uv_work_t state_work;
    int state_rc;

    /* checkpoints */
    bool asked, busy, last;   /* of the trainer; of the pool; the run's last */
    struct limiter_base base; /* when it was asked */
    uint64_t due_ms;
    uint64_t
        multiples; /* of checkpoint_every that a checkpoint was asked for */
    struct checkpoint *checkpoint;
    uv_work_t checkpoint_work;
    int checkpoint_rc;
    int last_rc;              /* of the last one written or not, for the loop */
    uint64_t written, failed; /* counters */
    uint64_t newest;          /* updates of the last one on disk */
};

/* RUN/state changed: write it soon. */
void saver_state(struct learner *learner);

/* Ask the trainer for a checkpoint, unless one is under way. */
void saver_ask(struct learner *learner);
/* The run stands at the updates of a checkpoint, or at 0. */
void saver_resumed(struct learner *learner);
/* Updates were handed over: ask for the checkpoint that checkpoint_every wants
 * of them. One that is under way delays it, so it may come a little later. */
void saver_passed(struct learner *learner);
/* The trainer's copy came (taken over), NULL: it had no memory for one. */
void saver_write(struct learner *learner, struct checkpoint *checkpoint);
/* The run ends: write a last checkpoint after whatever is under way, then call
 * learner_farewell(). */
void saver_last(struct learner *learner);
/* A checkpoint is asked for or being written. */
bool saver_busy(const struct learner *learner);

/* Each tick: checkpoints that are due, states that failed. */
void saver_tick(struct learner *learner, uint64_t now_ms);

#endif
