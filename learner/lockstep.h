#ifndef LEARNER_LOCKSTEP_H
#define LEARNER_LOCKSTEP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/batch.h"
#include "learner/registry.h"
#include "proto/wire.h"

/*
 * Lockstep (DESIGN.md, section 4): actor, shard and learner take strict turns,
 * so that a run repeats bit for bit. The actor's GetParameters(round) hands us
 * the turn; with n rows stored we make
 *
 *   floor(ratio * max(0, n - warmup)) - updates
 *
 * updates, one by one, and answer it. Neither prefetch nor limiter nor a clock
 * takes part: asking again after resend_after changes nothing.
 */
struct learner;

enum lockstep_phase {
    LOCKSTEP_IDLE,    /* the actor's turn */
    LOCKSTEP_NEXT,    /* a minibatch is to be asked for */
    LOCKSTEP_ASKED,   /* and was */
    LOCKSTEP_TRAINER, /* it is updating, or copying the sampler */
};

struct lockstep {
    enum lockstep_phase phase;
    uint64_t round, actor; /* rank of who waits for it */
    uint64_t id, asked_ms; /* of the Sample */
    struct batch rows;     /* the minibatch at the trainer */
    bool answered;         /* answered_* hold */
    uint64_t answered_round, answered_incarnation;
};

/* 0 or -ENOMEM. A zeroed one may be finished. */
int lockstep_start(struct learner *learner, struct wire_spec spec);
void lockstep_finish(struct lockstep *lockstep);

/*
 * May this message be heard at all? One actor, and only then one shard, so
 * that ranks do not depend on who was faster. why: in words, NULL when it is
 * only too early.
 */
bool lockstep_admits(const struct learner *learner,
                     const struct wire_message *message, const char **why);

void lockstep_get_parameters(struct learner *learner,
                             const struct registry_peer *peer, uint64_t round);
void lockstep_minibatch(struct learner *learner,
                        const struct wire_minibatch *minibatch);
/* The trainer made an update; it copied the sampler, and it is packed. */
void lockstep_updated(struct learner *learner);
void lockstep_published(struct learner *learner);
/* Go on where something was waited for: each tick, and after a checkpoint. */
void lockstep_go_on(struct learner *learner);

#endif
